"""Logits of probabilities of exactly 0 or 1."""

import numpy as np

SATURATED = 700.0  # beyond this a logit is that of a probability of exactly 0 or 1, as coarse answers hold


def clip_saturated(*values):
    """Returns the values with saturated ones clipped to one unit beyond the others."""
    usual = np.concatenate([array[np.abs(array) < SATURATED] for array in values])
    low, high = (usual.min(), usual.max()) if len(usual) else (0.0, 0.0)
    return [np.clip(array, low - 1.0, high + 1.0) for array in values]
