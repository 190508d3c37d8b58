"""Members and non-members counted above every threshold: one sort that serves all score metrics."""

from typing import NamedTuple

import numpy as np

from mpreg.metrics.checks import check_scores


class Tally(NamedTuple):
    """The distinct scores, descending, and how many records of each side score at least that.

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
        """TPR - FPR at each entry, times `members * nonmembers`: whole numbers, so equal gains are equal."""
        return self.true_positives * self.nonmembers - self.false_positives * self.members


def tally(member_scores, nonmember_scores):
    """Count both sides above every threshold; equal scores share one entry. Raises as `check_scores` does."""
    member_scores = check_scores(member_scores, "member_scores")
    nonmember_scores = check_scores(nonmember_scores, "nonmember_scores")
    values, position = np.unique(np.concatenate([member_scores, nonmember_scores]), return_inverse=True)
    member_counts = np.bincount(position[: member_scores.size], minlength=values.size)
    nonmember_counts = np.bincount(position[member_scores.size :], minlength=values.size)
    return Tally(values[::-1], _cumulate(member_counts[::-1]), _cumulate(nonmember_counts[::-1]))


def _cumulate(counts):
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
