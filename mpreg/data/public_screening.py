"""Public screening: leaving out of training what a model of public records finds implausible."""

from typing import Any

import numpy as np

from mpreg._validate import check_fraction, short_repr
from mpreg.data.labels import label_indices
from mpreg.data.left_out import LeftOut, check_probabilities
from mpreg.data.records import check_pair
from mpreg.data.scorers import LogisticScorer, taught_by
from mpreg.data.table import as_table, scaled


class PublicScreening(LeftOut):
    """Leaves out of training the records to whose labels a model of public records gives little probability.

    Whether a record is kept depends on it and on the public records alone. So a differential privacy guarantee
    survives, as it does not with `mpreg.Screening`: with one record more or less, the records that are kept differ by
    it at most. (How many records are trained on counts as known, as everywhere in `mpreg.DPSGD`.) And near-duplicates
    cannot make each other plausible.

    What it costs, and whom, is as for `mpreg.Screening`: see `report()`. No class's share can be bounded, for that
    would depend on the other records. A record of a class that the public records lack is kept: nothing is known of it.

    Source: leaving out what stands out, as for `mpreg.Screening`; public records to prepare private training as in De
    et al., "Unlocking High-Accuracy Differentially Private Image Classification through Scale", 2022.

    Args:
        public: records `(x, y)` whose membership need not be hidden, such as reference records.
        least_probability: records whose label has a lower one are left out, above 0 and below 1. On tables, twice that
            of a guess is usual, 2 / classes, but at most .25.
        scorer: None for a logistic regression; another scikit-learn classifier with `predict_proba`, of which a copy is
            trained on the public records; or a function of records that gives class probabilities, (n, classes), such
            as `model.predict` of a Keras classifier that was trained on public records alone.

    Raises:
        ValueError: an option out of range, NaN in the public records, or one class of them alone.

    Attributes:
        kept_: rows that are kept, int64, ascending.
        left_out_: rows that are left out, likewise.
        probability_: of each record's label, (n,); 1 where the public records lack the class.
        share_of_class_: by class, which share of its records is left out.

    Example:
    ```python
    screening = mpreg.PublicScreening(split.reference, least_probability=2 / classes)
    x, y = mpreg.screen(split, screening).members
    model = mpreg.DPSGD.for_budget(build(), epsilon=8.0, delta=1e-5, examples=len(y), batch_size=256, epochs=30)
    print(screening.report())
    ```
    """

    def __init__(self, public: Any, *, least_probability: float, scorer: Any = None):
        self.public = check_pair(public, "public records")
        self.least_probability = check_fraction("least_probability", least_probability)
        self.scorer = _check_scorer(scorer)
        self._known = np.unique(label_indices(self.public[1]))
        if len(self._known) == 1:
            raise ValueError(
                f"public records must be of at least two classes. Received: class {self._known[0]} alone"
            )

    def fit(self, x: Any, y: Any) -> np.ndarray:
        """Scores the records; returns the rows to keep, int64, ascending.

        Args:
            x: records, shaped as the public ones.
            y: labels, integer (n,) or one-hot (n, classes).

        Raises:
            ValueError: NaN, records of another shape than the public ones, or a scorer that does not answer with
                class probabilities.
        """
        x, y = check_pair((x, y), "records")
        labels = label_indices(y)
        known = np.isin(labels, self._known)
        self.probability_ = np.where(known, check_probabilities(self._score(x, labels), len(labels)), 1.0)
        return self._settle(labels, self.probability_ < self.least_probability)

    def screen_reference(self, reference: Any) -> Any:
        """The reference records as they are: this screening is for the members."""
        return reference

    def _score(self, x, labels):
        if self.scorer is not None and not hasattr(self.scorer, "predict_proba"):
            return _own(np.asarray(self.scorer(x)), labels)
        table, known = as_table(x), as_table(self.public[0])
        if table.shape[1] != known.shape[1]:
            raise ValueError(
                f"records must have the {known.shape[1]} columns of the public ones. Received: {table.shape[1]}"
            )
        classifier = self.scorer
        if classifier is None:
            classifier, table, known = LogisticScorer().classifier(), scaled(table, by=known), scaled(known)
        return taught_by(classifier, known, label_indices(self.public[1]), table, labels)


def _own(answers, labels):
    """The probability of each record's own label."""
    if answers.ndim != 2 or len(answers) != len(labels) or labels.max() >= answers.shape[1]:
        raise ValueError(
            f"scorer must answer with class probabilities, ({len(labels)}, classes), more classes than the highest "
            f"label, {labels.max()}. Received: shape {answers.shape}"
        )
    if not np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            "scorer must answer with class probabilities that sum to 1: put a softmax behind logits. Received: sums "
            f"from {answers.sum(axis=1).min():.4g} to {answers.sum(axis=1).max():.4g}"
        )
    return answers[np.arange(len(labels)), labels]


def _check_scorer(scorer):
    if scorer is None or (hasattr(scorer, "predict_proba") and not isinstance(scorer, type)):
        return scorer
    if isinstance(scorer, type) or not callable(scorer):
        raise ValueError(
            "scorer must be None, a scikit-learn classifier with predict_proba, or a function of records that gives "
            f"class probabilities, such as model.predict. Received: {short_repr(scorer)}"
        )
    return scorer
