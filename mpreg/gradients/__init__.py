"""Gradients of single records: their norms and clipped sums from one backward pass."""
