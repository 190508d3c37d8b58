"""Sample weights of a private step."""

import warnings

import keras
import tensorflow as tf

from mpreg.training.core.batch import finite_weights


def told_weights(weights):
    """Returns sample weights with 0 for NaN and infinity, with a warning: such a record is left out."""
    if weights is None:
        return None
    weights = keras.tree.map_structure(lambda part: tf.cast(part, tf.float32), weights)
    finite = [tf.math.is_finite(part) for part in keras.tree.flatten(weights)]
    strange = tf.add_n([tf.math.count_nonzero(~part, dtype=tf.int32) for part in finite])
    tf.cond(strange > 0, lambda: tf.numpy_function(_warn, [strange], tf.int32), lambda: strange)
    return finite_weights(weights)


def _warn(count):
    warnings.warn(
        f"{count} sample weight(s) of a batch were NaN or infinite: their records had no part in the step. They count "
        "as seen. Look for such numbers in sample_weight",
        stacklevel=1,
    )
    return count
