"""Confidence penalty: answers of low entropy cost."""

from typing import Any

import keras

from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.entropy_bonus import open_bonus


@keras.saving.register_keras_serializable("mpreg")
class ConfidencePenalty(TrainingDefence):
    """Trains a classifier whose loss falls by `weight` times the mean entropy of its answers.

    A baseline of regularization, not made against membership inference.

    Cost: that of plain training. It consumes no records but the members.

    Source: Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output Distributions", ICLR 2017
    workshop, section 3.

    Args:
        target: a Keras classifier, or a training defence of one.
        weight: of the entropy in nats, at least 0; 0.1 is usual.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: a weight out of range, a target that is no Keras model or is paid for entropy already.

    Example:
    ```python
    model = mpreg.ConfidencePenalty(target, weight=0.1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=30)
    ```
    """

    def __init__(
        self, target: Any, *, weight: float, from_logits: bool | None = None, name: str = "confidence_penalty"
    ):
        super().__init__(target, [open_bonus("weight", weight)], from_logits=from_logits, name=name)
