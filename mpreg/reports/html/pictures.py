"""The charts of a report: ROC curves, histograms, and attack accuracy against overfitting."""

import math

import numpy as np

from mpreg.reports.html import charts
from mpreg.reports.html.charts import Chart, Mark
from mpreg.reports.schema import rates

MIN_RECORDS = 10  # of a class on either side, for it to be a point
SERIES = 6  # colours and dashes that are told apart


def roc_linear(curves):
    """ROC curves from 0 to 1.

    Args:
        curves: the `roc` of attacks by label, drawn in order.
    """
    x, y = charts.across(0, 1), charts.upward(0, 1)
    marks = [Mark(charts.line(x([0, 1]), y([0, 1])), "guess", "guessing")]
    for number, (label, curve) in enumerate(curves.items()):
        fpr, tpr = rates(curve)
        marks.append(Mark(charts.line(x(fpr), y(tpr)), f"curve s{number % SERIES}", label))
    return Chart("ROC curves", "false positive rate", "true positive rate", x.ticks(), y.ticks(), marks)


def roc_logarithmic(curves):
    """ROC curves on logarithmic axes, where a few people who are found for certain show up.

    A step is level until the next non-member is called a member, so that the height over a false positive rate is
    what an attacker reaches who may not exceed it: the TPR at low FPR of the table.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section III.
    """
    nonmembers = max(curve["false_positives"][-1] for curve in curves.values())
    lowest = min(0.5 / nonmembers, 0.1)  # left of one non-member: those whom no non-member resembles
    x, y = charts.across(lowest, 1, log=True), charts.upward(lowest, 1, log=True)
    guess = np.array([lowest, 1])
    marks = [Mark(charts.line(x(guess), y(guess)), "guess", "guessing")]
    for number, (label, curve) in enumerate(curves.items()):
        fpr, tpr = rates(curve)
        begin = np.searchsorted(fpr, lowest, side="right") - 1
        path = charts.steps(x(fpr[begin:]), y(tpr[begin:]))
        marks.append(Mark(path, f"curve s{number % SERIES}", label))
    return Chart(
        "The same, logarithmic",
        "false positive rate",
        "true positive rate",
        x.ticks(_percent),
        y.ticks(_percent),
        marks,
    )


def histogram(title, shares, *, label, top=None):
    """Shares of members and of non-members over the same bins.

    Args:
        title: what is shown.
        shares: a histogram of the schema: `low`, `high`, `members` and `nonmembers`.
        label: of the horizontal axis.
        top: highest share on the axis; None takes the highest bar.
    """
    low, high = shares["low"], shares["high"]
    sides = [np.asarray(shares[side]) for side in ("members", "nonmembers")]
    edges = np.linspace(low, high, len(sides[0]) + 1)
    x, y = charts.across(low, high), charts.upward(0, top or headroom([shares]))
    marks = [
        Mark(charts.bars(x(edges), y(side), charts.BOTTOM), style, name)
        for side, style, name in zip(
            sides, ("area member", "area other"), ("members", "non-members"), strict=True
        )
    ]
    return Chart(title, label, "share of records", x.ticks(), y.ticks(_percent), marks)


def headroom(histograms):
    """The highest share on an axis that all of some histograms fit under."""
    return min(1.0, 1.08 * max(max(*shares["members"], *shares["nonmembers"]) for shares in histograms))


def overfitting(models):
    """Attack accuracy against the gap between training and test accuracy, with the bound that the gap itself gives.

    Args:
        models: reports by name.
    """
    dots = []
    for number, (name, report) in enumerate(models.items()):
        style = f"s{number % SERIES}"
        for row in report.get("per_class", []):
            if min(row["members"], row["nonmembers"]) >= MIN_RECORDS:
                place = row["generalization_gap"], float(row["attack_accuracy"])
                dots.append((*place, f"class {style}", ""))
        place = report["generalization_gap"], float(report["attack_accuracy"])
        dots.append((*place, f"model {style}", name))
    gaps, accuracies = (np.array([dot[axis] for dot in dots]) for axis in (0, 1))
    x = charts.across(min(0.0, _down(gaps.min())), max(0.2, -_down(-gaps.max())))
    y = charts.upward(min(0.4, _down(accuracies.min())), max(0.7, -_down(-accuracies.max())))
    ends = np.linspace(x.low, x.high, 50)
    inside = (0.5 + ends / 2 >= y.low) & (0.5 + ends / 2 <= y.high)
    marks = [
        Mark(charts.line(x([x.low, x.high]), y([0.5, 0.5])), "guess", "guessing"),
        Mark(charts.line(x(ends[inside]), y(0.5 + ends[inside] / 2)), "bound", "gap attack: .5 + gap / 2"),
    ]
    points = [
        (round(float(x(gap)), 1), round(float(y(accuracy)), 1), style, label)
        for gap, accuracy, style, label in dots
    ]
    return Chart(
        "Overfitting and attack",
        "training minus test accuracy",
        "attack accuracy",
        x.ticks(_percent),
        y.ticks(_percent),
        marks,
        points,
    )


def _percent(value):
    return f"{100 * value:g} %"


def _down(value):
    """The next lower multiple of a twentieth."""
    return math.floor(value * 20 - 1e-9) / 20
