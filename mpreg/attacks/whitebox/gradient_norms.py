"""Gradient norms: what a white-box attacker sees of each record, because training has made members' gradients small."""

from dataclasses import dataclass, field

import numpy as np

from mpreg import metrics, signals
from mpreg._validate import check_count
from mpreg.data import label_indices, take
from mpreg.metrics import Estimate
from mpreg.metrics.shapes import histogram


@dataclass(frozen=True, eq=False)
class GradientNorms:
    """Euclidean norms of the gradient of each record's loss in all trainable weights.

    Attributes:
        members, nonmembers: float (n,), of the sampled records.
        auc: of minus the norm as a score for membership, with a 95 % interval.
    """

    members: np.ndarray = field(repr=False)
    nonmembers: np.ndarray = field(repr=False)

    @property
    def auc(self):
        sides = -self.members, -self.nonmembers
        return Estimate(metrics.auc(*sides), *metrics.auc_interval(*sides))

    def to_dict(self):
        """JSON-ready, without the norms of single records: `gradient_norms` in `docs/report-schema.md`."""
        with np.errstate(divide="ignore"):
            sides = [np.log10(side) for side in (self.members, self.nonmembers)]
        return {
            "auc": self.auc.to_dict(),
            "members": len(self.members),
            "nonmembers": len(self.nonmembers),
            "histogram": histogram(*sides),
        }


def gradient_norms(model, split, *, from_logits=None, records=500, seed=0):
    """The `GradientNorms` of a sample of members and non-members: norms of the cross-entropy's gradient.

    Args:
        model: a Keras classifier with one output.
        split: a `MembershipSplit`.
        from_logits: whether it answers with logits; None decides by looking at the answers.
        records: how many of either side at most.
        seed: seed of the sample.

    Raises:
        ValueError: `records` below 1, or a model without trainable weights.

    Source: Nasr, Shokri & Houmansadr, "Comprehensive Privacy Analysis of Deep Learning", S&P 2019, section V.
    """
    check_count("records", records, 1)
    if not model.trainable_variables:
        raise ValueError("gradient norms need a model with trainable weights. Received: a model without")
    rng = np.random.default_rng(seed)
    sides = [
        take(pair, np.sort(rng.permutation(len(pair[1]))[:records]))
        for pair in (split.members, split.nonmembers)
    ]
    if from_logits is None:
        from_logits = any(signals.look_like_logits(signals.predict(model, x)) for x, _ in sides)
    norms = _norms_of_each(model, from_logits)
    return GradientNorms(*(norms(x, label_indices(y)).numpy().astype(np.float64) for x, y in sides))


def _norms_of_each(model, from_logits):
    """A traced function of records and class indices: gradient norms, one record's backward pass at a time."""
    import keras
    import tensorflow as tf

    weights = [variable.value for variable in model.trainable_variables]

    def one(record):
        x, label = record
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            batch = keras.tree.map_structure(lambda part: part[None], x)
            answer = tf.cast(model(batch, training=False), tf.float32)
            loss = _cross_entropy(tf.reshape(answer, [-1]), label, from_logits)
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.linalg.global_norm([tf.cast(tf.convert_to_tensor(g), tf.float32) for g in gradients])

    def each(x, labels):
        return tf.map_fn(one, (x, labels), fn_output_signature=tf.float32)

    return tf.function(each, reduce_retracing=True)


def _cross_entropy(answer, label, from_logits):
    import tensorflow as tf

    if answer.shape[0] == 1:  # one unit: the logit or the probability of class 1
        logit = answer[0] if from_logits else tf.math.log(answer[0]) - tf.math.log1p(-answer[0])
        return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(label, tf.float32), logit)
    logits = answer if from_logits else tf.math.log(tf.maximum(answer, np.finfo(np.float32).tiny))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
