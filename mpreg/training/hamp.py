"""HAMP: high-entropy labels and an entropy bonus."""

from typing import Any

import keras

from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.entropy_bonus import open_bonus
from mpreg.training.core.soft_labels import HighEntropyLabels


@keras.saving.register_keras_serializable("mpreg")
class HAMP(TrainingDefence):
    """Trains a classifier towards less confident predictions: high-entropy soft labels and an entropy bonus.

    In a soft label, the probability of the true class is such that the label's entropy is `gamma * log(classes)`; the
    other classes share the rest. The loss is the divergence of the predictions from these labels, minus `alpha` times
    the predictions' mean entropy. (The logged loss is the cross-entropy, which is larger than the divergence by the
    labels' entropy, a constant.) On its own this part may not reduce leakage: the other part of HAMP is
    `mpreg.RankOnly`, applied to the deployed target: `mpreg.defend(model.target_model,
    mpreg.RankOnly.from_model(model.target_model, random_inputs))`.

    The authors' code averages the divergence over the classes too, so an `alpha` of theirs is `alpha * classes` here,
    as in `mpreg.preset("hamp", ...)`; and it finds the probability in steps of 0.01, here it is exact.

    Cost: that of plain training. It consumes no records but the members.

    Source: Chen and Pattabiraman, "Overconfidence is a Dangerous Thing: Mitigating Membership Inference Attacks by
    Enforcing Less Confident Prediction", NDSS 2024, sections III-B and III-C.

    Args:
        target: a Keras classifier, or a training defence of one.
        gamma: entropy of the labels as a share of the highest, above 0 and below 1.
        alpha: weight of the answers' entropy in nats, at least 0.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: an option out of range, a target that is no Keras model or whose labels another defence decides.

    Example:
    ```python
    model = mpreg.HAMP(target, **mpreg.preset("hamp", "location30"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=30)
    ```
    """

    def __init__(
        self, target: Any, *, gamma: float, alpha: float, from_logits: bool | None = None, name: str = "hamp"
    ):
        parts = [HighEntropyLabels(gamma=gamma), open_bonus("alpha", alpha)]
        super().__init__(target, parts, from_logits=from_logits, name=name)
