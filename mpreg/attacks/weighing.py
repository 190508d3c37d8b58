"""Attacks that weigh many signals of a record together: a plain mean of some, a logistic regression, boosted trees."""

from abc import abstractmethod

import numpy as np

from mpreg.attacks.base import Attack
from mpreg.attacks.crossfit import deal_folds
from mpreg.signals.learned import LearnedScores, weights_of

ENOUGH = 5_000  # known records of a side: more teach no more, and take long
PARTS = 3  # of the known records, each judged by what the others teach, to learn what to believe
WEIGHED = 1_500  # known records of a side that the weights are learned from
SURE = 6.0  # twice the gain in log-likelihood by which two needless weights seem to help in 5 % of draws


class WeighingAttack(Attack):
    """A weighted sum of three scores of a record's signals: a plain mean, a logistic regression and boosted trees.

    The plain score learns nothing but means and spreads: it is the mean of the standardized columns in `plain`, those
    that are higher for members of whatever model. The regression and the trees learn from known records, trees what is
    not linear, the regression what is rare; the label, which comes last, is told to the trees alone. Where a model
    hardly leaks, so many columns teach chance alone, and the plain score ranks best; where it leaks in a way of its
    own, the learned scores do. The weights, none negative, are those of a logistic regression on scores of known
    records by what other known records teach (stacking; Wolpert, Neural Networks 1992, and Breiman, Machine Learning
    1996). Where they say no more than the plain score does, by a likelihood-ratio test at 5 %, that is all there is.

    Attributes:
        plain: columns of the plain score.
    """

    plain: slice | tuple

    def prepare(self, access):
        """What the attack reads of each judged record, (n, ...), members first: signals, the label and a number.

        Copies of a record share its number (`Access.groups`).
        """
        signals = np.stack([*self.read(access)], axis=1, dtype=np.float32)
        return np.column_stack([signals, np.concatenate(access.groups)])

    @abstractmethod
    def read(self, access):
        """Returns or yields the signals, (n,) each, the label last."""

    def fit(self, members, nonmembers, *, seed=0):
        rng = np.random.default_rng(seed)
        members, nonmembers = (_some(side, ENOUGH, rng) for side in (members, nonmembers))
        self._scores = LearnedScores(self.plain, seed).fit(members, nonmembers)
        self._weigh(*(_some(side, WEIGHED, rng) for side in (members, nonmembers)), rng, seed)
        return self

    def score(self, rows):
        return (self._scores(rows) @ self._weights - self._centre) / self._spread

    def _weigh(self, members, nonmembers, rng, seed):
        """Learns the weights and the threshold."""
        sides = members, nonmembers
        known = [np.empty((len(side), 3)) for side in sides]
        numbers = [side[:, -1].astype(int) for side in sides]
        parts = [deal_folds(own, PARTS, rng) for own in numbers]  # copies of a record tell of each other
        records = [len(np.unique(own)) for own in numbers]
        if min(records) < 2 * PARTS:
            known = [self._scores(side) * (1, 0, 0) for side in sides]
        else:
            for part in range(PARTS):
                others = [side[own != part] for side, own in zip(sides, parts, strict=True)]
                scores = LearnedScores(self.plain, seed).fit(*others)
                for side, own, found in zip(sides, parts, known, strict=True):
                    found[own == part] = scores(side[own == part])
        scores = np.concatenate(known)
        membership = np.repeat([True, False], [len(side) for side in sides])
        weights, offset, likelihood = weights_of(scores, membership)
        plain, plain_offset, plain_likelihood = weights_of(scores[:, :1], membership)
        share = membership.mean()
        # Copies are one record, and what is told of both sides alike hangs on the smaller one.
        worth = 4 * share * (1 - share) * sum(records) / len(scores)
        if 2 * worth * (likelihood - plain_likelihood) < SURE:
            weights, offset = np.array([*plain, 0.0, 0.0]), plain_offset
        # Scores of the folds of a cross-fit are ranked together, and how steep the weights are is partly chance.
        weighed = scores @ weights
        self._weights, self._centre, self._spread = weights, weighed.mean(), weighed.std() or 1.0
        self.threshold = -(offset + self._centre) / self._spread


def _some(side, count, rng):
    return side if len(side) <= count else side[rng.permutation(len(side))[:count]]
