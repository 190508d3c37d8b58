"""The attack interface: fitted on records whose membership is known, scored on others."""

from abc import ABC, abstractmethod

from mpreg.metrics import best_threshold

TRAINS_ALIKE = (
    "sees the model's answers and trains models like it"  # the threat model of all with shadow models
)


class Attack(ABC):
    """Base class of membership inference attacks on a model's predictions.

    `prepare(access)` is called once, before any `fit`, where an attack needs more than the answers;
    `fit(members, nonmembers)` learns from `Answers` of known membership and sets `threshold`;
    `score(answers)` returns one float a record, higher for a more likely member, and calls a record a member
    where the score is at least `threshold`. Where `prepare` returns an array, rows of it stand in for the `Answers`.

    Attributes:
        name: unique among the attacks of an evaluation; readers see it.
        key: what kind of attack it is, for programs: stable where a name may change, such as `"loss_threshold"`.
            None: of no kind that others know.
        threat_model: who carries it out, as the end of "An attacker who ...", such as `"sees only whether the
            model's answer is right"`. None: reports name the attack instead.
        threshold: score from which on a record is called a member.
        learns: whether `fit` learns from the records, which makes the intervals of its figures wider.
        needs: what the attacker must have beyond the target's answers, of `mpreg.attacks.NEEDS`:
            `"records"` (the judged inputs), `"numbers"` (inputs that are no text), `"model"` (queries to the target),
            `"population"` (records known not to be members), `"shadows"` (models trained like the target),
            `"weights"` (the target itself, a Keras model).

    Example:
    ```python
    class Margin(Attack):
        name = "margin"
        threat_model = "sees the model's answers and knows who was a member among other records"

        def fit(self, members, nonmembers, *, seed=0):
            self.threshold = metrics.best_threshold(self.score(members), self.score(nonmembers))
            return self

        def score(self, answers):
            ranked = np.sort(answers.log_probabilities, axis=1)
            return ranked[:, -1] - ranked[:, -2]
    ```
    """

    name: str
    key: str | None = None
    threat_model: str | None = None
    threshold: float
    learns = True
    needs: frozenset[str] = frozenset()

    def prepare(self, access):
        """Computes features from an `Access` that has everything `needs` names.

        Returns:
            None, or an array with a row for each judged record, members first, to learn from and judge by.
        """
        return None

    @abstractmethod
    def fit(self, members, nonmembers, *, seed=0):
        """Fits the attack to `Answers` (or prepared rows) of known members and non-members; returns self."""

    @abstractmethod
    def score(self, answers):
        """Returns scores for `Answers` (or prepared rows), float (n,)."""


class PreparedAttack(Attack):
    """Base class of attacks that score all records at once from an `Access`; `fit` only chooses the threshold.

    Subclasses write `score_all`; one that sets `learns = False` has a threshold of its own.
    """

    def prepare(self, access):
        return self.score_all(access)

    @abstractmethod
    def score_all(self, access):
        """Returns scores of the judged records, float (members + non-members,), members first."""

    def fit(self, member_scores, nonmember_scores, *, seed=0):
        if self.learns:
            self.threshold = best_threshold(member_scores, nonmember_scores)
        return self

    def score(self, scores):
        return scores
