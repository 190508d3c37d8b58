"""RelaxLoss: holds the loss at a target level instead of minimizing it."""

from typing import Any

import keras
import tensorflow as tf

from mpreg._validate import check_number
from mpreg.training.core.batch import weight_row
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.distribution_loss import MEANS, distribution_loss, plain_reduction
from mpreg.training.core.part import LABELS, MIXTURES, REPLACE, DefencePart
from mpreg.training.core.replicas import replicas, summed

FLATTEN = ("all", "wrong")


@keras.saving.register_keras_serializable("mpreg")
class RelaxLoss(TrainingDefence):
    """Trains a classifier to a loss of `alpha` on members, instead of minimizing it.

    While the loss of a batch is above `alpha`, it is minimized. Below, odd epochs increase it and even epochs flatten
    the posteriors: the target is trained towards soft labels that keep its own probability of the true class, at most
    `upper`, and share the rest evenly among the other classes. Epochs are counted over all calls of `fit`.

    This follows the authors' code, in which the gradient also goes through the soft labels, and which has two
    flattening steps: that for tables flattens all records of the batch; that for images flattens those answered
    wrongly, and ascends the loss of all.

    Cost: that of plain training a step; the authors train for several times as many epochs. It consumes no records
    but the members. Weighted records count in the loss of a batch as in the compiled loss.

    Source: Chen, Yu and Fritz, "RelaxLoss: Defending Membership Inference Attacks without Losing Utility", ICLR 2022,
    section 4, algorithm 1.

    Args:
        target: a Keras classifier, or a training defence of one; compiled with a cross-entropy, averaged over records.
        alpha: the level of the loss, in nats, at least 0.
        upper: highest probability of the true class in a soft label, above 0 and at most 1.
        flatten: `"all"` or `"wrong"`: which records are flattened.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: an option out of range, a target that is no Keras model, or that is trained towards other labels
            than the true ones; at the first step, a loss that is not a mean cross-entropy.

    Example:
    ```python
    model = mpreg.RelaxLoss(target, alpha=0.8, upper=0.3)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=60)
    ```
    """

    def __init__(
        self,
        target: Any,
        *,
        alpha: float,
        upper: float = 1.0,
        flatten: str = "all",
        from_logits: bool | None = None,
        name: str = "relaxloss",
    ):
        part = Relaxation(alpha=alpha, upper=upper, flatten=flatten)
        super().__init__(target, [part], from_logits=from_logits, name=name)


@keras.saving.register_keras_serializable("mpreg")
class Relaxation(DefencePart):
    """Holds the loss of the records at a level.

    Args: as `RelaxLoss`.
    """

    stage = REPLACE
    decides = frozenset({LABELS, MIXTURES})  # it flattens around one true class a record
    private_reason = "turns by the loss of whole batches"

    def __init__(self, *, alpha, upper=1.0, flatten="all", **kwargs):
        super().__init__(**{"name": "relaxation", **kwargs})
        check_number("alpha", alpha, least=0)
        check_number("upper", upper, above=0, most=1)
        if flatten not in FLATTEN:
            raise ValueError(f"flatten must be one of {list(FLATTEN)}. Received: flatten={flatten!r}")
        self.alpha, self.upper, self.flatten = float(alpha), float(upper), flatten
        self.epochs = self.state("epochs", 0, dtype="int64")

    def control(self, members):
        return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self.epochs.assign_add(1))

    def penalize(self, batch, loss):
        if plain_reduction(batch) not in MEANS:
            raise ValueError(
                "the level of RelaxLoss is that of a mean over records, so the reduction of the loss must be one of "
                f"{list(MEANS)}. Received: loss={batch.loss!r}"
            )
        above = tf.stop_gradient(summed(loss)) - self.alpha  # of the whole batch, also where devices share it
        ascending = tf.abs(above) / replicas() + tf.sign(above) * (loss - tf.stop_gradient(loss))
        flattening = tf.where(above > 0, loss, self._flattened(batch, loss))
        return tf.where(self.epochs.value % 2 == 0, ascending, flattening)

    def _flattened(self, batch, loss):
        true, classes = batch.one_hot, batch.classes
        logs = batch.log_probabilities
        confidence = tf.reduce_sum(tf.exp(logs) * true, axis=-1, keepdims=True)
        confidence = tf.clip_by_value(confidence, 0.0, self.upper)
        soft = true * confidence + (1 - true) * (1 - confidence) / (classes - 1)
        if self.flatten == "all":
            return distribution_loss(batch, soft, batch.weights)
        wrong = tf.cast(tf.argmax(logs, axis=-1) != tf.argmax(true, axis=-1), tf.float32)
        weights = wrong if batch.weights is None else wrong * weight_row(batch.weights)
        return distribution_loss(batch, soft, weights) - loss

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "upper": self.upper, "flatten": self.flatten}
