"""Every defence by name."""
