"""Limits on what a model may leak, for continuous integration: `attack_accuracy=0.6`."""

import math
from dataclasses import dataclass

from mpreg.audit.measures import FIGURES, measures_of
from mpreg.metrics import FPRS, supported_fpr
from mpreg.reports import words

_SHARE = (0.0, 1.0, "a share; 0.6 for 60 %")
_BOUNDS = {
    "generalization_gap": (-1.0, 1.0, "a difference of two shares, from -1 to 1; 0.1 for 10 points"),
    "epsilon_lower_bound": (0.0, math.inf, "at least 0"),
}
_FPR_OF = {f"tpr_at_fpr_{fpr:g}": fpr for fpr in FPRS}


@dataclass(frozen=True)
class Gate:
    """Holds a figure of a report and its limit.

    Attributes:
        figure: its name, of `FIGURES`.
        limit: the highest value allowed.
        value: what was measured, the highest of all attacks, on members and on reference records.
        low: the lower end of its 95 % interval, which holds for all of them at once.
        attack: the attack it is of; None where it is of none.
        of: whose records it is of, `"members"` or `"reference"`.
        note: what a reader must know of it, such as too few non-members for a low FPR; None for nothing.
    """

    figure: str
    limit: float
    value: float
    low: float
    attack: str | None
    of: str = "members"
    note: str | None = None

    @property
    def failed(self):
        """Whether the value is above the limit, regardless of the interval."""
        return self.value > self.limit

    @property
    def certain(self):
        """Whether the whole interval is above the limit."""
        return self.low > self.limit

    @property
    def measured(self):
        """The value, and whose it is, as text."""
        return words.measured(self.to_dict())

    @property
    def verdict(self):
        """The result as text."""
        return words.verdict(self.to_dict())

    def to_dict(self):
        """Returns plain values for JSON."""
        names = ("figure", "limit", "value", "low", "attack", "of", "note", "failed", "certain")
        return {name: getattr(self, name) for name in names}


def parse_limit(text):
    """Parses `"attack_accuracy=0.6"` into `("attack_accuracy", 0.6)`.

    Raises:
        ValueError: an unknown figure, or a limit that is no number or none that the figure can reach.
    """
    figure, equals, number = text.partition("=")
    figure = figure.strip()
    if figure not in FIGURES:
        raise ValueError(
            f"a limit must be FIGURE=NUMBER with a figure of {', '.join(FIGURES)}. Received: {text!r}"
        )
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not equals or not math.isfinite(limit):
        raise ValueError(f"a limit must be a number, as in {figure}=0.6. Received: {text!r}")
    least, most, what = _BOUNDS.get(figure, _SHARE)
    if not least <= limit <= most:
        raise ValueError(f"a limit of {figure} must be {what}. Received: {text!r}")
    return figure, limit


def judge(report, limits):
    """Returns the `Gate` of each limit, for the highest figure on members or on reference records.

    Args:
        report: a `PrivacyReport`.
        limits: pairs of a figure of `FIGURES` and a number.
    """
    return [_gate(report, figure, limit) for figure, limit in limits]


def _gate(report, figure, limit):
    highest = max(measures_of(report, figure), key=lambda found: float(found.value), default=None)
    if highest is None:  # such as the precision of attacks that never say "member"
        return Gate(figure, limit, 0.0, 0.0, None)
    value = highest.with_limits()
    note = supported_fpr(highest.nonmembers, _FPR_OF[figure]) if figure in _FPR_OF else None
    return Gate(figure, limit, float(value), value.low, highest.attack, highest.of, note)
