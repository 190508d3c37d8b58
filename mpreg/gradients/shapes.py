"""Lays out tensors of several calls and copies as one tensor with a row for each record."""

import tensorflow as tf


def exact(tensor):
    """Casts a tensor to the precision of norms: float64 if it is float64, else float32."""
    tensor = tf.convert_to_tensor(tensor)
    return tensor if tensor.dtype == tf.float64 else tf.cast(tensor, tf.float32)


def exact_dtype(variable):
    """Returns the dtype in which a variable's gradients are summed: float64 for float64, else float32."""
    return tf.float64 if variable.dtype == "float64" else tf.float32


def positions(tensors, copies, dtype=None):
    """Joins tensors (rows, ..., width) of all calls as one (n, positions, width)."""
    flat = []
    for tensor in tensors:
        tensor = exact(tensor) if dtype is None else tf.cast(tensor, dtype)
        middle = tensor.shape[1:-1]
        if middle.is_fully_defined():
            shape = (-1, copies * middle.num_elements(), tensor.shape[-1])
        else:
            shape = (tf.shape(tensor)[0] // copies, -1, tensor.shape[-1])
        flat.append(tf.reshape(tensor, shape))
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=1)


def fold_rows(tensors, copies, shape):
    """Adds up gradients (rows, ...) of all calls and of each example's copies, (n, *shape)."""
    values = total([exact(tensor) for tensor in tensors])
    if copies == 1:
        return tf.reshape(values, (-1, *shape))
    return tf.reduce_sum(tf.reshape(values, (-1, copies, *shape)), axis=1)


def total(tensors):
    """Adds up tensors of one shape."""
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors)


def sum_outside(values, axes):
    """Sums over all axes but the first and the given ones."""
    return tf.reduce_sum(values, axis=[axis for axis in range(1, values.shape.rank) if axis not in axes])


def channels_last(layer, tensor):
    """Returns a tensor of a layer with a `data_format` with channels on the last axis."""
    if layer.data_format == "channels_last":
        return tensor
    return tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])
