"""Screening: leaving out of training the records that models which never saw them find least plausible."""

import copy
from typing import Any

import numpy as np

from mpreg._validate import check_count, check_fraction, short_repr
from mpreg.data.folds import deal_folds
from mpreg.data.groups import join_groups
from mpreg.data.labels import label_indices
from mpreg.data.left_out import LeftOut, check_probabilities
from mpreg.data.records import check_pair, take
from mpreg.data.scorers import LogisticScorer, held_out_by
from mpreg.data.split import MembershipSplit
from mpreg.data.table import as_table

FOLDS = 5


class Screening(LeftOut):
    """Leaves out of training the records to whose labels models that never saw them give the least probability.

    A record that stands out (a wrong label, an unusual input) can only be learned by memorization, which makes its
    membership easy to infer. Most defences protect the average record but not these; records that are not trained on
    cannot leak. Any training may follow, with or without a defence.

    Screening invalidates a differential privacy guarantee, because whether a record is kept depends on the others:
    `mpreg.PublicScreening` does not.

    It costs accuracy on clean data, unevenly: records of rare groups and hard classes are implausible too. `report()`
    shows whom it leaves out, and `most_of_a_class` limits it.

    Which records are left out depends on all of them, so screening is part of the training: an attacker who knows the
    defence also screens the records of the shadow models, and reference records are screened like members. Records
    that are left out still count as members in an audit, because they were given to the training.

    Source: the influence of single records in memorization as measured by Feldman and Zhang, NeurIPS 2020; that
    leaving out one layer of exposed records exposes the next: Carlini et al., "The Privacy Onion Effect", NeurIPS 2022.

    Args:
        scorer: what finds a label plausible: None for `mpreg.data.LogisticScorer()`, a scikit-learn classifier with
            `predict_proba`, `mpreg.FleetScorer(build, epochs=...)` for a Keras model, or any function
            `(x, y, folds)` of the probability of each record's own label, (n,), by a model of the other folds.
        share: share of the records to leave out, above 0 and below 1; alternatively
        least_probability: leaves out all records whose label has a lower probability than this.
        most_of_a_class: largest share of one class that may be left out, above 0 and below 1; other classes make
            up for it as far as their own limit allows. None sets no limit.
        folds: number of folds; each is scored by a model trained on the others.
        seed: of the folds.

    Raises:
        ValueError: an option out of range, both or neither of `share` and `least_probability`.

    Attributes:
        kept_: rows that are kept, int64, ascending.
        left_out_: rows that are left out, likewise.
        held_out_probability_: of each record's label, (n,), by a model that never saw it.
        folds_: the fold of each record, (n,).
        share_of_class_: by class, which share of its records is left out.

    Example:
    ```python
    screening = mpreg.Screening(share=0.1, most_of_a_class=0.3)
    kept = screening.fit(x, y)
    model.fit(x[kept], y[kept], epochs=30)
    print(screening.report())
    ```
    """

    remedy = "leave out fewer, or bound what a class may lose by most_of_a_class"

    def __init__(
        self,
        *,
        scorer: Any = None,
        share: float | None = None,
        least_probability: float | None = None,
        most_of_a_class: float | None = None,
        folds: int = FOLDS,
        seed: int = 0,
    ):
        if (share is None) == (least_probability is None):
            raise ValueError(
                "say how many records to leave out, by either share or least_probability. "
                f"Received: share={share!r}, least_probability={least_probability!r}"
            )
        given = {"share": share, "least_probability": least_probability, "most_of_a_class": most_of_a_class}
        for name, value in given.items():
            if value is not None:
                check_fraction(name, value)
        check_count("folds", folds, 2)
        check_count("seed", seed, 0)
        self.scorer = _check_scorer(scorer)
        self.share, self.least_probability, self.most_of_a_class = share, least_probability, most_of_a_class
        self.folds, self.seed = folds, seed

    def fit(self, x: Any, y: Any, *, groups: Any = None) -> np.ndarray:
        """Scores the records; returns the rows to keep, int64, ascending.

        Args:
            x: records, one array or a dict, list or tuple of arrays.
            y: labels, integer (n,) or one-hot (n, classes).
            groups: as for `mpreg.SplitDistillation.fit`: records that belong together are in one fold, and equal ones
                and near-duplicates of one class always are. Equal records with one label are kept or left out together.

        Raises:
            ValueError: NaN, one class alone, a class with fewer records that differ than folds, or a scorer that does
                not answer with probabilities.
        """
        x, y = check_pair((x, y), "records")
        labels = label_indices(y)
        self.folds_ = deal_folds(x, y, self.folds, groups=groups, seed=self.seed)
        self.held_out_probability_ = check_probabilities(self._score(x, y), len(labels))
        return self._settle(labels, *self._choose(labels, _numbered_pairs(join_groups(x), labels)))

    def screen_reference(self, reference: Any) -> Any:
        """Reference records `(x, y)` that a screening of theirs keeps; this one stays that of the members."""
        return take(reference, copy.copy(self).fit(*reference))

    def _score(self, x, y):
        if hasattr(self.scorer, "predict_proba"):
            return held_out_by(self.scorer, as_table(x), y, self.folds_)
        return self.scorer(x, y, self.folds_)

    def _choose(self, labels, units):
        """Which records are left out, bool (n,), the least plausible first, of a unit all or none; bounded classes."""
        probability, count = self.held_out_probability_, len(labels)
        sizes, firsts = np.bincount(units), np.unique(units, return_index=True)[1]
        lowest = np.full(len(sizes), np.inf)
        np.minimum.at(lowest, units, probability)
        if self.share is None:
            candidates, most = np.flatnonzero(lowest < self.least_probability), count
        else:
            candidates, most = np.arange(len(sizes)), count - round((1 - self.share) * count)
        room = {label: _room(self.most_of_a_class, (labels == label).sum()) for label in np.unique(labels)}
        chosen, capped = np.zeros(len(sizes), bool), set()
        for unit in candidates[np.argsort(lowest[candidates], kind="stable")]:
            label, size = labels[firsts[unit]], sizes[unit]
            if size > room[label] and size <= most:
                capped.add(int(label))
            elif size <= most:
                chosen[unit], most, room[label] = True, most - size, room[label] - size
        return chosen[units], capped


