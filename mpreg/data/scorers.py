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
        return held_out_by(self.classifier(), scaled(as_table(x)), y, folds)

    def classifier(self):
        """Returns the regression, unfitted: of records that are scaled already."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.strength, max_iter=self.iterations)


def held_out_by(classifier, x, y, folds):
    """Returns the probability of each label, (n,), by a scikit-learn classifier trained on the other folds.

    Args:
        classifier: it has `predict_proba`; copies of it are fitted.
        x: records, (n, features).
        y: labels, integer or one-hot.
        folds: the fold of each record, int (n,).
    """
    labels, found = label_indices(y), np.empty(len(y))
    for fold in np.unique(folds):
        own = folds == fold
        found[own] = taught_by(classifier, x[~own], labels[~own], x[own], labels[own])
    return found


def taught_by(classifier, known, known_labels, x, labels):
    """Returns the probability of each label, (n,), by a scikit-learn classifier trained on other records.

    A copy of the classifier is fitted. Labels that the other records lack have probability 0.
    """
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # their order is settled long before
        fitted = clone(classifier).fit(known, known_labels)
    columns = np.searchsorted(fitted.classes_, labels).clip(max=len(fitted.classes_) - 1)
    found = fitted.predict_proba(x)[np.arange(len(columns)), columns]
    return np.where(fitted.classes_[columns] == labels, found, 0.0)
