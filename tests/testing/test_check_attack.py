"""`check_attack` sees each promise broken, and nothing else."""

import re

import numpy as np
import pytest

from mpreg import signals
from mpreg.attacks import Attack, PreparedAttack
from mpreg.metrics import best_threshold
from mpreg.testing import check_attack


class Loss(Attack):
    """A threshold on the loss, which keeps every promise."""

    name = "loss"

    def fit(self, members, nonmembers, *, seed=0):
        self.threshold = best_threshold(self.score(members), self.score(nonmembers))
        return self

    def score(self, answers):
        return signals.loss(answers)


class Nameless(Loss):
    name = ""


class Needy(Loss):
    needs = frozenset({"luck"})


class Forgetful(Loss):
    def fit(self, members, nonmembers, *, seed=0):
        super().fit(members, nonmembers)


class Reversed(Loss):
    def score(self, answers):
        return -super().score(answers)


class Blind(Loss):
    def score(self, answers):
        return np.zeros(len(answers))


class Position(Loss):
    """Learns nothing from answers: it looks at how many records it is shown."""

    name = "position"
    learns = False
    calls = 0

    def score(self, answers):
        type(self).calls += 1
        return super().score(answers) + (100 if type(self).calls % 2 else 0)


class Relative(Loss):
    def score(self, answers):
        scores = super().score(answers)
        return scores - scores.mean()


class Unsure(Loss):
    def score(self, answers):
        return answers.true_class.copy()  # minus infinity where the model is sure of another class


class Moody(Loss):
    def score(self, answers):
        return super().score(answers) + np.random.default_rng().normal(size=len(answers))


class Scribbling(PreparedAttack):
    name = "scribbling"
    needs = frozenset({"records"})

    def score_all(self, access):
        access.inputs[0][:] = 0
        return signals.confidence(access.answers)


class Presumptuous(PreparedAttack):
    name = "presumptuous"

    def score_all(self, access):
        return signals.correctness(access.query(access.records, access.labels))


def promises_broken(make):
    """The promises that an error lists."""
    with pytest.raises(AssertionError) as caught:
        check_attack(make)
    head, *lines = str(caught.value).splitlines()
    assert re.search(rf" breaks {len(lines)} of \d+ promises:$", head)
    return lines


def test_an_attack_that_reads_the_loss_keeps_every_promise():
    check_attack(Loss)


@pytest.mark.parametrize(
    ("make", "promise"),
    [
        (Nameless, "It has a name.* the name is ''"),
        (Needy, "it needs .'luck'. of "),
        (Forgetful, "`fit` returns the attack.* fit returns something else"),
        (Presumptuous, "With what it needs and no more"),
        (Reversed, "they get the higher scores.* under its ROC curve is 0.[01]"),
        (Blind, "they get the higher scores.* under its ROC curve is 0.50"),
        (Position, "it has no advantage. its accuracy is 1.00"),
        (Unsure, "Where probabilities are exactly 0 and 1"),
        (Relative, "does not depend on those that are scored beside it"),
        (Moody, "Two runs with one seed"),
        (Scribbling, "It changes neither the records nor"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_promise_is_told(make, promise):
    assert any(re.search(promise, line) for line in promises_broken(make))


def test_what_is_no_attack_is_refused():
    with pytest.raises(TypeError, match="make must return an mpreg.attacks.Attack. Received: 'none'"):
        check_attack(lambda: "none")
