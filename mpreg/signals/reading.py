"""Checks predictions and labels and turns them into `Answers`."""

from typing import Any

from mpreg.classifiers.arrays import check_predictions, log_probabilities, refuse_softmax_of_one
from mpreg.classifiers.kind import are_logits
from mpreg.data import check_labels, label_indices
from mpreg.signals.answers import Answers

SIDES = ("members", "non-members")


def read_answers(
    predictions: Any,
    labels: Any,
    *,
    from_logits: bool | None = None,
    coarse: bool = False,
    side: str = "records",
):
    """Checks a model's predictions and labels and returns them as `Answers`.

    Args:
        predictions: probabilities or logits, (n, classes); one column or (n,) stands for two classes.
        labels: integer (n,) or (n, 1), or one-hot (n, classes).
        from_logits: whether predictions are logits; None decides by looking: rows of numbers in [0, 1] must
            then sum to one.
        coarse: whether predictions are probabilities that were rounded or truncated, rows of numbers in [0, 1] that
            need not sum to one and may be all 0, as from `mpreg.TopK` and `mpreg.Rounding`.
        side: whose records these are, for error messages.

    Raises:
        ValueError: no records, unequal numbers, NaN, labels out of range, probabilities outside [0, 1] or that
            do not sum to one, or that are said to be logits; coarse logits.

    Example:
    ```python
    answers = read_answers(model.predict(x), y)
    mpreg.signals.loss(answers)
    ```
    """
    predictions = check_predictions(predictions, side)
    labels = check_labels(labels, side)
    if len(predictions) != len(labels):
        raise ValueError(f"{side}: there are {len(predictions)} predictions for {len(labels)} labels")
    if predictions.shape[1] == 1 and label_indices(labels).max() > 1:
        raise ValueError(
            f"{side}: a single column of predictions stands for the classes 0 and 1, but there is a label of "
            f"{label_indices(labels).max()}. Give class probabilities or logits, (n, classes)"
        )
    from_logits = are_logits([predictions], from_logits=from_logits, coarse=coarse)
    logs = log_probabilities(predictions, from_logits=from_logits, coarse=coarse, side=side)
    classes = logs.shape[1]
    if labels.ndim == 2 and labels.shape[1] not in (1, classes):
        raise ValueError(
            f"{side}: one-hot labels of {labels.shape[1]} classes do not fit predictions of {classes}"
        )
    return Answers(logs, label_indices(labels, classes=classes, role=side))


def read_both(
    member_side: Any, nonmember_side: Any, *, from_logits: bool | None = None, coarse: bool = False
):
    """Returns the `Answers` for members and for non-members, each given as `(predictions, labels)`.

    Whether they are logits is decided once: a handful of logits may happen to lie in [0, 1].

    Raises:
        ValueError: as for `read_answers`; or the sides differ in classes; or all answers are that of a softmax
            over a single unit.
    """
    sides = dict(zip(SIDES, (member_side, nonmember_side), strict=True))
    checked = {side: check_predictions(predictions, side) for side, (predictions, _) in sides.items()}
    from_logits = are_logits(checked.values(), from_logits=from_logits, coarse=coarse)
    if not from_logits:
        refuse_softmax_of_one(checked.values(), [labels for _, labels in sides.values()])
    members, nonmembers = (
        read_answers(checked[side], labels, from_logits=from_logits, coarse=coarse, side=side)
        for side, (_, labels) in sides.items()
    )
    if members.classes != nonmembers.classes:
        raise ValueError(
            f"members were scored for {members.classes} classes, non-members for {nonmembers.classes}: "
            "both must come from one model"
        )
    return members, nonmembers
