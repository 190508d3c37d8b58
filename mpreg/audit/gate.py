"""Limits on what a model may give away, for continuous integration: `attack_accuracy=0.6`."""

import math
from dataclasses import dataclass

from mpreg.metrics import FPRS
from mpreg.reports import words

_RATES = {
    "attack_auc": lambda result: result.auc,
    "advantage": lambda result: result.advantage,
    "precision": lambda result: result.precision,
    "recall": lambda result: result.recall,
    "epsilon_lower_bound": lambda result: result.epsilon_lower_bound,
    **{f"tpr_at_fpr_{fpr:g}": lambda result, fpr=fpr: result.tpr_at_fpr[fpr] for fpr in FPRS},
}
_WHOLE = ("attack_accuracy", "gap_bound", "generalization_gap")
FIGURES = (*_WHOLE, *_RATES)


@dataclass(frozen=True)
class Gate:
    """A figure of a report beside the limit set for it.

    Attributes:
        figure: its name, of `FIGURES`.
        limit: the highest value allowed.
        value: what was measured.
        low: the lower end of its 95 % interval; `value` itself where the figure has no interval.
        attack: the attack it is of; None where it is of none.
    """

    figure: str
    limit: float
    value: float
    low: float
    attack: str | None

    @property
    def failed(self):
        """Whether the value is above the limit; the interval is not asked."""
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
        """The judgement as text."""
        return words.verdict(self.to_dict())

    def to_dict(self):
        """JSON-ready."""
        names = ("figure", "limit", "value", "low", "attack", "failed", "certain")
        return {name: getattr(self, name) for name in names}


def parse_limit(text):
    """`("attack_accuracy", 0.6)` of `"attack_accuracy=0.6"`.

    Raises:
        ValueError: an unknown figure, or a limit that is no number.
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
    return figure, limit


def judge(report, limits):
    """The `Gate` of each limit; a figure that attacks have is that of the attack where it is highest.

    Args:
        report: a `PrivacyReport`.
        limits: pairs of a figure of `FIGURES` and a number.
    """
    return [_gate(report, figure, limit) for figure, limit in limits]


def _gate(report, figure, limit):
    if figure in _WHOLE:
        value = getattr(report, figure)
        attack = report.strongest_attack if figure == "attack_accuracy" else None
        return Gate(figure, limit, float(value), float(getattr(value, "low", value)), attack)
    rate = _RATES[figure]
    found = [(rate(result), name) for name, result in report.attacks.items() if not math.isnan(rate(result))]
    value, attack = max(found, key=lambda pair: float(pair[0]), default=(0.0, None))
    return Gate(figure, limit, float(value), float(getattr(value, "low", value)), attack)
