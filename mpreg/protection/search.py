"""The climb up the ladder: which defences are tried, within the budget, and which is taken."""

from dataclasses import dataclass, field

from mpreg.protection.goal import LADDER
from mpreg.protection.trials import tried

SEARCH_SHARE = 0.6  # of the budget; the rest is for the training and the attack of what is taken


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
    taken: object = None

    @property
    def plain_seconds(self):
        """Of one plain training."""
        return max(self.trials[0].seconds, 1e-9)

    @property
    def spent(self):
        """In multiples of plain training."""
        return sum(trial.seconds for trial in self.trials) / self.plain_seconds

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


def climb(job, goal, *, told=lambda search: None):
    """A `Search` that stops at the first defence that meets the goal; where none does, it takes the nearest.

    Args:
        job, goal: a `Job` and a `Goal`.
        told: function that is told of the search after each training.
    """
    search = Search(job, goal)
    for defence, strength, cost in _steps():
        if search.trials and search.spent + cost > SEARCH_SHARE * goal.budget:
            search.skipped.append(defence)
            continue
        trial = tried(job, defence, strength)
        search.trials.append(trial)
        search.taken = min(search.trials, key=search.excess)
        told(search)
        if search.met:
            break
    return search


def _steps():
    yield "undefended", None, 1.0
    for rung in LADDER:
        for strength in rung.strengths:
            yield rung.defence, strength, rung.cost
