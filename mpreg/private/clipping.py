"""Clipping: each example's gradient is scaled to at most the clip norm, and what is scaled is summed."""

import tensorflow as tf


def clipped_sums(variables, pieces, scales, l2_norm_clip, divisor=1.0):
    """Sums over examples of their gradients, each clipped.

    An example whose gradient is not finite counts as one of gradient 0, and so does one of scale 0.

    Args:
        variables: trainable variables.
        pieces: per-example gradients; a variable without one has gradient 0.
        scales: float32 (n,), what to multiply each example's gradient with before it is clipped.
        l2_norm_clip: the clip norm, over all variables together.
        divisor: what to divide the sums by; by way of the factors it costs nothing.

    Returns:
        `(sums, norms)`: a tensor for each variable, and the norms before clipping, 0 where they are not finite.
    """
    squares = tf.add_n([piece.squared_norms() for piece in pieces])
    norms = tf.sqrt(squares) * tf.abs(scales)
    present = tf.math.is_finite(norms) & (scales != 0)
    # At a norm of 0 the quotient is infinite, and the minimum 1.
    factors = tf.where(present, scales * tf.minimum(1.0, l2_norm_clip / norms), 0.0)
    factors /= divisor
    finite = tf.math.is_finite(squares)

    def sums_of(pieces):
        sums = {}
        for piece in pieces:
            sums.setdefault(id(piece.variable), []).append(piece.weighted_sum(factors))
        return [_total(sums.get(id(variable)), variable) for variable in variables]

    # 0 times NaN is NaN, so such examples must be taken out; but that costs a copy of everything.
    sums = tf.cond(
        tf.reduce_all(finite),
        lambda: sums_of(pieces),
        lambda: sums_of([piece.cleaned(finite) for piece in pieces]),
    )
    return sums, tf.where(present, norms, 0.0)


def _total(parts, variable):
    if not parts:
        return tf.zeros(variable.shape, tf.float32)
    return parts[0] if len(parts) == 1 else tf.add_n(parts)
