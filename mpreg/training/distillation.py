"""Distillation: trains a classifier towards a teacher's predictions."""

from typing import Any

import keras
import numpy as np
from keras import ops

from mpreg._validate import short_repr
from mpreg.classifiers.last_layer import loss_kind
from mpreg.classifiers.tensors import count_classes
from mpreg.data import label_indices
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.part import LABELS, UNPACK, DefencePart


def pack_labels(teacher_probabilities: Any, y: Any, classes: int):
    """Packs a teacher's predictions with the true labels, to fit a `Distillation` on.

    Args:
        teacher_probabilities: (n, classes).
        y: true labels, integers or one-hot.
        classes: number of classes.

    Returns:
        float32 (n, 2 * classes): the teacher's distribution, then the true label as one-hot.

    Raises:
        ValueError: answers that are not distributions over the classes, or labels of other records or classes.
    """
    teacher = np.asarray(teacher_probabilities, "float32")
    if teacher.ndim != 2 or teacher.shape[1] != classes:
        raise ValueError(f"teacher_probabilities must be (n, {classes}). Received: shape {teacher.shape}")
    wrong = np.flatnonzero(~((teacher >= 0).all(axis=1) & (np.abs(teacher.sum(axis=1) - 1) < 1e-3)))
    if len(wrong):
        raise ValueError(
            f"teacher_probabilities must be at least 0 and sum to 1. {len(wrong)} rows do not, the first is row "
            f"{wrong[0]}: {short_repr(teacher[wrong[0]])}"
        )
    labels = label_indices(y, classes=classes)
    if len(labels) != len(teacher):
        raise ValueError(f"the teacher answers {len(teacher)} records, but there are {len(labels)} labels")
    return np.concatenate([teacher, np.eye(classes, dtype="float32")[labels]], axis=1)


@keras.saving.register_keras_serializable("mpreg")
class Distilling(DefencePart):
    """Unpacks the labels of `pack_labels`: the target learns the teacher's, other parts see the true ones."""

    stage = UNPACK
    decides = frozenset({LABELS})
    private_reason = "learns the answers of a teacher, which knows other records"

    def prepare(self, batch):
        columns = batch.y.shape[-1] if len(batch.y.shape) == 2 else 1
        if columns < 4 or columns % 2:
            raise ValueError(
                "distillation is fitted on labels of mpreg.training.pack_labels(teacher_probabilities, y, classes), "
                f"two columns a class. Received labels of shape {tuple(batch.y.shape)}"
            )
        teacher, true = ops.split(ops.cast(batch.y, "float32"), 2, axis=-1)
        batch.labels, batch.y, batch.judged = teacher, true, true

    def relabel(self, batch):
        if batch.y.shape[-1] != batch.classes:
            raise ValueError(
                f"the labels are packed for {batch.y.shape[-1]} classes, but the target has {batch.classes}. "
                "Pack them with mpreg.training.pack_labels"
            )
        batch.judged = _as_compiled(batch.judged, batch.loss, batch.answers)

    def true_labels(self, y, model, answers):
        classes = count_classes(answers)
        packed = len(y.shape) == 2 and y.shape[-1] == 2 * classes
        return _as_compiled(y[:, classes:], model.loss, answers) if packed else y


def _as_compiled(one_hot, loss, answers):
    """One-hot labels as the compiled loss and metrics take them."""
    if answers.shape[-1] == 1:
        return one_hot[:, 1:]
    return ops.argmax(one_hot, axis=-1) if loss_kind(loss)[0].startswith("Sparse") else one_hot


@keras.saving.register_keras_serializable("mpreg")
class Distillation(TrainingDefence):
    """Trains a classifier towards a teacher's predictions instead of the labels.

    Fit it on the labels of `pack_labels`. Metrics, and what is composed with it, go by the true labels; evaluate it on
    plain labels.

    Cost: that of plain training, and the teacher. It consumes no records but those it is fitted on.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2, at
    temperature 1.

    Args:
        target: a Keras classifier, the student, or a training defence of one.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: a target that is no Keras model or whose labels another defence decides; at the first step,
            labels that are not packed.

    Example:
    ```python
    student = mpreg.training.Distillation(mpreg.AdversarialRegularization(target, reference))
    student.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    student.fit(x, mpreg.training.pack_labels(teacher.predict(x), y, classes=30), epochs=30)
    ```
    """

    def __init__(self, target: Any, *, from_logits: bool | None = None, name: str = "distillation"):
        super().__init__(target, [Distilling(name="distilling")], from_logits=from_logits, name=name)
