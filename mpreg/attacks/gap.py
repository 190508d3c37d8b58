"""The gap attack: calls a record a member if it is classified correctly."""

from mpreg import signals
from mpreg.attacks.base import Attack
from mpreg.metrics import best_threshold


class GapAttack(Attack):
    """Calls a record a member if its predicted label is right; the accuracy is .5 + (train - test) / 2.

    Needs only the predicted label and learns nothing, so it bounds every other attack from below.

    Source: Yeom et al., "Privacy Risk in Machine Learning", CSF 2018, section 3.2, adversary 1 for 0-1 loss.
    """

    name = key = "gap"
    threat_model = "sees only whether the model's answer is right"
    threshold = 0.5
    learns = False

    def fit(self, members, nonmembers, *, seed=0):
        return self

    def score(self, answers):
        return signals.correctness(answers)


class ShareRightAttack(GapAttack):
    """The gap attack on records of several decisions: members are those where many of the answers are right.

    Source: as of `GapAttack`.
    """

    name = "share of right answers"
    threat_model = (
        "sees only which of the model's answers are right, and knows who was a member among other records"
    )
    learns = True

    def fit(self, members, nonmembers, *, seed=0):
        self.threshold = best_threshold(self.score(members), self.score(nonmembers))
        return self
