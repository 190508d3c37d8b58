"""Predictions and labels, checked and read into `Answers`."""

import numpy as np

from mpreg.data import check_labels, label_indices
from mpreg.signals.answers import Answers

ROUNDING = 4e-3  # answers in bfloat16, the coarsest type, still sum to one within this
SIDES = ("members", "non-members")


def read_answers(predictions, labels, *, from_logits=None, coarse=False, side="records"):
    """`Answers` from a model's predictions, checked.

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
    predictions = _check_predictions(predictions, side)
    labels = check_labels(labels, side)
    if len(predictions) != len(labels):
        raise ValueError(f"{side}: there are {len(predictions)} predictions for {len(labels)} labels")
    if predictions.shape[1] == 1 and label_indices(labels).max() > 1:
        raise ValueError(
            f"{side}: a single column of predictions stands for the classes 0 and 1, but there is a label of "
            f"{label_indices(labels).max()}. Give class probabilities or logits, (n, classes)"
        )
    if _are_logits([predictions], from_logits, coarse):
        log_probabilities = _log_softmax(predictions, side)
    else:
        log_probabilities = _log_of_probabilities(predictions, side, coarse)
    classes = log_probabilities.shape[1]
    if labels.ndim == 2 and labels.shape[1] not in (1, classes):
        raise ValueError(
            f"{side}: one-hot labels of {labels.shape[1]} classes do not fit predictions of {classes}"
        )
    return Answers(log_probabilities, label_indices(labels, classes=classes, role=side))


def read_both(member_side, nonmember_side, *, from_logits=None, coarse=False):
    """`Answers` of one model to members and to non-members, each given as `(predictions, labels)`.

    Whether they are logits is decided once: a handful of logits may happen to lie in [0, 1].

    Raises:
        ValueError: as for `read_answers`; or the sides differ in classes; or all answers are that of a softmax
            over a single unit.
    """
    sides = dict(zip(SIDES, (member_side, nonmember_side), strict=True))
    checked = {side: _check_predictions(predictions, side) for side, (predictions, _) in sides.items()}
    from_logits = _are_logits(checked.values(), from_logits, coarse)
    if not from_logits:
        _refuse_softmax_of_one(checked.values(), [labels for _, labels in sides.values()])
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


def look_like_logits(predictions):
    """Whether any prediction lies outside [0, 1], as probabilities never do."""
    predictions = np.asarray(predictions)
    return bool(predictions.size and (predictions.min() < 0 or predictions.max() > 1))


def _are_logits(sides, from_logits, coarse):
    """What the caller says of all predictions of a model, or what they look like; coarse ones are never logits."""
    if coarse and from_logits:
        raise ValueError(
            "coarse=True is for probabilities that were rounded or truncated, not for logits. "
            "Remove it, or from_logits=True"
        )
    if coarse or from_logits is not None:
        return bool(from_logits)
    return any(map(look_like_logits, sides))


def _check_predictions(predictions, side):
    predictions = np.asarray(predictions)
    if predictions.dtype.name == "bfloat16":  # a type that NumPy itself knows nothing of
        predictions = predictions.astype(np.float32)
    if predictions.dtype.kind not in "biuf" or predictions.ndim not in (1, 2) or 0 in predictions.shape[1:]:
        raise ValueError(
            f"{side}: predictions must be numbers, shape (n, classes). "
            f"Received: shape {predictions.shape}, type {predictions.dtype}"
        )
    if len(predictions) == 0:
        raise ValueError(f"{side} is empty: there must be at least one record")
    predictions = predictions.reshape(len(predictions), -1).astype(np.float64, copy=False)
    bad = np.flatnonzero(~np.isfinite(predictions).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{side}: {len(bad)} predictions hold NaN or infinite values, the first is row {bad[0]}"
        )
    return predictions


def _refuse_softmax_of_one(predictions, labels):
    """A softmax over one unit says 1 to everything, and would be read as a sure vote for class 1."""
    single = all(side.shape[1] == 1 and (side == 1).all() for side in predictions)
    if single and any((np.asarray(side) != 1).any() for side in labels):
        raise ValueError(
            "all predictions are a single 1, as from a softmax over one unit, which tells nothing. "
            "Use one unit a class, or a sigmoid for two classes"
        )


def _log_softmax(logits, side):
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    elif _are_distributions(logits) and np.any((logits > 0) & (logits < 1)):
        raise ValueError(
            f"{side}: predictions were said to be logits, but all rows are probabilities that sum to one. "
            "Say from_logits=False"
        )
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return shifted - np.log1p(_sum_of_others(shifted))[:, None]


def _sum_of_others(shifted):
    """Sum of exp over all but one of the highest logits, which are 0: small sums keep all their digits."""
    powers = np.exp(shifted)
    powers[np.arange(len(powers)), np.argmax(shifted, axis=1)] = 0.0
    return np.sum(powers, axis=1)


def _are_distributions(predictions):
    return not look_like_logits(predictions) and np.all(np.abs(predictions.sum(axis=1) - 1.0) <= ROUNDING)


def _log_of_probabilities(probabilities, side, coarse):
    if probabilities.min() < 0 or probabilities.max() > 1:
        row = np.flatnonzero((probabilities < 0).any(axis=1) | (probabilities > 1).any(axis=1))[0]
        raise ValueError(
            f"{side}: probabilities must lie in [0, 1]. Row {row} holds {probabilities[row].min():.4g} to "
            f"{probabilities[row].max():.4g}. If these are logits, say from_logits=True"
        )
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=1)
    sums = probabilities.sum(axis=1)
    bad = np.flatnonzero(np.abs(sums - 1.0) > ROUNDING)
    if len(bad) and not coarse:
        raise ValueError(
            f"{side}: probabilities must sum to one. {len(bad)} rows do not, the first is row {bad[0]} with a sum "
            f"of {sums[bad[0]]:.4g}. If these are logits, say from_logits=True; if the model rounds or truncates its "
            "answers, coarse=True"
        )
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
