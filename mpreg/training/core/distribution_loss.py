"""Cross-entropy against label distributions, reduced as the compiled loss."""

import keras

from mpreg.classifiers.last_layer import loss_kind
from mpreg.training.core.batch import weight_row

PLAIN = ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy")
NEUTRAL = {"label_smoothing": 0, "ignore_class": None, "axis": -1}
MEANS = ("sum_over_batch_size", "mean")


def distribution_loss(batch, labels, weights=None):
    """Returns the cross-entropy of a batch against distributions, weighted and reduced as the compiled loss.

    Args:
        batch: a `Batch` with answers.
        labels: distributions, float32 (n, classes).
        weights: weights of the records, or None.

    Raises:
        ValueError: a compiled loss that is not a plain cross-entropy of the target's classes.
    """
    against = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=plain_reduction(batch))
    weights = None if weights is None else weight_row(weights)
    return against(labels, batch.log_probabilities, sample_weight=weights)


def plain_reduction(batch):
    """Returns the reduction of a compiled plain cross-entropy."""
    kind, options = loss_kind(batch.loss)
    changed = any(options.get(name, neutral) != neutral for name, neutral in NEUTRAL.items())
    if kind not in PLAIN or changed or (kind == "BinaryCrossentropy" and batch.classes > 2):
        raise ValueError(
            "the defence trains the target towards distributions over its classes, so its loss must be a plain "
            "(sparse) categorical or binary cross-entropy, without label_smoothing or ignore_class. "
            f"Received: loss={batch.loss!r}"
        )
    return options.get("reduction", "sum_over_batch_size")
