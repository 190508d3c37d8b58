"""`OutputDefence`: a Keras layer that changes the class probabilities a model serves."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mpreg._validate import short_repr
from mpreg.classifiers.floors import ROUNDING

COARSE_MARK = "_mpreg_coarse"  # on an eager tensor: rows that a defence has truncated or rounded


class OutputDefence(keras.layers.Layer):
    """Base class of layers that change class probabilities, (n, classes), to reveal less, float32 (n, classes).

    Works in a Keras model and on arrays alike. Arrays are checked: answers of one record must lie in [0, 1] and
    sum to one, unless they come straight from a coarse defence. Inside a compiled model nothing is checked. No
    defence changes the predicted label, the class of the highest probability, the first of them where they tie.

    Subclasses write `call`, and set `coarse` where their answers need not sum to one.
    """

    coarse = False

    def __init__(self, *, dtype: Any = "float32", **kwargs):
        # Keras casts the input of a layer to its type, and would lose the logits that a softmax hands on.
        super().__init__(dtype=dtype, autocast=False, **kwargs)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = _as_rows(inputs)
        self.check_classes(_count_columns(inputs))
        if not _is_symbolic(inputs):
            _check_probabilities(np.asarray(inputs), coarse=hasattr(inputs, COARSE_MARK))
        answers = super().__call__(inputs, *args, **kwargs)
        if self.coarse and not _is_symbolic(answers):
            setattr(answers, COARSE_MARK, True)
        return answers

    def check_classes(self, classes: int):
        """Raises a `ValueError` for a number of classes that the defence does not support."""

    def compute_output_shape(self, input_shape):
        return input_shape


def highest(values, k):
    """Returns a mask (n, classes) of the k highest values of each row; of equal ones the first are taken."""
    least = ops.top_k(values, k)[0][:, -1:]
    above, tied = values > least, values == least
    room = k - ops.sum(ops.cast(above, "int32"), axis=-1, keepdims=True)
    return ops.logical_or(above, ops.logical_and(tied, ops.cumsum(ops.cast(tied, "int32"), axis=-1) <= room))


def keep_label(answers, probabilities, step):
    """Returns the answers, changed where needed to predict the label of the probabilities.

    Args:
        answers, probabilities: (n, classes).
        step: by how much to raise the label above the others, where another class would be predicted.
    """
    label = highest(probabilities, 1)
    changed = ops.any(highest(answers, 1) != label, axis=-1, keepdims=True)
    raised = tf.reduce_max(answers, axis=-1, keepdims=True) + step  # Keras' max refuses an empty batch
    return ops.where(ops.logical_and(changed, label), raised, answers)


def read_probabilities(array):
    """Checks plain probabilities as a call of a defence does, and returns them as float32 (n, classes)."""
    array = np.asarray(_as_rows(array))
    _count_columns(array)
    _check_probabilities(array)
    return array.astype("float32")


def _is_symbolic(value):
    return isinstance(value, keras.KerasTensor) or (tf.is_tensor(value) and not hasattr(value, "numpy"))


def _as_rows(inputs):
    if isinstance(inputs, keras.KerasTensor) or tf.is_tensor(inputs):
        return inputs
    array = np.asarray(inputs)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise ValueError(
            f"an output defence takes class probabilities, (n, classes). Received: {short_repr(inputs)}"
        )
    return array.astype("float32")


def _count_columns(inputs):
    shape = tuple(inputs.shape)
    if len(shape) != 2 or shape[1] is None or shape[1] < 2:
        raise ValueError(
            "an output defence takes class probabilities, shape (n, classes), with a column for each of at least "
            f"two classes. Received: shape {shape}"
        )
    return shape[1]


def _check_probabilities(array, *, coarse=False):
    array = array.astype("float64")
    # The negation also catches NaN.
    bad = np.flatnonzero(~((array >= 0) & (array <= 1)).all(axis=1))
    if len(bad):
        raise ValueError(
            f"probabilities must lie in [0, 1]. {len(bad)} rows do not, the first is row {bad[0]}: "
            f"{short_repr(array[bad[0]])}. Turn logits into probabilities first, with keras.ops.softmax"
        )
    bad = np.flatnonzero(np.abs(array.sum(axis=1) - 1.0) > ROUNDING)
    if len(bad) and not coarse:
        raise ValueError(
            f"probabilities must sum to one. {len(bad)} rows do not, the first is row {bad[0]} with a sum of "
            f"{array[bad[0]].sum():.4g}. Chain defences by giving one the answers of another as they are"
        )
