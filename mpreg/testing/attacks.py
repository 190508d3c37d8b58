"""What every attack promises, and `check_attack`."""

import math
from dataclasses import dataclass

import numpy as np

from mpreg._validate import short_repr
from mpreg.attacks import NEEDS, Access, Attack, ShadowModels, cross_fit, draw_membership
from mpreg.attacks.base import PreparedAttack
from mpreg.evaluation.evaluate import evaluate_predictions
from mpreg.metrics import auc, balanced_accuracy
from mpreg.signals import read_both
from mpreg.testing.leaky import Guess, Leaky
from mpreg.testing.material import copy_of, records
from mpreg.testing.promises import check_promises, expect

SIDE = 100  # members, and as many non-members
SHADOWS = 8
MIN_AUC = 0.65  # where a model leaks nearly all
MAX_CHANCE = 0.15  # by how much chance may move an accuracy from .5, with so few records


def check_attack(make):
    """Checks that an attack keeps its contract, on a model that remembers its members and on one that only guesses.

    It must say what it needs and do with that, give each record one finite score by itself, higher for members, find
    nothing where there is nothing to be found, follow the seed and change no data.

    Args:
        make: function without arguments that returns a new attack.

    Raises:
        AssertionError: it lists each promise that is broken.
        TypeError: what `make` returns is no attack.

    Example:
    ```python
    def test_mine():
        check_attack(lambda: Mine(strength=3))
    ```
    """
    made = make()
    if not isinstance(made, Attack):
        raise TypeError(f"make must return an mpreg.attacks.Attack. Received: {short_repr(made)}")
    check_promises(type(made).__name__, PROMISES, Case(make))


@dataclass(frozen=True)
class Case:
    """An attack to try: a function without arguments that makes it."""

    make: object

    def access(self, model=Leaky, *, seed=0, **changes):
        """What it says that it needs, of a target that was trained on the first half of some records."""
        needs = self.make().needs
        x, y = records(2 * SIDE)
        own = np.arange(2 * SIDE) < SIDE
        target = model(x[own], y[own])
        sides = [(target(x[side]), y[side]) for side in (own, ~own)]
        has = {
            "inputs": (x[own], x[~own]) if "records" in needs else None,
            "query": target if "model" in needs else None,
            "population": records(SIDE, seed=1) if "population" in needs else None,
            "shadows": shadow_models(x, y) if "shadows" in needs else None,
        }
        return Access(*read_both(*sides, from_logits=False), seed=seed, **{**has, **changes})

    def verdicts(self, access):
        """The attack's verdicts on all records, each by a copy that never saw its membership."""
        attack = self.make()
        prepared = attack.prepare(access)
        return cross_fit(attack, access.members, access.nonmembers, scores=prepared, seed=access.seed)


def shadow_models(x, y):
    """Shadow models that remember theirs as the target does."""
    membership = draw_membership(SHADOWS, len(y), SIDE)
    models = [Leaky(x[own], y[own], seed=1 + number) for number, own in enumerate(membership)]
    return ShadowModels(
        membership,
        np.stack([model(x) for model in models]),
        y,
        query=lambda x: np.stack([model(x) for model in models]),
        from_logits=False,
    )


def it_says_what_it_is(case):
    """It has a name, and `needs` holds what `mpreg.attacks.NEEDS` knows; key and threat model are text or None."""
    attack = case.make()
    expect(isinstance(attack.name, str) and attack.name, f"the name is {attack.name!r}")
    expect(set(attack.needs) <= set(NEEDS), f"it needs {sorted(attack.needs)} of {sorted(NEEDS)}")
    for name in ("key", "threat_model"):
        value = getattr(attack, name)
        expect(value is None or isinstance(value, str), f"{name} is {value!r}")


