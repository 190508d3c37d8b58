"""Gradient norms of single records, which training makes small for members."""

from dataclasses import dataclass, field

import numpy as np

from mpreg import metrics, signals
from mpreg._validate import check_count
from mpreg.data import label_indices, take
from mpreg.metrics import Estimate
from mpreg.metrics.shapes import histogram

WRONG = np.log(2)  # nats: the label has less than half of the probability


class HiddenGradients(ValueError):
    """The model's answers do not follow its weights, or not in numbers: there is no gradient to measure."""


@dataclass(frozen=True, eq=False)
class GradientNorms:
    """Holds the Euclidean norm of each record's loss gradient over all trainable weights.

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
    """Computes the `GradientNorms` of a sample of members and non-members.

    Args:
        model: a Keras classifier with one output.
        split: a `MembershipSplit`.
        from_logits: whether it answers with logits; None decides by looking at the answers.
        records: how many of either side at most.
        seed: seed of the sample.

    Raises:
        ValueError: `records` below 1, or a model without trainable weights.
        HiddenGradients: norms that are no finite numbers, or none at all where the model is wrong.

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
        from_logits = signals.are_logits([signals.predict(model, x) for x, _ in sides])
    norms = _norms_of_each(model, from_logits)
    found = [norms(x, label_indices(y)) for x, y in sides]
    _check(*(np.concatenate([side[part].numpy() for side in found]) for part in (0, 1)))
    return GradientNorms(*(side[0].numpy().astype(np.float64) for side in found))


def _check(norms, losses):
    """A loss can be lowered by its gradient: none at a high loss is one that a layer hides or rounds away."""
    if not np.isfinite(norms).all():
        raise HiddenGradients(
            f"{np.sum(~np.isfinite(norms))} of {len(norms)} gradients are no finite numbers."
        )
    hidden = (norms == 0) & (losses > WRONG)
    if hidden.any():
        raise HiddenGradients(
            f"{hidden.sum()} of {len(norms)} records have no gradient, although the model is wrong about them: what it "
            "ends in hides the gradients."
        )


def _norms_of_each(model, from_logits):
    """A traced function of records and class indices: gradient norms and losses, one record's pass at a time."""
    import keras
    import tensorflow as tf

    from mpreg.classifiers.tensors import (
        log_probabilities,
    )  # it imports Keras, which other attacks do without

    weights = [variable.value for variable in model.trainable_variables]

    def one(record):
        x, label = record
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            batch = keras.tree.map_structure(lambda part: part[None], x)
            answer = log_probabilities(model(batch, training=False), from_logits=from_logits)
            loss = -answer[0, label]
        gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        norm = tf.linalg.global_norm([tf.cast(tf.convert_to_tensor(g), tf.float32) for g in gradients])
        return norm, tf.cast(loss, tf.float32)

    def each(x, labels):
        return tf.map_fn(one, (x, labels), fn_output_signature=(tf.float32, tf.float32))

    return tf.function(each, reduce_retracing=True)
