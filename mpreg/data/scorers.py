"""Scorers: how plausible a label is to a model that never saw the record."""

import warnings
from typing import Any

import numpy as np

from mpreg._validate import check_count, check_number
from mpreg.data.labels import label_indices
from mpreg.data.table import as_table, scaled


class LogisticScorer:
    """Scores labels with a cross-fitted logistic regression: fast on tables, weak on images.

    Columns of two values are taken as 0 and 1, all others standardized by their means and deviations.

    Args:
        strength: inverse of the L2 penalty, above 0. Weak ones let near-duplicates vouch for one another.
        iterations: at most so many steps of L-BFGS.

    Raises:
        ValueError: an option out of range; when called, records that hold text.

    Example:
    ```python
    mpreg.Screening(scorer=mpreg.data.LogisticScorer(strength=0.01), share=0.1)
    ```
    """

    def __init__(self, strength: float = 0.05, *, iterations: int = 50):
        self.strength = check_number("strength", strength, above=0)
        self.iterations = check_count("iterations", iterations, 1)

    def __call__(self, x: Any, y: Any, folds: int):
        """Returns the probability of each record's label, (n,), by a model trained on the other folds."""
        from sklearn.linear_model import LogisticRegression

        classifier = LogisticRegression(C=self.strength, max_iter=self.iterations)
        return held_out_by(classifier, scaled(as_table(x)), y, folds)


def held_out_by(classifier, x, y, folds):
    """Returns the probability of each label, (n,), by a scikit-learn classifier trained on the other folds.

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
