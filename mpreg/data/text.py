"""Text records: detection, and conversion to string tensors."""

import numpy as np


def is_text(array):
    """Returns whether an array holds text, as Python or NumPy strings."""
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(value, str) for value in array.flat)
    return array.dtype.kind in "SU"


def text_as_tensor(array):
    """Returns an array of text as a string tensor; anything else unchanged.

    Of arrays, Keras itself takes those of Python's strings in one dimension alone.
    """
    if not isinstance(array, np.ndarray) or not is_text(array):
        return array
    import tensorflow as tf  # arrays of numbers do without

    return tf.constant(array)
