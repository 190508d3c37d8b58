"""Clips each example's gradient to the clip norm and sums the results."""

import dataclasses

import tensorflow as tf

from mpreg.gradients.shapes import exact_dtype


@dataclasses.dataclass(frozen=True)
class Clipped:
    """Holds the clipped sums of a batch.

    Args:
        sums: a tensor for each variable.
        norms: (n,), before clipping, 0 where they are not finite.
        left_out: int32, the number of examples whose gradient counts as 0 because it is not finite.
    """

    sums: list
    norms: object
    left_out: object


def clipped_sums(variables, pieces, scales, l2_norm_clip, divisor=1.0, *, stability=0.0):
    """Returns the sums of clipped per-example gradients as `Clipped`.

    An example whose gradient is not finite counts as one of gradient 0, and so does one of scale 0. What an example
    adds has a norm of at most the clip norm and a thousandth of it, however float32 rounds: see `gradients.rounding`.

    Args:
        variables: trainable variables.
        pieces: per-example gradients; a variable without one has gradient 0.
        scales: float32 (n,), what to multiply each example's gradient with before it is clipped.
        l2_norm_clip: the clip norm, over all variables together.
        divisor: what to divide the sums by; by way of the factors it costs nothing.
        stability: of an `AutomaticClip`, by which small gradients are scaled up too; 0 leaves them.
    """
    squares = [piece.squared_norms() for piece in pieces]
    widest = tf.float64 if any(part.dtype == tf.float64 for part in squares) else tf.float32
    squares = tf.add_n([tf.cast(part, widest) for part in squares])
    scales, l2_norm_clip, divisor = (tf.cast(number, widest) for number in (scales, l2_norm_clip, divisor))
    norms = tf.sqrt(squares) * tf.abs(scales)
    wanted = scales != 0
    present = tf.math.is_finite(norms) & wanted
    factors = l2_norm_clip / (norms + stability)
    if not stability:  # at a norm of 0 the quotient is infinite, and the minimum 1
        factors = tf.minimum(tf.ones((), widest), factors)
    factors = tf.where(present, scales * factors, 0.0) / divisor
    finite = tf.math.is_finite(squares)

    def sums_of(pieces):
        sums = {}
        for piece in pieces:
            sums.setdefault(id(piece.variable), []).append(piece.weighted_sum(factors))
        return [_total(sums.get(id(variable), []), variable) for variable in variables]

    # 0 times NaN is NaN, so such examples must be taken out; but that costs a copy of everything.
    sums = tf.cond(
        tf.reduce_all(finite),
        lambda: sums_of(pieces),
        lambda: sums_of([piece.cleaned(finite) for piece in pieces]),
    )
    left_out = tf.math.count_nonzero(wanted & ~present, dtype=tf.int32)
    return Clipped(sums, tf.where(present, norms, 0.0), left_out)


def _total(parts, variable):
    dtype = exact_dtype(variable)
    if not parts:
        return tf.zeros(variable.shape, dtype)
    parts = [tf.cast(part, dtype) for part in parts]
    return parts[0] if len(parts) == 1 else tf.add_n(parts)
