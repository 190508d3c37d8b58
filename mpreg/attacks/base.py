"""The attack contract: fitted on records whose membership the attacker knows, scored on others."""

from abc import ABC, abstractmethod


class Attack(ABC):
    """A membership inference attack on a model's answers.

    `fit(members, nonmembers)` learns from `Answers` of known membership and sets `threshold`;
    `score(answers)` returns one float a record, higher for a more likely member, and calls a record a member
    where the score is at least `threshold`.
    """

    name: str
    threshold: float

    @abstractmethod
    def fit(self, members, nonmembers, *, seed=0):
        """Learns from `Answers` of known members and non-members; returns self."""

    @abstractmethod
    def score(self, answers):
        """Scores of `Answers`, float (n,)."""
