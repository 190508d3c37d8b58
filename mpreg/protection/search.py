"""The climb up the ladder: which defences are tried, within the budget, and which is taken."""

from dataclasses import dataclass, field
from typing import Any

from mpreg.protection.attacker import MIN_SHADOWS
from mpreg.protection.goal import LADDER
from mpreg.protection.trials import checked, tried

SEARCH_SHARE = 0.6  # of the budget, for trainings to choose by
CHECK_SHARE = (
    0.8  # and for shadow models to choose by; the rest is for the training and the attack of what is taken
)


@dataclass
class Search:
    """What was tried and what it cost.

    Attributes:
        job, goal: what is protected, and what is to be reached.
        trials: `Trial`s, plain training first.
        skipped: names of defences that the budget had no room for.
        taken: the `Trial` of the defence that is taken.
    """

    job: object
    goal: object
    trials: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    taken: Any = None

    @property
    def plain_seconds(self):
        """Of one plain training."""
        return max(self.trials[0].seconds, 1e-9)

    @property
    def spent(self):
        """In multiples of plain training."""
        return sum(trial.seconds + trial.shadow_seconds for trial in self.trials) / self.plain_seconds

    def cost(self, trial):
        """Of one training, in multiples of plain training."""
        return trial.seconds / self.plain_seconds

    def loss(self, trial):
        """Of test accuracy against plain training."""
        return float(self.trials[0].point.test_accuracy) - float(trial.point.test_accuracy)

    def excess(self, trial):
        """By how much it misses the goal."""
        return self.goal.excess(trial.attack, self.loss(trial))

    @property
    def met(self):
        """Whether what is taken meets the goal on the validation halves."""
        return self.excess(self.taken) == 0

    def can_check(self, trial):
        """Whether a trial was not attacked by shadow models, and the budget has room for that."""
        return (
            not trial.adaptive
            and self.spent + MIN_SHADOWS * self.cost(trial) <= CHECK_SHARE * self.goal.budget
        )

    def choose(self):
        """Takes the nearest of all."""
        self.taken = min(self.trials, key=self.excess)


def climb(job, goal, *, told=lambda search, trial: None, busy=lambda words: None):
    """A `Search` that stops at the first defence that meets the goal; where none does, it takes the nearest.

    One that meets the goal by the standard attacks is attacked by shadow models trained with it before it is taken.

    Args:
        job, goal: a `Job` and a `Goal`.
        told: function that is told of the search, and of what was tried last.
        busy: function that is told, in a few words, what is done.
    """
    search = Search(job, goal)
    for defence, strength, cost in _steps():
        if search.trials and search.spent + cost > SEARCH_SHARE * goal.budget:
            search.skipped.append(defence)
            continue
        busy(f"training {defence}")
        search.trials.append(tried(job, defence, strength))
        told(search, search.trials[-1])
        if search.excess(search.trials[-1]) == 0:
            _check(search, search.trials[-1], told, busy)
        search.choose()
        if search.met:
            return search
    while search.can_check(search.taken):  # what was not attacked so would look nearer than it is
        _check(search, search.taken, told, busy)
        search.choose()
    return search


def _check(search, trial, told, busy):
    if search.can_check(trial):
        found = checked(search.job, trial, MIN_SHADOWS, told=lambda words: busy(f"{trial.name}: {words}"))
        search.trials[search.trials.index(trial)] = found
        told(search, found)


def _steps():
    yield "undefended", None, 1.0
    for rung in LADDER:
        for strength in rung.strengths:
            yield rung.defence, strength, rung.cost
