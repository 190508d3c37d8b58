"""Cross-fitting: every record is judged by an attack that never saw its membership."""

import copy
import math
from dataclasses import dataclass

import numpy as np

from mpreg._validate import check_count
from mpreg.attacks.base import PreparedAttack

FOLDS = 5

ALL = (slice(None), slice(None))

# In cross-fitting two records in different folds judge each other, so chance likeness of the two counts twice:
# where nothing leaks, the variance of the accuracy is up to twice that of independent records (exactly twice for
# scores linear in the known records), and its limits are up to this many times as far away.
WIDENING = math.sqrt(2)


@dataclass(frozen=True, eq=False)
class AttackScores:
    """Holds an attack's scores, float (n,), and decisions, True for "member", for the records of both sides."""

    member_scores: np.ndarray
    nonmember_scores: np.ndarray
    member_decisions: np.ndarray
    nonmember_decisions: np.ndarray

    def subset(self, member_rows, nonmember_rows):
        """Returns the scores and decisions of some of the records."""
        return AttackScores(
            self.member_scores[member_rows],
            self.nonmember_scores[nonmember_rows],
            self.member_decisions[member_rows],
            self.nonmember_decisions[nonmember_rows],
        )


def cross_fit(attack, members, nonmembers, *, scores=None, groups=None, folds=FOLDS, seed=0):
    """Scores all records, each fold with a copy of the attack fitted on the other folds.

    An attack that learns nothing from the known records judges all of them at once.

    Args:
        attack: an `Attack`; it is copied, not changed.
        members, nonmembers: `Answers` of the records on either side.
        scores: what the attack's `prepare` returned: None, or one score (or row) for each record, members first.
        groups: which rows are one record, a pair of int (n,) as `mpreg.data.group_records` gives them; all rows of a
            group are in one fold. None: each row is a record of its own.
        folds: number of parts, at least 2; at most the records of the smaller side.
        seed: seed of the parts and of the attack.

    Raises:
        ValueError: a side of fewer than two records, options out of range, or an attack whose scores are not
            one number a record.
    """
    (verdicts,) = cross_fit_each(
        [attack], members, nonmembers, scores=[scores], groups=groups, folds=folds, seed=seed
    )
    return verdicts


def cross_fit_each(attacks, members, nonmembers, *, scores=None, groups=None, folds=FOLDS, seed=0):
    """Yields the `AttackScores` of several attacks in turn, as `cross_fit` does, on the same folds.

    Args:
        scores: for each attack what its `prepare` returned; None where no attack was prepared.
    """
    check_count("folds", folds, 2)
    check_count("seed", seed, 0)
    sides = (members, nonmembers)
    groups = groups or [np.arange(len(side)) for side in sides]
    records = [len(np.unique(own)) for own in groups]
    smaller = min(records)
    if smaller < 2:
        copies = " that are no copies of each other" if sum(records) < sum(map(len, sides)) else ""
        raise ValueError(
            "an attack needs at least 2 members and 2 non-members: some to learn from and others to judge. "
            f"Received: {records[0]} members and {records[1]} non-members{copies}"
        )
    # By whether an attack learns.
    drawn = {True: _draw(groups, min(folds, smaller), seed), False: [_Fold(ALL, ALL)]}
    parts = {learns: [fold.subset(sides) for fold in folds] for learns, folds in drawn.items()}
    for attack, given in zip(attacks, scores or [None] * len(attacks), strict=True):
        folds = drawn[bool(attack.learns)]
        if given is not None:
            rows = _by_side(attack, given, sides)
            yield _verdicts(attack, sides, folds, [fold.subset(rows) for fold in folds], seed)
        elif isinstance(attack, PreparedAttack):
            raise ValueError(
                f"attack {attack.name!r} judges by more than the answers: give scores=attack.prepare(access)"
            )
        else:
            yield _verdicts(attack, sides, folds, parts[bool(attack.learns)], seed)


@dataclass(frozen=True, eq=False)
class _Fold:
    """Rows that an attack learns from and rows that it judges, of members and of non-members."""

    known: tuple
    judged: tuple

    def subset(self, sides):
        """What is known and what is judged of anything that has a row for each record of either side."""
        return [
            [side[own] for side, own in zip(sides, rows, strict=True)] for rows in (self.known, self.judged)
        ]


def deal_folds(groups, folds, rng):
    """Assigns rows to folds of about equally many groups, (n,); all rows of a group share a fold."""
    _, numbers = np.unique(groups, return_inverse=True)
    return (rng.permutation(numbers.max() + 1) % folds)[numbers.reshape(-1)]


def _draw(groups, folds, seed):
    rng = np.random.default_rng(seed)
    parts = [deal_folds(own, folds, rng) for own in groups]
    return [
        _Fold(
            tuple(np.flatnonzero(part != fold) for part in parts),
            tuple(np.flatnonzero(part == fold) for part in parts),
        )
        for fold in range(folds)
    ]


def _by_side(attack, scores, sides):
    scores, records = np.asarray(scores, np.float64), sum(map(len, sides))
    if scores.ndim == 0 or len(scores) != records:
        raise ValueError(
            f"attack {attack.name!r} must give one score a record, shape ({records},). "
            f"Received: shape {scores.shape}"
        )
    return scores[: len(sides[0])], scores[len(sides[0]) :]


def _verdicts(attack, sides, folds, parts, seed):
    scores = [np.empty(len(side)) for side in sides]
    decisions = [np.empty(len(side), bool) for side in sides]
    for fold, (known, judged) in zip(folds, parts, strict=True):
        fitted = copy.deepcopy(attack)
        fitted.fit(*known, seed=seed)
        for side, rows in enumerate(fold.judged):
            found = _scores(fitted, judged[side])
            scores[side][rows] = found
            decisions[side][rows] = found >= fitted.threshold
    return AttackScores(*scores, *decisions)


def _scores(attack, answers):
    scores = np.asarray(attack.score(answers), np.float64)
    if scores.shape != (len(answers),):
        raise ValueError(
            f"attack {attack.name!r} must give one score a record, shape ({len(answers)},). "
            f"Received: shape {scores.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError(
            f"attack {attack.name!r} gave NaN for {int(np.isnan(scores).sum())} of {len(scores)} records"
        )
    return scores
