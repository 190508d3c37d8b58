"""Scales the penalty by the ratio of loss and gain gradients, so that one strength suits many data sets."""

import tensorflow as tf

from mpreg.classifiers.tensors import label_distributions
from mpreg.training.core.batch import weight_row
from mpreg.training.core.replicas import replicas, summed

MEMORY = 0.95  # of each norm, a step
FIRST_LOSS, FIRST_GAIN = 0.1, 0.025  # norms of a classifier and an inference network that know nothing yet
MIN_GAIN = 1e-6
MOST = 200.0  # three times the largest ratio on the bundled data sets


class Balance:
    """Tracks the running ratio of two gradients at the members' logits: that of the loss to that of the gain.

    A penalty of so much makes the two pull the answers equally hard, whatever the number of classes, the size of the
    batch and what either player has learned so far. Norms are those of Frobenius, over the whole batch, also where
    devices share it.

    Args:
        state: function `(name, value)` that makes a variable.
    """

    def __init__(self, state):
        self._loss = state("loss_slope", FIRST_LOSS)
        self._gain = state("gain_slope", FIRST_GAIN)

    @property
    def ratio(self):
        """The ratio, a scalar tensor, at most 200."""
        return tf.minimum(self._loss.value / (self._gain.value + MIN_GAIN), MOST)

    def update(self, batch, slopes):
        """Updates the ratio from a batch and the gain's gradient by the members' log-probabilities, (n, classes)."""
        probabilities = tf.exp(tf.stop_gradient(batch.member_log_probabilities))
        of_loss = (probabilities - _aims(batch)) * batch.present[:, None]
        if batch.sample_weight is not None:
            of_loss *= weight_row(batch.sample_weight)[:, None]
        of_loss /= tf.cast(tf.shape(of_loss)[0], tf.float32)
        # log-probabilities are logits less their logarithm of summed exponentials
        of_gain = slopes - probabilities * tf.reduce_sum(slopes, axis=-1, keepdims=True)
        squares = summed([tf.reduce_sum(tf.square(part)) for part in (of_loss, of_gain)])
        norms = [tf.sqrt(square) / replicas() for square in squares]  # each is of a mean over a share
        usable = tf.reduce_all(tf.math.is_finite(norms))
        for total, norm in zip((self._loss, self._gain), norms, strict=True):
            total.assign(tf.where(usable, MEMORY * total + (1.0 - MEMORY) * norm, total))


def _aims(batch):
    """What the target is trained towards on the members; where it is trained on others, their true labels."""
    return batch.distributions if batch.inputs is batch.x else label_distributions(batch.y, batch.classes)
