"""The maximum mean discrepancy of two samples."""

import tensorflow as tf


def squared_discrepancy(members, others, present, bandwidths):
    """Returns the squared (biased) maximum mean discrepancy of two samples of equal size.

    The kernel is a mean of Gaussians, exp(-d^2 / (2 bandwidth^2)).

    Args:
        members, others: answers, float32 (n, classes).
        present: 1 for rows that take part on both sides, else 0, float32 (n,).
        bandwidths: sequence of numbers.
    """
    weights = tf.math.divide_no_nan(present, tf.reduce_sum(present))

    def kernel(a, b):
        squares = tf.reduce_sum(a * a, axis=1)[:, None] + tf.reduce_sum(b * b, axis=1)[None, :]
        distances = tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)
        return tf.add_n([tf.exp(-distances / (2.0 * s * s)) for s in bandwidths]) / len(bandwidths)

    pairs = kernel(members, members) + kernel(others, others) - 2.0 * kernel(members, others)
    return tf.reduce_sum(weights[:, None] * weights[None, :] * pairs)
