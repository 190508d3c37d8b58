"""Weight decay: a model rebuilt with a penalty on the squares of its weights."""

import warnings
from typing import Any

import keras

from mpreg._validate import check_number, short_repr
from mpreg.classifiers.rebuild.copying import Copier

# All that a layer multiplies its inputs by. An embedding is a kernel of one-hot inputs.
KERNELS = (
    "kernel_regularizer",
    "recurrent_regularizer",
    "depthwise_regularizer",
    "pointwise_regularizer",
    "embeddings_regularizer",
)


def with_l2(model: Any, l2: float) -> Any:
    """Rebuilds a model with weight decay: adds `l2` times the sum of the squared kernels to its loss.

    Kernels are what a layer multiplies its inputs by: of dense, convolution (depthwise and pointwise too),
    recurrent and attention layers, and embedding tables (whose gradients become dense). Biases and
    normalization stay free. Kernels of a layer that is not trainable count in the loss, but do not learn.

    The result is a plain Keras model of the same layer names, weights and random states, so it predicts alike;
    the model given is not changed. If that one is compiled so is the result, alike, with a new optimizer.
    An L2 penalty that a kernel had is replaced, so a second call has the last word.

    Args:
        model: a built Sequential or functional `keras.Model`; models and shared layers within it are kept.
        l2: weight of the penalty, at least 0; 1e-4 to 1e-2 in the paper. 0 takes penalties away. Under
            plain SGD it acts as a weight decay of 2 * l2 on the kernels.

    Returns:
        A `keras.Model` of the same kind.

    Raises:
        ValueError: `l2` out of range; a model or a layer that cannot be rebuilt; no layer with a kernel; a kernel
            with a penalty of another kind.

    Example:
    ```python
    model = mpreg.with_l2(target, 1e-3)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30)
    ```

    Source: Shokri, Stronati, Song and Shmatikov, "Membership Inference Attacks Against Machine Learning Models",
    IEEE S&P 2017, section VIII, "Use regularization".
    """
    copier = _Penalizer(check_number("l2", l2, least=0, what="a finite number of at least 0"))
    copy = copier.rebuild(model)
    if not copier.penalized:
        raise ValueError(f"no layer of the model has a kernel to penalize. Received: {model.name!r}")
    if copier.free:
        warnings.warn(
            "layers of your own that take no kernel_regularizer keep weights without a penalty: "
            f"{', '.join(sorted(copier.free))}. Add the argument to their __init__ and get_config.",
            stacklevel=2,
        )
    return copy


class _Penalizer(Copier):
    """Sets the kernel penalties in the configurations that a model is copied from."""

    def __init__(self, l2):
        super().__init__()
        penalty = keras.regularizers.L2(l2)
        self._penalty = keras.saving.serialize_keras_object(penalty) if l2 else None
        self.penalized = 0  # kernels
        self.free = set()  # names of layers of the user's whose weights stay without a penalty

    def edit(self, layer, config):
        before = self.penalized
        config = self._set(layer, config)
        foreign = not type(layer).__module__.startswith("keras.")
        if foreign and self.penalized == before and getattr(layer, "trainable_weights", ()):
            self.free.add(layer.name)
        return config

    def _set(self, layer, config):
        """A configuration with the penalty in it, also in the layers that are part of it (of a Bidirectional)."""
        if isinstance(config, list | tuple):
            return type(config)(self._set(layer, part) for part in config)
        if not isinstance(config, dict):
            return config
        changed = {key: self._set(layer, value) for key, value in config.items() if key not in KERNELS}
        for key in KERNELS:
            if key in config:
                _check_replaceable(layer, key, config[key])
                changed[key] = self._penalty
                self.penalized += 1
        return changed


def _check_replaceable(layer, key, config):
    present = keras.regularizers.get(config)
    harmless = present is None or type(present) is keras.regularizers.L2
    if not (harmless or (type(present) is keras.regularizers.L1L2 and present.l1 == 0)):
        raise ValueError(
            f"layer {layer.name!r} has a penalty that with_l2 would take away: give the layer L2 or none. "
            f"Received: {key}={short_repr(present)}"
        )
