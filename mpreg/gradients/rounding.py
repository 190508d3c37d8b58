"""Bounds rounding errors of gradient norms, so that no norm is underestimated.

A record could hide from clipping where its gradient is a sum of parts that nearly cancel: what is left may be smaller
than the rounding of the parts. `BOUND` is the relative error that a norm may have unnoticed, and `SMALL` the absolute
one. Where rounding could make more of it, the norm is computed in float64, and what rounding may yet add to the
record's part of a sum is added to the norm: to clip by an upper bound of the norm is always safe.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, section 3.1 (sums and inner products).
"""

import numpy as np
import tensorflow as tf

BOUND = 1e-3
SMALL = 1e-10
SHORT = 4096  # numbers that a product with ones adds up one after the other: faster, and near enough that far
TREE = 256  # numbers that `tf.reduce_sum` adds up one after the other at most, whatever the length
UNKNOWN = 64  # positions to reckon with where their number is not known before
LEAST = 1e-30  # squared size of a position that underflow cannot touch


def unit(dtype):
    """Returns the largest relative error of one rounding."""
    return float(np.finfo(dtype.as_numpy_dtype).eps) / 2


def product_unit(dtype):
    """Returns the largest relative error of a product in a matrix product; TensorFloat-32 keeps 10 bits."""
    short = dtype == tf.float32 and tf.config.experimental.tensor_float_32_execution_enabled()
    return 2.0**-10 if short and tf.config.list_physical_devices("GPU") else unit(dtype)


def sums_of_squares(values):
    """Returns sums of squares (n,) of values (n, ...); underflowing squares count as the smallest number."""
    flat = tf.square(tf.reshape(values, (-1, values.shape[1:].num_elements())))
    length = flat.shape[1]
    # Up to some length a product with ones is half again as fast as `reduce_sum` along rows.
    short = length <= SHORT
    sums = tf.linalg.matvec(flat, tf.ones((length,), flat.dtype)) if short else tf.reduce_sum(flat, axis=1)
    return sums + length * float(np.finfo(values.dtype.as_numpy_dtype).tiny)


def raised(squares, rounding):
    """Returns squared norms (n,) raised by their rounding error (n,) where it is a sizable share of them."""
    norms = tf.sqrt(squares)
    return tf.where(rounding > BOUND * norms, tf.square(norms + rounding), squares)


def squared_norms_of_products(inputs, outputs):
    """Returns squared norms (n,) of transposed `inputs` (n, positions, d) times `outputs` (n, positions, p).

    By Gram matrices over positions: in the precision of the two where that is enough, in float64 for the examples
    whose positions cancel, and for all where there are so many numbers to add that most would need it.
    """
    count = inputs.shape[1] or UNKNOWN
    # The square of what random positions cancel down to is the square of their sizes over their number.
    if count * _error(inputs, outputs, count) > BOUND:
        return _in_double_precision(inputs, outputs)
    squares, doubt, _ = _by_gram_matrices(inputs, outputs)
    unsure = doubt > 2 * BOUND * squares + SMALL**2  # false where there is NaN

    def computed_again():
        rows = tf.where(unsure)
        parts = (tf.gather(part, rows[:, 0]) for part in (inputs, outputs))
        return tf.tensor_scatter_nd_update(squares, rows, _in_double_precision(*parts))

    return tf.cond(tf.reduce_any(unsure), computed_again, lambda: squares)


def _in_double_precision(inputs, outputs):
    squares, doubt, size = _by_gram_matrices(*(tf.cast(part, tf.float64) for part in (inputs, outputs)))
    rounding = _error_of_sum(inputs.dtype, tf.cast(tf.shape(inputs)[1], tf.float64))
    return tf.cast(raised(squares + doubt, rounding * size), inputs.dtype)


def _by_gram_matrices(inputs, outputs):
    """Squared norms, a bound of the error in them and in a sum of the matrices, and the size of all positions."""
    grams = [tf.matmul(part, part, transpose_b=True) for part in (inputs, outputs)]
    squares = tf.maximum(tf.reduce_sum(tf.multiply(*grams), axis=(1, 2)), 0.0)
    sizes = [tf.sqrt(tf.linalg.diag_part(gram) + LEAST) for gram in grams]
    size = tf.reduce_sum(tf.multiply(*sizes), axis=1)
    error = _error(inputs, outputs, tf.cast(tf.shape(inputs)[1], inputs.dtype))
    return squares, error * tf.square(size), size


def _error(inputs, outputs, count):
    """What rounding may add to the squared norms and to a sum of the matrices, as a share of the squared size."""
    numbers, dtype = inputs.shape[-1] + outputs.shape[-1] + TREE, inputs.dtype
    return numbers * unit(dtype) + 4 * product_unit(dtype) + 2 * _error_of_sum(dtype, count)


def _error_of_sum(dtype, count):
    """What rounding may add to a weighted sum of the matrices, as a share of the size of all positions."""
    return 2 * count * unit(dtype) + 2 * product_unit(dtype)
