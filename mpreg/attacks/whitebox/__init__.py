"""White-box attacks, which read the model's weights."""
