"""The figures that limits apply to, for each attack, on members and on reference records."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import special

from mpreg import metrics
from mpreg.data.labels import ONE
from mpreg.evaluation.headline import CONFIDENCE, WIDENED, for_all_tried, for_each_of
from mpreg.metrics import FPRS, Estimate


@dataclass(frozen=True, eq=False)
class Measure:
    """Holds one figure of an attack or of the model; the highest of several counts.

    Attributes:
        value: the point estimate.
        of: whose records are judged against the non-members: `"members"` or `"reference"`.
        attack: name of the attack; None for what is the model's own.
        nonmembers: how many different non-members it was measured on.
        with_limits: a function without arguments: the `Estimate`, with limits that hold for all of the several.
    """

    value: float
    of: str
    attack: str | None
    nonmembers: int
    with_limits: Callable


def measures_of(report, figure):
    """Returns the `Measure`s of a figure of `FIGURES`, without undefined ones."""
    sides = {"members": report, "reference": report.reference}
    sides = {of: found for of, found in sides.items() if found is not None}
    if figure in _OF_THE_MODEL:
        return [_of_the_model(figure, of, found, tried=len(sides)) for of, found in sides.items()]
    tried = sum(len(found.attacks) for found in sides.values())
    measures = [
        _of_an_attack(figure, of, result, tried=tried)
        for of, found in sides.items()
        for result in found.attacks.values()
    ]
    return [measure for measure in measures if not math.isnan(measure.value)]


# Name: metric, interval, whether of decisions or of scores, options.
_RATES = {
    "attack_accuracy": (metrics.balanced_accuracy, metrics.balanced_accuracy_interval, "decisions", {}),
    "attack_auc": (metrics.auc, metrics.auc_interval, "scores", {}),
    "advantage": (metrics.attack_advantage, metrics.attack_advantage_interval, "scores", {}),
    "precision": (metrics.precision, metrics.precision_interval, "decisions", {}),
    "recall": (metrics.recall, metrics.recall_interval, "decisions", {}),
    **{
        f"tpr_at_fpr_{fpr:g}": (metrics.tpr_at_fpr, metrics.tpr_at_fpr_interval, "scores", {"fpr": fpr})
        for fpr in FPRS
    },
}
_EPSILON = "epsilon_lower_bound"
_OF_THE_MODEL = ("gap_bound", "generalization_gap")
FIGURES = ("attack_accuracy", *_OF_THE_MODEL, *list(_RATES)[1:], _EPSILON)


def _of_an_attack(figure, of, result, *, tried):
    scores = result.distinct.member_scores, result.distinct.nonmember_scores
    whose = {"of": of, "attack": result.name, "nonmembers": len(scores[1])}
    if figure == _EPSILON:
        value = result.epsilon_lower_bound

        def limits():
            # A bound itself: of one attack at 95 %, and at its low end for all attacks at once.
            all_at_once = metrics.epsilon_lower_bound(*scores, confidence=for_each_of(tried))
            return Estimate(value, min(value, all_at_once), value)

        return Measure(value, **whose, with_limits=limits)
    metric, interval, kind, options = _RATES[figure]
    decisions = result.distinct.member_decisions, result.distinct.nonmember_decisions
    sides = decisions if kind == "decisions" else scores
    widen = result.learns and figure.removeprefix("attack_") in WIDENED
    return Measure(
        metric(*sides, **options),
        **whose,
        with_limits=lambda: for_all_tried(metric, interval, sides, widen=widen, tried=tried, **options),
    )


def _of_the_model(figure, of, report, *, tried):
    """The gap bound is the accuracy of the gap attack, which says "member" where the model is right."""
    gap = next(result for result in report.attacks.values() if result.key == "gap").distinct
    said = gap.member_decisions, gap.nonmember_decisions
    if report.decisions == ONE:
        limits = metrics.balanced_accuracy_interval(*said, confidence=for_each_of(tried))
    else:  # the attack learned how many answers are right of members, so that its decisions tell no accuracy
        limits = _limits_of_bound(report, for_each_of(tried))
    if figure == "generalization_gap":  # twice what the bound is above one half
        limits = [2 * limit - 1 for limit in limits]
    value = getattr(report, figure)
    found = Estimate(value, min(value, limits[0]), max(value, limits[1]))  # equal ends may round apart
    return Measure(value, of, None, len(said[1]), lambda: found)


def _limits_of_bound(report, confidence):
    """Limits of the gap bound from those of both accuracies (MOVER), as of the balanced accuracy."""
    farther = special.ndtri((1 + confidence) / 2) / special.ndtri((1 + CONFIDENCE) / 2)
    train, test = (rate.widened(farther) for rate in (report.train_accuracy, report.test_accuracy))
    below, above = (train - train.low, test.high - test), (train.high - train, test - test.low)
    return report.gap_bound - math.hypot(*below) / 2, report.gap_bound + math.hypot(*above) / 2
