"""Scorers: how plausible a record's label is to a model that never saw the record."""

import warnings

import numpy as np

from mpreg._validate import check_count, check_number
from mpreg.data.labels import label_indices
from mpreg.data.records import flatten
from mpreg.data.text import is_text


class LogisticScorer:
    """A logistic regression on the inputs, cross-fitted: seconds for a table, and blind to shapes in images.

    Columns of two values are taken as 0 and 1, all others standardized by their means and deviations.

    Args:
        strength: inverse of the L2 penalty, above 0.
        iterations: at most so many steps of L-BFGS.

    Raises:
        ValueError: an option out of range; when called, records that hold text.

    Example:
    ```python
    mpreg.Screening(scorer=mpreg.data.LogisticScorer(strength=0.1), share=0.1)
    ```
    """

    def __init__(self, strength=0.3, *, iterations=100):
        self.strength = check_number("strength", strength, above=0)
        self.iterations = check_count("iterations", iterations, 1)

    def __call__(self, x, y, folds):
        """Probability of each record's own label, (n,), by a model of the other folds."""
        from sklearn.linear_model import LogisticRegression

        classifier = LogisticRegression(C=self.strength, max_iter=self.iterations)
        return held_out_by(classifier, _scaled(as_table(x)), y, folds)


def held_out_by(classifier, x, y, folds):
    """Probability of each record's own label, (n,), that a scikit-learn classifier answers after the other folds.

    Args:
        classifier: it has `predict_proba`; copies of it are fitted.
        x: records, (n, features).
        y: labels, integer or one-hot.
        folds: the fold of each record, int (n,).
    """
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    labels, found = label_indices(y), np.empty(len(y))
    for fold in np.unique(folds):
        own = folds == fold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # their order is settled long before
            fitted = clone(classifier).fit(x[~own], labels[~own])
        columns = np.searchsorted(fitted.classes_, labels[own])
        found[own] = fitted.predict_proba(x[own])[np.arange(len(columns)), columns]
    return found


def as_table(x):
    """Records as one table of numbers, float32 (n, features): inputs side by side, images pixel by pixel.

    Raises:
        ValueError: text.
    """
    arrays = [np.asarray(array) for array in flatten(x)]
    if any(map(is_text, arrays)):
        raise ValueError(
            "this scorer reads numbers, and the records hold text: give scorer= a model that reads it, such as "
            "mpreg.FleetScorer, or any function (x, y, folds) of the probability of each label"
        )
    return np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in arrays], axis=1)


def _scaled(table):
    """Columns of two values as 0 and 1, others standardized."""
    low, high = table.min(axis=0), table.max(axis=0)
    binary = ((table == low) | (table == high)).all(axis=0)
    deviation = table.std(axis=0)
    scale = np.where(binary, high - low, deviation)
    return (table - np.where(binary, low, table.mean(axis=0))) / np.where(scale > 0, scale, 1)
