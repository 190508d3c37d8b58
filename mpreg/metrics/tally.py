"""Counts of members and non-members above every threshold, shared by all score metrics."""

from typing import NamedTuple

import numpy as np

from mpreg.metrics.checks import check_scores


class Tally(NamedTuple):
    """Holds the distinct scores, descending, and how many records of each side score at least that.

    Attributes:
        values: shape `(k,)`, the distinct scores from highest to lowest.
        true_positives, false_positives: shape `(k + 1,)`, integers: entry `i` counts the members and
            non-members among the `i` highest distinct scores, so entry 0 is 0 and the last is everyone.
    """

    values: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray

    @property
    def members(self):
        return int(self.true_positives[-1])

    @property
    def nonmembers(self):
        return int(self.false_positives[-1])

    @property
    def gains(self):
        """Returns TPR - FPR at each entry times `members * nonmembers`, as exact whole numbers."""
        return self.true_positives * self.nonmembers - self.false_positives * self.members


def tally(member_scores, nonmember_scores):
    """Counts both sides above every threshold; equal scores share one entry. Raises as `check_scores` does."""
    member_scores = np.sort(check_scores(member_scores, "member_scores"))
    nonmember_scores = np.sort(check_scores(nonmember_scores, "nonmember_scores"))
    values = np.concatenate([member_scores, nonmember_scores])
    # Of two sorted runs, a stable sort is one merge: with the two sorts, two thirds of the time of a single argsort.
    order = np.argsort(values, kind="stable")[::-1]
    values = values[order]
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), values.size - 1)
    true_positives = np.cumsum(order < member_scores.size, dtype=np.int64)[last]
    counts = true_positives, last + 1 - true_positives
    return Tally(values[last], *(np.concatenate([[0], side]) for side in counts))
