"""Label smoothing."""

from typing import Any

import keras

from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.soft_labels import SmoothedLabels


@keras.saving.register_keras_serializable("mpreg")
class LabelSmoothing(TrainingDefence):
    """Trains a classifier towards labels of which a share is spread evenly over all classes.

    A baseline of regularization, not made against membership inference: it can raise the leakage. It also smooths
    integer labels, which Keras' own losses do not.

    Cost: that of plain training. It consumes no records but the members.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 7.

    Args:
        target: a Keras classifier, or a training defence of one.
        smoothing: the share, from 0 to below 1; 0.1 is usual.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: a share out of range, a target that is no Keras model or whose labels another defence decides.

    Example:
    ```python
    model = mpreg.LabelSmoothing(target, smoothing=0.1)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=30)
    ```
    """

    def __init__(
        self, target: Any, *, smoothing: float, from_logits: bool | None = None, name: str = "label_smoothing"
    ):
        super().__init__(target, [SmoothedLabels(smoothing=smoothing)], from_logits=from_logits, name=name)
