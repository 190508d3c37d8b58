"""What a protection is to reach, and the ladder of defences that it climbs."""

from dataclasses import dataclass

from mpreg._text import percent
from mpreg._validate import check_fraction, check_number


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a defended classifier may give away, and cost.

    Attributes:
        max_attack: accuracy that no attack may exceed, on members or on the reference records of the defence.
        max_loss: how much lower than the undefended classifier's the test accuracy may be, as a share.
        budget: what may be spent on training, in multiples of plain training; attacks by shadow models included.

    Raises:
        ValueError: a value out of range.
    """

    max_attack: float = 0.60
    max_loss: float = 0.03
    budget: float = 20.0

    def __post_init__(self):
        check_fraction("max_attack", self.max_attack)
        check_number("max_attack", self.max_attack, above=0.5, what="above 0.5, which is guessing")
        check_number("max_loss", self.max_loss, least=0, most=1)
        check_number("budget", self.budget, least=3, what="at least 3 times one plain training")

    def excess(self, attack, loss):
        """By how much a classifier misses, 0 where it meets both."""
        return max(0.0, attack - self.max_attack) + max(0.0, loss - self.max_loss)

    def __str__(self):
        points = f"{100 * self.max_loss:.3g} points of test accuracy"
        return f"an attack of at most {percent(self.max_attack)}, for at most {points}"


@dataclass(frozen=True)
class Rung:
    """A defence and the strengths that are tried, weak to strong.

    Attributes:
        defence: as `mpreg.catalogue.defence_of` knows it.
        strengths: None stands for the usual one.
        cost: of one training, in multiples of plain training, before it was measured.
    """

    defence: str
    strengths: tuple
    cost: float


LADDER = (
    Rung("early-stopping", (None, 0.4, 0.15), 0.7),
    Rung("l2", (1e-3, 3e-3, 1e-2), 1.2),
    Rung("advreg", (1.5, 3.0), 2.0),
    Rung("advreg-l2", (1.3, 2.0), 2.2),
    Rung("screened-advreg-l2", (1.3,), 2.5),
    Rung("selena-copies", (10,), 12.0),
)
