"""Cross-fitting: every record is judged by an attack that never saw its membership."""

import copy
import math
from dataclasses import dataclass

import numpy as np

from mpreg._validate import check_count

FOLDS = 5

# In cross-fitting two records in different folds judge each other, so chance likeness of the two counts twice:
# where nothing leaks, the variance of the accuracy is up to twice that of independent records (exactly twice for
# scores linear in the known records), and its limits are up to this many times as far away.
WIDENING = math.sqrt(2)


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What an attack says of each record: scores, float (n,), and decisions, True where it says "member"."""

    member_scores: np.ndarray
    nonmember_scores: np.ndarray
    member_decisions: np.ndarray
    nonmember_decisions: np.ndarray


def cross_fit(attack, members, nonmembers, *, folds=FOLDS, seed=0):
    """Judges all records, each fold by a copy of the attack fitted on the other folds.

    An attack that learns nothing from the known records judges all of them at once.

    Args:
        attack: an `Attack`; it is copied, not changed.
        members, nonmembers: `Answers` of the records on either side.
        folds: number of parts, at least 2; at most the records of the smaller side.
        seed: seed of the parts and of the attack.

    Raises:
        ValueError: a side of fewer than two records, options out of range, or an attack whose scores are not
            one number a record.
    """
    (verdicts,) = cross_fit_each([attack], members, nonmembers, folds=folds, seed=seed)
    return verdicts


def cross_fit_each(attacks, members, nonmembers, *, folds=FOLDS, seed=0):
    """Yields the `Verdicts` of one attack after the other, as `cross_fit` does; all share the parts of the answers."""
    check_count("folds", folds, 2)
    check_count("seed", seed, 0)
    smaller = min(len(members), len(nonmembers))
    if smaller < 2:
        raise ValueError(
            "an attack needs at least 2 members and 2 non-members: some to learn from and others to judge. "
            f"Received: {len(members)} members and {len(nonmembers)} non-members"
        )
    sides = (members, nonmembers)
    parts = _draw(sides, min(folds, smaller), seed)
    whole = [_Fold(sides, sides, [slice(None)] * 2)]
    for attack in attacks:
        yield _verdicts(attack, sides, parts if attack.learns else whole, seed)


@dataclass(frozen=True, eq=False)
class _Fold:
    """Answers that an attack learns from, answers that it judges, and the rows of the latter, a pair each."""

    known: tuple
    judged: tuple
    rows: tuple


def _draw(sides, folds, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(side)) % folds for side in sides]
    drawn = []
    for fold in range(folds):
        rows = [np.flatnonzero(part == fold) for part in parts]
        known = [side[np.flatnonzero(part != fold)] for side, part in zip(sides, parts, strict=True)]
        drawn.append(_Fold(known, [side[own] for side, own in zip(sides, rows, strict=True)], rows))
    return drawn


def _verdicts(attack, sides, parts, seed):
    scores = [np.empty(len(side)) for side in sides]
    decisions = [np.empty(len(side), bool) for side in sides]
    for part in parts:
        fitted = copy.deepcopy(attack)
        fitted.fit(*part.known, seed=seed)
        for side, (judged, rows) in enumerate(zip(part.judged, part.rows, strict=True)):
            found = _scores(fitted, judged)
            scores[side][rows] = found
            decisions[side][rows] = found >= fitted.threshold
    return Verdicts(*scores, *decisions)


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
