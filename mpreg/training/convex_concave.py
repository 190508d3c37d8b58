"""Convex-concave loss: cross-entropy with a concave term, which spreads the losses of members."""

from typing import Any

import keras
import tensorflow as tf

from mpreg._validate import check_number
from mpreg.training.core.batch import add_penalty, mean_present, presence
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.part import LABELS, MIXTURES, REPLACE, DefencePart


@keras.saving.register_keras_serializable("mpreg")
class ConvexConcaveLoss(TrainingDefence):
    """Trains a classifier by `scale * (alpha * cross-entropy - (1 - alpha) * exp(p))`, p the true class's probability.

    Convex losses draw the losses of members together, which makes them easy to tell from others; the concave term
    counteracts this. Its gradient is greatest where the record is known already.

    Cost: that of plain training. It consumes no records but the members.

    Source: Liu et al., "Mitigating Privacy Risk in Membership Inference by Convex-Concave Loss", ICML 2024, with the
    concave exponential loss; the usual options are those of the authors' published commands, for SGD at a rate of 0.1.

    Args:
        target: a Keras classifier, or a training defence of one; compiled with a cross-entropy, averaged over records.
        alpha: weight of the cross-entropy, above 0 and at most 1; with 1 and a `scale` of 1 it is plain training.
        scale: factor of the whole loss (beta in the paper), above 0; it makes no difference to Adam.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: an option out of range, a target that is no Keras model, or that is trained towards other labels
            than the true ones.

    Example:
    ```python
    model = mpreg.ConvexConcaveLoss(target, alpha=0.5)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=30)
    ```
    """

    def __init__(
        self,
        target: Any,
        *,
        alpha: float = 0.5,
        scale: float = 0.05,
        from_logits: bool | None = None,
        name: str = "convex_concave_loss",
    ):
        super().__init__(target, [ConcaveTerm(alpha=alpha, scale=scale)], from_logits=from_logits, name=name)


@keras.saving.register_keras_serializable("mpreg")
class ConcaveTerm(DefencePart):
    """Takes part of a loss, and adds the concave exponential one.

    Args: as `ConvexConcaveLoss`.
    """

    stage = REPLACE
    decides = frozenset({LABELS, MIXTURES})  # it reads one true class a record

    def __init__(self, *, alpha, scale, **kwargs):
        super().__init__(**{"name": "concave_term", **kwargs})
        check_number("alpha", alpha, above=0, most=1)
        check_number("scale", scale, above=0)
        self.alpha, self.scale = float(alpha), float(scale)

    def penalize(self, batch, loss):
        true = tf.reduce_sum(tf.exp(batch.log_probabilities) * batch.one_hot, axis=-1)
        concave = mean_present(tf.exp(true), presence(batch.weights, true))
        return add_penalty(self.scale * self.alpha * loss, -self.scale * (1 - self.alpha) * concave)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "scale": self.scale}
