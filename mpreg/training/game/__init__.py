"""The min-max game of adversarial regularization."""
