"""Records that are text: what counts as such, and the form in which Keras takes it."""

import numpy as np


def is_text(array):
    """Whether an array holds text: strings in Python's own type, as Keras takes them, or in one of NumPy's."""
    if array.dtype.kind == "O":
        return array.size > 0 and all(isinstance(value, str) for value in array.flat)
    return array.dtype.kind in "SU"


def text_as_tensor(array):
    """An array of text as a tensor of strings, which Keras takes in any shape; anything else as it is.

    Of arrays, Keras itself takes those of Python's strings in one dimension alone.
    """
    if not isinstance(array, np.ndarray) or not is_text(array):
        return array
    import tensorflow as tf  # arrays of numbers do without

    return tf.constant(array)
