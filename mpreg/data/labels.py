"""Labels: class indices or one-hot rows."""

import numpy as np

from mpreg._validate import short_repr


def check_labels(y, role="labels"):
    """Labels as given, checked: integer class indices (n,) or (n, 1), or one-hot (n, classes).

    Raises:
        ValueError: negative, fractional or non-numeric labels, or rows that are not one-hot.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2):
        raise ValueError(
            f"{role}: labels must be class indices (n,) or one-hot (n, classes). "
            f"Received: shape {y.shape}, type {y.dtype}"
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
                f"{bad[0]}: {short_repr(y[bad[0]])}"
            )
        return y
    bad = y[(y < 0) | (y != np.floor(y))]
    if len(bad):
        raise ValueError(
            f"{role}: labels must be class indices 0, 1, 2, ... {len(bad)} are not, the first is {bad.flat[0]}. "
            "mpreg works on classifiers; for regression targets there are no classes to attack"
        )
    return y


def count_labels(y):
    """How many classes integer or one-hot labels tell apart: the columns, or the indices up to the highest."""
    y = np.asarray(y)
    return y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else 1 + int(label_indices(y).max())


def label_indices(y, classes=None, role=None):
    """Class indices (n,), int64, of integer or one-hot labels; `role` tells whose they are in an error.

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
