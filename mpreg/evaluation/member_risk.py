"""Risk of single records: attack scores calibrated as membership probabilities."""

from dataclasses import dataclass, field

import numpy as np

from mpreg.attacks.crossfit import FOLDS, deal_folds
from mpreg.data import distinct_rows
from mpreg.metrics.shapes import histogram

PRIOR = 0.5
LIKELY = (0.5, 0.75, 0.9, 0.99)  # membership probabilities that records are counted above


@dataclass(frozen=True, eq=False)
class MemberRisk:
    """Holds the probability that each record is a member, given its score and a prior of one half.

    Attributes:
        attack: name of the attack whose scores were calibrated.
        members, nonmembers: float (n,), strictly between 0 and 1, in the order of the records.
    """

    attack: str
    members: np.ndarray = field(repr=False)
    nonmembers: np.ndarray = field(repr=False)

    def to_dict(self):
        """Returns a summary over all records as plain values: counts above some probabilities, and shares in bins."""
        sides = {"members": self.members, "nonmembers": self.nonmembers}
        return {
            "attack": self.attack,
            "above": [
                {"probability": level, **{name: int((side > level).sum()) for name, side in sides.items()}}
                for level in LIKELY
            ],
            "histogram": histogram(*sides.values(), limits=(0.0, 1.0)),
        }


def calibrate(member_scores, nonmember_scores, *, groups=None, folds=FOLDS, seed=0):
    """Turns scores into membership probabilities by cross-fitting: each fold uses a curve fitted on the others.

    The curve is isotonic: within a fold a higher score never has a lower probability. Both sides weigh the same,
    so that the prior is one half however many records either has. One record of the other kind is put at either
    end of the scores, so that nobody is called certain on the strength of the few most extreme records.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member; at least 2 of each.
        groups: which scores are of one record, a pair of int (n,): all of a group are in one part. None: each is of a
            record of its own.
        folds: number of parts, at most the records of the smaller side.
        seed: seed of the parts.

    Returns:
        `(members, nonmembers)`, float (n,) each, strictly between 0 and 1.

    Raises:
        ValueError: a side of fewer than 2 scores, or NaN.

    Source: Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability estimates",
    KDD 2002; the records at the ends are those of Vovk & Petej, "Venn-Abers predictors", UAI 2014, of both labels.
    """
    sides = [np.asarray(side, np.float64) for side in (member_scores, nonmember_scores)]
    groups = groups or [np.arange(len(side)) for side in sides]
    records = [len(np.unique(own)) for own in groups]
    if min(records) < 2 or any(np.isnan(side).any() for side in sides):
        raise ValueError(
            "calibration needs at least 2 scores on either side, none NaN. "
            f"Received: {records[0]} of members and {records[1]} of non-members"
        )
    # Ranks from 1: isotonic regression asks for the order alone, and scores may be infinite.
    ranks = 1 + np.unique(np.concatenate(sides), return_inverse=True)[1].reshape(-1)
    membership = np.repeat([1.0, 0.0], [len(side) for side in sides])
    rng = np.random.default_rng(seed)
    folds = min(folds, *records)
    part = np.concatenate([deal_folds(own, folds, rng) for own in groups])
    first = np.zeros(len(ranks), bool)  # a record teaches the curve once, however many copies it has
    first[distinct_rows(groups[0])] = first[len(sides[0]) + distinct_rows(groups[1])] = True
    risk = np.empty(len(ranks))
    for fold in range(folds):
        own = part == fold
        known = first & ~own
        risk[own] = np.interp(ranks[own], *_curve(ranks[known], membership[known]))
    return risk[: len(sides[0])], risk[len(sides[0]) :]


def member_risk(result, *, seed=0):
    """Returns the `MemberRisk` of an `AttackResult`."""
    return MemberRisk(
        result.name,
        *calibrate(result.member_scores, result.nonmember_scores, groups=result.groups, seed=seed),
    )


def _curve(ranks, membership):
    """The isotonic curve of membership, as ranks and probabilities to interpolate between.

    Args:
        ranks: whole numbers of at least 1, (n,).
        membership: 1.0 for members, 0.0 for others, (n,).
    """
    from scipy.optimize import isotonic_regression  # slow to import, and the files are often read without it

    each = 0.5 / np.array([np.sum(membership == 0), np.sum(membership == 1)])
    weights = each[membership.astype(int)]
    ends = np.array([ranks.min() - 1, ranks.max() + 1])
    ranks, weights = np.concatenate([ranks, ends]), np.concatenate([weights, each[::-1]])
    membership = np.concatenate([membership, [1.0, 0.0]])
    heavy, shares = np.bincount(ranks, weights), np.bincount(ranks, weights * membership)
    places = np.flatnonzero(heavy)
    return places, isotonic_regression(shares[places] / heavy[places], weights=heavy[places]).x