def screen(split: MembershipSplit, screening: Any) -> MembershipSplit:
    """A split to train on: the members and reference records of another that a `Screening` keeps.

    Train on it, and audit with the split that you had: the members that were left out were given to whoever trained,
    so an audit must count them, and non-members are not screened.

    Args:
        split: a `MembershipSplit`.
        screening: a `Screening`, which screens reference records by themselves and is afterwards that of the members;
            or a `PublicScreening`, which leaves reference records as they are.

    Raises:
        ValueError: as `Screening.fit`.

    Example:
    ```python
    screening = mpreg.Screening(share=0.1)
    kept = mpreg.screen(split, screening)
    model = mpreg.AdversarialRegularization(build(), kept.reference)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*kept.members, epochs=30)
    print(mpreg.evaluate(model, split), screening.report())
    ```
    """
    reference = split.reference
    if reference is not None:
        reference = screening.screen_reference(reference)
    members = take(split.members, screening.fit(*split.members))
    return MembershipSplit(members, reference, split.nonmembers, duplicates=split.duplicates)


def _room(share, records):
    """How many records of a class may be left out: never all."""
    return records - 1 if share is None else int(np.floor(share * records + 1e-9))


def _numbered_pairs(groups, labels):
    """Numbers of the different pairs of group and label."""
    return np.unique(np.stack([groups, labels], axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _check_scorer(scorer):
    scorer = LogisticScorer() if scorer is None else scorer
    if isinstance(scorer, type) or not (callable(scorer) or hasattr(scorer, "predict_proba")):
        raise ValueError(
            "scorer must be a scikit-learn classifier with predict_proba, mpreg.FleetScorer(build, epochs=...), or a "
            f"function (x, y, folds) of the probability of each record's label. Received: {short_repr(scorer)}"
        )
    return scorer
