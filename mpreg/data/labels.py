"""Labels: class indices or one-hot rows; or, where a record holds several decisions, a label for each of them."""

import numpy as np

from mpreg._validate import short_repr

ONE, LABELS, POSITIONS = DECISIONS = "one", "labels", "positions"
NOT_COUNTED = -1  # the label of a position that does not count, such as padding
_SEVERAL = (
    "For a model that decides yes or no on each of several labels, or a class at each of many positions, say "
    'decisions="labels" or decisions="positions" (--decisions): mpreg.evaluate and mpreg audit attack such models; '
    "defences that train, but for DP-SGD, are for one class a record"
)


def check_labels(y, role="labels"):
    """Checks and returns labels: integer class indices (n,) or (n, 1), or one-hot (n, classes).

    Raises:
        ValueError: negative, fractional or non-numeric labels, or rows that are not one-hot.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2):
        raise ValueError(
            f"{role}: labels must be class indices (n,) or one-hot (n, classes). "
            f"Received: shape {y.shape}, type {y.dtype}{f'. {_SEVERAL}' if y.ndim > 2 else ''}"
        )
    if not np.all(np.isfinite(y)):
        raise ValueError(
            f"{role}: labels hold {int(np.sum(~np.isfinite(y)))} values that are NaN or infinite"
        )
    if y.ndim == 2 and y.shape[1] == 0:
        raise ValueError(f"{role}: labels hold no column. Received: shape {y.shape}")
    if y.ndim == 2 and y.shape[1] > 1:
        bad = np.flatnonzero((np.sum(y != 0, axis=1) != 1) | (np.sum(y, axis=1) != 1))
        if len(bad):
            raise ValueError(
                f"{role}: one-hot labels must have a single 1 a row. {len(bad)} rows do not, the first is row "
                f"{bad[0]}: {short_repr(y[bad[0]])}{f'. {_SEVERAL}' if np.isin(y, (0, 1)).all() else ''}"
            )
        return y
    bad = y[(y < 0) | (y != np.floor(y))]
    if len(bad):
        raise ValueError(
            f"{role}: labels must be class indices 0, 1, 2, ... {len(bad)} are not, the first is {bad.flat[0]}. "
            "mpreg works on classifiers; for regression targets there are no classes to attack"
        )
    return y


def check_decisions(decisions):
    """What one record holds: `"one"` class, several `"labels"` that are each yes or no, or a class at `"positions"`.

    Raises:
        ValueError: anything else.
    """
    if decisions not in DECISIONS:
        raise ValueError(f"decisions must be one of {DECISIONS}. Received: {decisions!r}")
    return decisions


def check_several(y, decisions, role="labels"):
    """Labels of records that hold several decisions, int64, checked: (n, labels), or (n, ...) for positions.

    Args:
        y: for `"labels"` a 0 or 1 for each label, (n, labels); for `"positions"` a class index for each position,
            (n, ...) or (n, ..., 1), and -1 where a position does not count.
        decisions: `"labels"` or `"positions"`.
        role: whose they are, for errors.

    Raises:
        ValueError: labels of another form, or a record none of whose positions counts.
    """
    y = np.asarray(y)
    wanted = (
        "a 0 or a 1 for each label, shape (records, labels)"
        if decisions == LABELS
        else "a class index for each position, shape (records, ...), and -1 where it does not count"
    )
    fits = (
        y.dtype.kind in "biuf" and (y.ndim == 2 if decisions == LABELS else y.ndim >= 2) and 0 not in y.shape
    )
    if not fits:
        raise ValueError(f"{role}: labels must be {wanted}. Received: shape {y.shape}, type {y.dtype}")
    if decisions == POSITIONS and y.ndim > 2 and y.shape[-1] == 1:
        y = y[..., 0]
    bad = y[(y != 0) & (y != 1)] if decisions == LABELS else y[(y < NOT_COUNTED) | (y != np.floor(y))]
    if len(bad):
        raise ValueError(f"{role}: labels must be {wanted}. {len(bad)} are not, the first is {bad.flat[0]}")
    y = y.astype(np.int64)
    empty = np.flatnonzero((y == NOT_COUNTED).reshape(len(y), -1).all(axis=1))
    if len(empty):
        raise ValueError(
            f"{role}: none of the positions counts in {len(empty)} records, the first is {empty[0]}"
        )
    return y


def count_labels(y):
    """Returns the number of classes of integer or one-hot labels."""
    y = np.asarray(y)
    return y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else 1 + int(label_indices(y).max())


def label_indices(y, classes=None, role=None):
    """Returns class indices (n,), int64, of integer or one-hot labels; `role` names them in errors.

    Raises:
        ValueError: a label of `classes` or more.
    """
    y = np.asarray(y)
    indices = np.argmax(y, axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(np.int64)
    if classes is not None and len(indices) and indices.max() >= classes:
        from_one = indices.max() == classes and indices.min() > 0
        raise ValueError(
            f"{f'{role}: ' if role else ''}labels must be below the number of classes, {classes}. "
            f"Received a label of {indices.max()}{'. If your labels count from 1, subtract 1' if from_one else ''}"
        )
    return indices
