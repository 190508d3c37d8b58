"""Single records and single classes: the most vulnerable members and the classes that leak most."""

import math
from dataclasses import dataclass

import numpy as np

from mpreg import metrics
from mpreg.attacks.crossfit import WIDENING
from mpreg.data import distinct_rows
from mpreg.metrics import Estimate


@dataclass(frozen=True)
class VulnerableRecord:
    """Describes a member that an attack identifies with confidence.

    Attributes:
        index: row of the record among the members, as in `split.members`.
        label: its class.
        score: the attack's score, higher for a more likely member.
        called_member: the verdict of the attack, made by a copy that never saw the record's membership.
        fpr: share of non-members that score at least as high: how often an innocent record looks like this.
        risk: probability that it is a member, where half of all records are; the one of `MemberRisk`.
        tied: how many other members score exactly the same: which of them come first says nothing.
    """

    index: int
    label: int
    score: float
    called_member: bool
    fpr: float
    risk: float
    tied: int


@dataclass(frozen=True)
class ClassLeakage:
    """Describes what an attack learns about the records of one class.

    Attributes:
        label: the class.
        members, nonmembers: numbers of its records.
        train_accuracy, test_accuracy: of the model, on either; NaN where there are none.
        attack_accuracy: the attack's accuracy at equal weight of both sides, with a 95 % interval; NaN where a
            side has no record.
    """

    label: int
    members: int
    nonmembers: int
    train_accuracy: float
    test_accuracy: float
    attack_accuracy: Estimate

    def to_dict(self):
        """JSON-ready; null where a side has no record."""
        rates = {
            "train_accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "generalization_gap": self.train_accuracy - self.test_accuracy,
        }
        return {
            "label": self.label,
            "members": self.members,
            "nonmembers": self.nonmembers,
            **{name: None if math.isnan(rate) else rate for name, rate in rates.items()},
            "attack_accuracy": self.attack_accuracy.to_dict(),
        }


def best_at_low_fpr(attacks):
    """Returns the name of the attack that ranks members best at low false positive rates.

    That of the highest mean TPR up to an FPR of 1 %, of equals that of the highest AUC. An attack may be right most
    often and yet know no record from the next, such as a threshold that most members reach.

    Args:
        attacks: `AttackResult`s by name.
    """

    def rank(name):
        found = attacks[name].distinct
        return metrics.mean_tpr(found.member_scores, found.nonmember_scores), float(attacks[name].auc)

    return max(attacks, key=rank)


def most_vulnerable(result, labels, risk, count):
    """Returns the `count` members with the highest scores as `VulnerableRecord`s, highest first.

    Args:
        result: an `AttackResult`.
        labels: classes of the members, (n,).
        risk: of the members, (n,), as in `MemberRisk`.
        count: how many, at most all.
    """
    order = np.argsort(-result.member_scores, kind="stable")[:count]
    others = np.sort(result.nonmember_scores)
    below = np.searchsorted(others, result.member_scores[order], side="left")
    _, alike, counts = np.unique(result.member_scores, return_inverse=True, return_counts=True)
    tied = counts[alike.reshape(-1)] - 1
    return [
        VulnerableRecord(
            index=int(index),
            label=int(labels[index]),
            score=float(result.member_scores[index]),
            called_member=bool(result.member_decisions[index]),
            fpr=float(1.0 - lower / len(others)),
            risk=float(risk[index]),
            tied=int(tied[index]),
        )
        for index, lower in zip(order, below, strict=True)
    ]


def leakage_per_class(result, member_labels, nonmember_labels, member_right, nonmember_right):
    """Lists a `ClassLeakage` for each class that has a record, from the one that leaks most to the least.

    Classes without records on one side, whose attack accuracy is undefined, come last.

    Args:
        result: an `AttackResult`.
        member_labels, nonmember_labels: classes of the records.
        member_right, nonmember_right: bool, whether the model classifies each record correctly.
    """
    found = []
    for label in np.union1d(member_labels, nonmember_labels):
        own, other = member_labels == label, nonmember_labels == label
        found.append(
            ClassLeakage(
                label=int(label),
                members=int(own.sum()),
                nonmembers=int(other.sum()),
                train_accuracy=_share(member_right[own]),
                test_accuracy=_share(nonmember_right[other]),
                attack_accuracy=_accuracy(result, own, other),
            )
        )
    return sorted(found, key=_by_leak)


def _by_leak(leak):
    accuracy = float(leak.attack_accuracy)
    return math.isnan(accuracy), -accuracy, leak.label


def _share(values):
    return float(np.mean(values)) if len(values) else math.nan


def _firsts(groups, rows):
    rows = np.flatnonzero(rows)
    return rows[distinct_rows(groups[rows])]


def _accuracy(result, own, other):
    if result.groups is not None:  # copies of a record count once
        own, other = (_firsts(groups, rows) for groups, rows in zip(result.groups, (own, other), strict=True))
    said, said_other = result.member_decisions[own], result.nonmember_decisions[other]
    if not len(said) or not len(said_other):
        return Estimate(math.nan, 0.0, 1.0)
    limits = metrics.balanced_accuracy_interval(said, said_other)
    accuracy = Estimate(metrics.balanced_accuracy(said, said_other), *limits)
    return accuracy.widened(WIDENING) if result.learns else accuracy
