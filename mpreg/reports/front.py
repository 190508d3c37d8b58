"""The front of privacy and utility: models that no other beats."""

from dataclasses import dataclass

from mpreg.metrics import Estimate
from mpreg.reports.schema import worse_of

COLLAPSED = 0.5  # of the best test accuracy: a model below it is of no use to anyone


@dataclass(frozen=True)
class Spot:
    """Holds a model's test accuracy and attack accuracy.

    Attributes:
        test: its test accuracy.
        attack: the highest accuracy of any attack, on members or on reference records.
        note: beside it, where it is the last of its line.
    """

    test: Estimate
    attack: Estimate
    note: str = ""

    @property
    def place(self):
        """Both accuracies as numbers."""
        return float(self.test), float(self.attack)


def on_front(places):
    """Returns which of several places no other beats: their numbers, by rising test accuracy.

    One beats another if it is at least as accurate and its attack at most as accurate, and better in one of both.
    A model with less than half of the best test accuracy has collapsed: it gives nothing away because it has learned
    nothing, and is left out.

    Args:
        places: pairs of test accuracy and attack accuracy.
    """
    least = COLLAPSED * max((test for test, _ in places), default=0.0)
    useful = [number for number, (test, _) in enumerate(places) if test >= least]
    kept = []
    for number in sorted(useful, key=lambda number: (-places[number][0], places[number][1])):
        best = places[kept[-1]] if kept else None
        if best is None or places[number][1] < best[1] or places[number] == best:
            kept.append(number)
    return kept[::-1]


def spots_of(models):
    """Returns the `Spot` of each report by name, with the higher attack accuracy of members and reference."""
    return {
        name: Spot(report["test_accuracy"], worse_of(report)["attack_accuracy"])
        for name, report in models.items()
    }
