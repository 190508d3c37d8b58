"""Chooses among defences by a rule fixed beforehand, and says whether the figures support the choice."""

from dataclasses import dataclass

from mpreg._text import percent_with_interval
from mpreg.metrics import Estimate

AFFORDED = 0.03  # test accuracy that privacy may cost


@dataclass(frozen=True)
class Choice:
    """Holds the chosen candidate and those that the figures do not distinguish from it.

    Attributes:
        name: of those that cost no more than is afforded, the one whose attack is least accurate.
        attack_accuracy: of that attack.
        tied: names of the others of them whose 95 % interval overlaps its own: the figures do not tell them apart.
        cheapest: of it and them, the name of the one of the highest test accuracy.
    """

    name: str
    attack_accuracy: Estimate
    tied: tuple
    cheapest: str

    @property
    def is_tie(self):
        """Whether the figures fail to distinguish the choice from another candidate."""
        return bool(self.tied)

    def to_dict(self):
        """JSON-ready."""
        return {
            "name": self.name,
            "attack_accuracy": self.attack_accuracy.to_dict(),
            "tie": self.is_tie,
            "tied": list(self.tied),
            "cheapest": self.cheapest,
        }

    def __str__(self):
        lowest = f"{self.name} has the lowest attack accuracy, {percent_with_interval(self.attack_accuracy)}"
        if not self.is_tie:
            return f"Chosen: {lowest}."
        return (
            f"No choice: {lowest}, but the figures do not tell it from {', '.join(self.tied)}: their 95 % intervals "
            f"overlap. Of these the cheapest is {self.cheapest}."
        )


def choose(candidates, *, first, afforded=AFFORDED):
    """Returns the `Choice` among candidates that cost no more test accuracy than allowed.

    Args:
        candidates: `(test accuracy, attack accuracy)` by name, `Estimate`s; the attack's is the higher of that on
            members and on reference records.
        first: name of the one that costs are counted from.
        afforded: how much lower the test accuracy may be.

    Example:
        >>> rates = {"none": (0.90, (0.80, 0.77, 0.83)), "l2": (0.89, (0.60, 0.57, 0.63))}
        >>> found = {name: (test, Estimate(*attack)) for name, (test, attack) in rates.items()}
        >>> choose(found, first="none").name
        'l2'
    """
    enough = float(candidates[first][0]) - afforded
    affordable = {name: rates for name, rates in candidates.items() if float(rates[0]) >= enough}
    best = min(affordable, key=lambda name: float(affordable[name][1]))
    high = affordable[best][1].high
    tied = tuple(name for name, (_, attack) in affordable.items() if name != best and attack.low <= high)
    cheapest = max((best, *tied), key=lambda name: float(affordable[name][0]))
    return Choice(best, affordable[best][1], tied, cheapest)
