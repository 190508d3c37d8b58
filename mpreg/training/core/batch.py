"""The state of one training step."""

import functools

import keras
import tensorflow as tf

from mpreg.classifiers.calling import predict_without_side_effects
from mpreg.classifiers.kind import trains_on_logits
from mpreg.classifiers.tensors import count_classes, label_distributions, log_probabilities, one_hot_labels
from mpreg.training.core.replicas import replicas


class Batch:
    """Holds the members of one step, the target's predictions for them, and their training labels.

    What several parts read is computed once. A part that branches (`tf.cond`) must read it ahead of its branches.

    Args:
        target: the model in training.
        x, y, sample_weight: the members as `fit` gave them.
        loss: the compiled loss.
        from_logits: whether the target answers with logits; None reads it from its last layer and `loss`.

    Attributes:
        inputs: what the target is trained on; `x`, unless a part mixes records.
        labels: what it is trained towards, None for `y` by the compiled loss, or distributions, float32 (n, classes).
        judged: labels for the compiled metrics, as fit gave them.
        weights: weights of the records in `inputs`.
        answers: the target's answers on `inputs` in training mode, attached to their gradient.
        notes: what a part keeps from one of its turns to the next, by part.
    """

    def __init__(self, target, x, y, sample_weight=None, *, loss=None, from_logits=None):
        self.target, self.loss = target, loss
        self.x, self.y, self.sample_weight = x, y, finite_weights(sample_weight)
        self.inputs, self.weights, self.judged = x, self.sample_weight, y
        self.labels = None
        self.answers = None
        self.notes = {}
        self._from_logits = from_logits

    @functools.cached_property
    def from_logits(self):
        """Whether the target answers with logits."""
        return trains_on_logits(self.target, self.loss, from_logits=self._from_logits)

    @functools.cached_property
    def classes(self):
        """Number of classes; known once there are answers."""
        return count_classes(self.answers)

    @functools.cached_property
    def one_hot(self):
        """True classes of the members, float32 (n, classes): of a label that is a distribution, its largest."""
        return one_hot_labels(self.y, self.classes)

    @property
    def distributions(self):
        """What the target is trained towards, float32 (n, classes), also where that is the label as fit gave it."""
        return label_distributions(self.y, self.classes) if self.labels is None else self.labels

    @functools.cached_property
    def log_probabilities(self):
        """Log-probabilities of the answers on `inputs`, float32 (n, classes)."""
        return log_probabilities(self.answers, from_logits=self.from_logits)

    @functools.cached_property
    def member_log_probabilities(self):
        """Log-probabilities of the members themselves in training mode, float32 (n, classes).

        Where `inputs` are other records, this takes one more pass, which leaves no trace in the target.
        """
        if self.inputs is self.x:
            return self.log_probabilities
        answers = predict_without_side_effects(self.target, self.x, training=True)
        return log_probabilities(answers, from_logits=self.from_logits)

    @functools.cached_property
    def present(self):
        """1 for members that take part, 0 for those of weight 0, such as padding; float32 (n,)."""
        return presence(self.sample_weight, keras.tree.flatten(self.x if self.y is None else self.y)[0])


def presence(sample_weight, like):
    """Returns 1 where a weight is not 0, float32 (n,); 1 for each row of `like` without weights."""
    if sample_weight is None:
        return tf.ones((tf.shape(like)[0],))
    return tf.cast(weight_row(sample_weight) != 0, tf.float32)


def mean_present(values, present):
    """Returns the mean over the records that are present, 0 if none is."""
    return tf.math.divide_no_nan(tf.reduce_sum(values * present), tf.reduce_sum(present))


def weight_row(sample_weight):
    """Returns weights as one row, float32 (n,), taking a list or dict of one array for that array as Keras does."""
    (weights,) = keras.tree.flatten(sample_weight)
    return tf.cast(tf.reshape(weights, (-1,)), tf.float32)


def finite_weights(sample_weight):
    """Returns sample weights with 0 for NaN and infinity: such records are skipped."""
    if sample_weight is None:
        return None
    return keras.tree.map_structure(
        lambda w: tf.where(tf.math.is_finite(w), w, tf.zeros_like(w)), sample_weight
    )


def add_penalty(loss, penalty):
    """Adds a penalty to a loss, in the type of the loss; each replica adds its share."""
    return loss + tf.cast(penalty / replicas(), loss.dtype)
