"""Figures on canaries, the records planted to stand out, kept apart from all other records."""

from dataclasses import dataclass

import numpy as np

from mpreg import metrics
from mpreg.data import join_groups
from mpreg.evaluation.details import best_at_fpr
from mpreg.evaluation.headline import for_all_tried


@dataclass(frozen=True, eq=False)
class CanaryFigures:
    """Holds what attacks learn about canaries (`mpreg.plant_canaries`), which are judged among themselves.

    Each figure is the highest over all attacks, with limits that hold for all of them at once.

    Attributes:
        kind: of the canaries.
        report: the `PrivacyReport` of the canaries alone, with all attacks.
    """

    kind: str
    report: object

    @property
    def members(self):
        """Number of canaries among the members."""
        return self.report.members

    @property
    def nonmembers(self):
        """Number of canaries among the non-members."""
        return self.report.nonmembers

    @property
    def attack_accuracy(self):
        """Accuracy of the strongest attack."""
        return self.report.attack_accuracy

    @property
    def strongest_attack(self):
        """Name of the strongest attack."""
        return self.report.strongest_attack

    @property
    def attacks(self):
        """`AttackResult` by name."""
        return self.report.attacks

    @property
    def auc(self):
        """The highest AUC."""
        best = max(self.attacks.values(), key=lambda found: float(found.auc))
        scores = best.distinct.member_scores, best.distinct.nonmember_scores
        return for_all_tried(
            metrics.auc, metrics.auc_interval, scores, widen=best.learns, tried=len(self.attacks)
        )

    @property
    def tpr_at_fpr(self):
        """The highest true positive rate at each low false positive rate, `{0.001: ..., 0.01: ...}`."""
        return {fpr: tpr for fpr, _, tpr in best_at_fpr(self.report)}

    def to_dict(self):
        """JSON-ready: `canaries` of a report in `docs/report-schema.md`."""
        return {
            "kind": self.kind,
            "members": self.members,
            "nonmembers": self.nonmembers,
            "attack_accuracy": self.attack_accuracy.to_dict(),
            "strongest_attack": self.strongest_attack,
            "auc": self.auc.to_dict(),
            "tpr_at_fpr": {str(fpr): tpr.to_dict() for fpr, tpr in self.tpr_at_fpr.items()},
            "attacks": {name: found.figures() for name, found in self.attacks.items()},
        }


def apart(access, canaries):
    """Splits an `Access` into those of the other records and of the canaries.

    Args:
        access: the `Access` to all records of a split.
        canaries: its `Canaries`.
    """
    sizes = len(access.members), len(access.nonmembers)
    theirs = canaries.members, canaries.nonmembers
    others = [np.setdiff1d(np.arange(size), rows) for size, rows in zip(sizes, theirs, strict=True)]
    planted = access.subset(*theirs)
    # What is found of one twin is found of the other: a pair is one record, as copies are.
    if canaries.kind == "twins":
        planted.groups = tuple(_pairs(np.arange(len(rows)), len(rows)) for rows in theirs)
    return access.subset(*others), planted


def groups_of_pool(records, split):
    """Groups of the records of a split, members first, int (n,): equal ones are of one group, and twins are.

    Args:
        records: the pool, members and then non-members.
        split: the `MembershipSplit`.
    """
    if split.canaries is None or split.canaries.kind != "twins":
        return join_groups(records)
    sizes = len(split.members[1]), len(split.nonmembers[1])
    sides = [
        _pairs(rows, size)
        for rows, size in zip((split.canaries.members, split.canaries.nonmembers), sizes, strict=True)
    ]
    return join_groups(records, np.concatenate([sides[0], sizes[0] + sides[1]]))


def _pairs(rows, size):
    """A number for each of so many records, of which each two of these rows in turn share one."""
    groups = np.arange(size)
    groups[rows[1::2]] = rows[::2]
    return groups


def left_out(canaries):
    """Returns the note that all other figures exclude the canaries."""
    return f"{canaries} are judged in a section of their own: every other figure leaves them out."
