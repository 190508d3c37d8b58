"""The attack contract: fitted on records whose membership the attacker knows, scored on others."""

from abc import ABC, abstractmethod


class Attack(ABC):
    """A membership inference attack on a model's answers.

    `fit(members, nonmembers)` learns from `Answers` of known membership and sets `threshold`;
    `score(answers)` returns one float a record, higher for a more likely member, and calls a record a member
    where the score is at least `threshold`.

    Attributes:
        name: unique among the attacks of an evaluation.
        threshold: score from which on a record is called a member.
        learns: whether `fit` learns from the records, which makes the intervals of its figures wider.

    Example:
    ```python
    class Margin(Attack):
        name = "margin"

        def fit(self, members, nonmembers, *, seed=0):
            self.threshold = metrics.best_threshold(self.score(members), self.score(nonmembers))
            return self

        def score(self, answers):
            ranked = np.sort(answers.log_probabilities, axis=1)
            return ranked[:, -1] - ranked[:, -2]
    ```
    """

    name: str
    threshold: float
    learns = True

    @abstractmethod
    def fit(self, members, nonmembers, *, seed=0):
        """Learns from `Answers` of known members and non-members; returns self."""

    @abstractmethod
    def score(self, answers):
        """Scores of `Answers`, float (n,)."""