def it_learns_and_judges(case):
    """With what it needs and no more, `fit` returns the attack and sets a threshold, and every score is finite."""
    access, attack = case.access(), case.make()
    prepared = attack.prepare(access)
    sides = (access.members, access.nonmembers) if prepared is None else np.split(np.asarray(prepared), 2)
    expect(attack.fit(*sides, seed=0) is attack, "fit returns something else")
    expect(math.isfinite(attack.threshold), f"the threshold is {attack.threshold!r}")
    for side in sides:
        scores = np.asarray(attack.score(side), float)
        expect(scores.shape == (SIDE,), f"the scores of {SIDE} records have shape {scores.shape}")
        expect(np.isfinite(scores).all(), f"{(~np.isfinite(scores)).sum()} of {SIDE} scores are not finite")


def it_gives_members_the_higher_scores(case):
    """Where a model remembers its members, they get the higher scores and are told from others."""
    found = case.verdicts(case.access())
    area = float(auc(found.member_scores, found.nonmember_scores))
    expect(area >= MIN_AUC, f"the area under its ROC curve is {area:.2f}")
    accuracy = float(balanced_accuracy(found.member_decisions, found.nonmember_decisions))
    expect(accuracy > 0.5, f"its accuracy is {accuracy:.2f}")


def it_finds_nothing_where_nothing_is(case):
    """Where a model gives every record the same answer, it has no advantage."""
    found = case.verdicts(case.access(Guess))
    accuracy = float(balanced_accuracy(found.member_decisions, found.nonmember_decisions))
    expect(abs(accuracy - 0.5) <= MAX_CHANCE, f"its accuracy is {accuracy:.2f}")


def it_stands_sure_answers(case):
    """Where probabilities are exactly 0 and 1, its scores are finite."""
    found = case.verdicts(case.access(lambda x, y: Leaky(x, y, sharpness=1e4)))
    for scores in (found.member_scores, found.nonmember_scores):
        expect(np.isfinite(scores).all(), f"{(~np.isfinite(scores)).sum()} of {SIDE} scores are not finite")


def its_score_is_of_the_record_alone(case):
    """The score of a record does not depend on those that are scored beside it."""
    access, attack = case.access(), case.make()
    if isinstance(attack, PreparedAttack):
        return  # it scores the pool at once
    prepared = attack.prepare(access)
    sides = (access.members, access.nonmembers) if prepared is None else np.split(np.asarray(prepared), 2)
    attack.fit(*sides, seed=0)
    rows = np.arange(3, 40)
    np.testing.assert_allclose(attack.score(sides[0][rows]), attack.score(sides[0])[rows], rtol=1e-6)


def it_follows_the_seed(case):
    """Two runs with one seed give the same scores and decisions."""
    one, other = (case.verdicts(case.access(seed=3)) for _ in range(2))
    for name in ("member_scores", "nonmember_scores", "member_decisions", "nonmember_decisions"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def it_changes_no_data(case):
    """It changes neither the records nor the population that it is given."""
    access = case.access()
    given = [pair for pair in (access.inputs, access.population) if pair is not None]
    kept = [copy_of(pair) for pair in given]
    case.verdicts(access)
    for pair, copies in zip(given, kept, strict=True):
        expect(all((one == other).all() for one, other in zip(pair, copies, strict=True)), "they are others")


def it_stands_in_a_report(case):
    """An evaluation with it reports it by its name."""
    attack = case.make()
    if attack.needs - {"shadows"}:
        return  # predictions alone do not serve it
    x, y = records(2 * SIDE)
    target = Leaky(x[:SIDE], y[:SIDE])
    sides = target(x[:SIDE]), y[:SIDE], target(x[SIDE:]), y[SIDE:]
    shadows = shadow_models(x, y) if attack.needs else None
    report = evaluate_predictions(*sides, attacks=[attack], shadows=shadows)
    expect(attack.name in report.attacks, f"it reports {sorted(report.attacks)}")


PROMISES = (
    it_says_what_it_is,
    it_learns_and_judges,
    it_gives_members_the_higher_scores,
    it_finds_nothing_where_nothing_is,
    it_stands_sure_answers,
    its_score_is_of_the_record_alone,
    it_follows_the_seed,
    it_changes_no_data,
    it_stands_in_a_report,
)
