"""Tiny data and a tiny classifier to try things on."""

import keras
import numpy as np

FEATURES, CLASSES = 6, 3


def records(count=48, *, seed=0):
    """`(x, y)`: float32 (count, 6) and integer (count,). Labels follow no rule: to fit them is to memorize."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype("float32"), rng.integers(0, CLASSES, count)


def classifier(seed=0):
    """Eight hidden units and a softmax over three classes; equal seeds give equal weights."""
    weights = [keras.initializers.GlorotUniform(seed + layer) for layer in range(2)]
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(8, "relu", kernel_initializer=weights[0]),
            keras.layers.Dense(CLASSES, "softmax", kernel_initializer=weights[1]),
        ]
    )


def copy_of(pair):
    """A copy of `(x, y)`, to see later whether it was changed."""
    return tuple(np.array(part) for part in pair)
