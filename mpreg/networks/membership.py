"""Membership classifiers of white-box attacks: an encoder for each signal, and a joint output.

A builder is called with the shape of each signal of one record, by name, and returns a `keras.Model` that is called on
a list of the signals, float32 (n, *shape), and returns one logit a record, (n, 1): above zero means member. What kind
of signal one is, its name tells: `"label"`, `"loss"`, `"gradient sizes"`, `"activation sizes"`, `"gradient of ..."` or
`"activations of ..."`; of several snapshots each has `", epoch ..."` behind it.
"""

from typing import Any

import keras
from keras import layers

MATRIX = 2  # axes of the gradient of a kernel; those of other weights have one


def compact(shapes, *, seed=0, units=1):
    """Builds a small membership classifier, with few units and strong dropout for long signals.

    Args:
        shapes: shape of each signal of one record, by name.
        seed: seed of the initial weights and of dropout.
        units: numbers that it answers with.
    """
    keras.utils.set_random_seed(seed)
    inputs = {name: keras.Input(shape) for name, shape in shapes.items()}
    encoded = []
    for name, tensor in inputs.items():
        tensor = layers.Flatten()(tensor)
        if name == "label":
            tensor = layers.Dense(8, use_bias=False)(tensor)
        elif tensor.shape[-1] > LONG:
            tensor = layers.Dense(16, "relu")(layers.Dropout(0.5)(tensor))
        encoded.append(tensor)
    hidden = layers.Concatenate()(encoded) if len(encoded) > 1 else encoded[0]
    for _ in range(2):
        hidden = layers.Dropout(0.2)(layers.Dense(64, "relu")(hidden))
    return keras.Model([*inputs.values()], layers.Dense(units)(hidden), name="compact_membership_classifier")


LONG = 64  # numbers of a signal that the compact classifier reads as they are


def nasr2019(shapes: Any, *, seed: int = 0):
    """Builds the published membership classifier: 100 filters over each gradient, and wide dense encoders.

    A gradient (inputs, units) passes 100 filters of size (1, units), then 2024-512-256 with dropout .2; a loss 100-64,
    a label 128-64, activations and outputs 1024-512-64; the encoder of all together 256-128-64-1. All weights are
    drawn from N(0, .01), biases 0. Kernels of convolutions are read as matrices, the gradients of weights that are no
    kernel and the maps of convolutions as outputs are, where the paper has convolutions for these.

    Source: Nasr, Shokri and Houmansadr, "Comprehensive Privacy Analysis of Deep Learning", S&P 2019, appendix A.

    Args:
        shapes, seed: as for `compact`.
    """
    keras.utils.set_random_seed(seed)
    inputs = {name: keras.Input(shape) for name, shape in shapes.items()}
    encoded = [_encoded_as_published(name, tensor) for name, tensor in inputs.items()]
    hidden = layers.Concatenate()(encoded) if len(encoded) > 1 else encoded[0]
    hidden = _dense(hidden, 256, 128, 64)
    return keras.Model(
        [*inputs.values()], layers.Dense(1, **_published())(hidden), name="nasr2019_membership_classifier"
    )


def _encoded_as_published(name, tensor):
    if name == "label":
        return _dense(tensor, 128, 64)
    if name.startswith(("loss", "gradient sizes", "activation sizes")):
        return _dense(tensor, 100, 64)
    if name.startswith("gradient of") and len(tensor.shape) == 1 + MATRIX:
        units = tensor.shape[-1]
        filters = layers.Conv2D(100, (1, units), activation="relu", **_published())
        tensor = layers.Flatten()(filters(layers.Reshape((*tensor.shape[1:], 1))(tensor)))
        return _dense(layers.Dropout(0.2)(tensor), 2024, 512, 256, dropout=0.2)
    return _dense(layers.Flatten()(tensor), 1024, 512, 64)


def _dense(tensor, *units, dropout=0.0):
    for width in units:
        tensor = layers.Dense(width, "relu", **_published())(tensor)
        if dropout:
            tensor = layers.Dropout(dropout)(tensor)
    return tensor


def _published():
    return {"kernel_initializer": keras.initializers.RandomNormal(stddev=0.01)}


ENCODERS = {"compact": compact, "nasr2019": nasr2019}
