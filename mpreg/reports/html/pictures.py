"""The charts of a report: ROC curves, histograms, and attack accuracy against test accuracy and overfitting."""

import math

import numpy as np

from mpreg.reports.front import on_front
from mpreg.reports.html import charts
from mpreg.reports.html.charts import Chart, Dot, Mark
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
    return Chart("ROC curves", "false positive rate", "true positive rate", x, y, marks)


def roc_logarithmic(curves):
    """ROC curves on logarithmic axes, where a few people who are found for certain show up.

    A step is level until the next non-member is called a member, so that the height over a false positive rate is
    what an attacker reaches who may not exceed it: the TPR at low FPR of the table.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section III.
    """
    nonmembers = max(curve["false_positives"][-1] for curve in curves.values())
    lowest = min(0.5 / nonmembers, 0.1)  # left of one non-member: those whom no non-member resembles
    x = charts.across(lowest, 1, log=True, share=True)
    y = charts.upward(lowest, 1, log=True, share=True)
    guess = np.array([lowest, 1])
    marks = [Mark(charts.line(x(guess), y(guess)), "guess", "guessing")]
    for number, (label, curve) in enumerate(curves.items()):
        fpr, tpr = rates(curve)
        begin = np.searchsorted(fpr, lowest, side="right") - 1
        path = charts.steps(x(fpr[begin:]), y(tpr[begin:]))
        marks.append(Mark(path, f"curve s{number % SERIES}", label))
    return Chart("The same, logarithmic", "false positive rate", "true positive rate", x, y, marks)


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
    x, y = charts.across(low, high), charts.upward(0, top or headroom([shares]), share=True)
    marks = [
        Mark(charts.bars(x(edges), y(side), charts.BOTTOM), style, name)
        for side, style, name in zip(
            sides, ("area member", "area other"), ("members", "non-members"), strict=True
        )
    ]
    return Chart(title, label, "share of records", x, y, marks)


def headroom(histograms):
    """The highest share on an axis that all of some histograms fit under."""
    return min(1.0, 1.08 * max(max(*shares["members"], *shares["nonmembers"]) for shares in histograms))


def overfitting(models, class_names):
    """Attack accuracy against the gap between training and test accuracy, with the bound that the gap itself gives.

    Args:
        models: reports by name.
        class_names: a name for each class.
    """
    dots = []
    for number, (name, report) in enumerate(models.items()):
        style = f"s{number % SERIES}"
        for row in report.get("per_class", []):
            if min(row["members"], row["nonmembers"]) >= MIN_RECORDS:
                place = row["generalization_gap"], float(row["attack_accuracy"])
                of_class = class_names[row["label"]] + (f", {name}" if len(models) > 1 else "")
                dots.append((*place, f"class {style}", of_class, ""))
        place = report["generalization_gap"], float(report["attack_accuracy"])
        dots.append((*place, f"model {style}", name, name))
    gaps, accuracies = (np.array([dot[axis] for dot in dots]) for axis in (0, 1))
    x = charts.across(min(0.0, _down(gaps.min())), max(0.2, _up(gaps.max())), share=True)
    y = charts.upward(min(0.4, _down(accuracies.min())), max(0.7, _up(accuracies.max())), share=True)
    ends = np.linspace(x.low, x.high, 50)
    inside = (0.5 + ends / 2 >= y.low) & (0.5 + ends / 2 <= y.high)
    marks = [
        Mark(charts.line(x([x.low, x.high]), y([0.5, 0.5])), "guess", "guessing"),
        Mark(charts.line(x(ends[inside]), y(0.5 + ends[inside] / 2)), "bound", "gap attack: .5 + gap / 2"),
    ]
    points = [_dot(x(gap), y(accuracy), *drawn) for gap, accuracy, *drawn in dots]
    return Chart(
        "Overfitting and attack", "training minus test accuracy", "attack accuracy", x, y, marks, points
    )


def front(spots):
    """Attack accuracy against test accuracy, with intervals, over the front of the models that no other beats.

    Args:
        spots: `mpreg.reports.front.Spot`s by name.
    """
    tests, attacks = ([getattr(spot, axis) for spot in spots.values()] for axis in ("test", "attack"))
    (left, right), (bottom, top) = (
        (_down(min(rate.low for rate in rates)), _up(max(rate.high for rate in rates)))
        for rates in (tests, attacks)
    )
    x = charts.across(left, right, share=True)
    y = charts.upward(min(0.45, bottom), max(0.6, top), share=True)
    best = on_front([spot.place for spot in spots.values()])
    # Level up to the next model: whoever wants that much accuracy must take it.
    stairs = "".join(f"V{y(attacks[number]):.1f}H{x(tests[number]):.1f}" for number in best)
    marks = [
        Mark(charts.line(x([x.low, x.high]), y([0.5, 0.5])), "guess", "guessing"),
        Mark(
            f"M{charts.LEFT} {y(attacks[best[0]]):.1f}{stairs}",
            "front",
            "front: no other is as accurate and gives away as little",
        ),
    ]
    points = []
    for number, (name, spot) in enumerate(spots.items()):
        style, at = f"s{number % SERIES}", (float(x(spot.test)), float(y(spot.attack)))
        reach = f"M{x(spot.test.low):.1f} {at[1]:.1f}H{x(spot.test.high):.1f}"
        reach += f"M{at[0]:.1f} {y(spot.attack.low):.1f}V{y(spot.attack.high):.1f}"
        marks.append(Mark(reach, f"reach {style}"))
        points.append(_dot(*at, f"model {style}", name, name, f"{number + 1}"))
    return Chart("Privacy and utility", "test accuracy", "attack accuracy", x, y, marks, points)


def _dot(x, y, style, name, label="", sign=""):
    return Dot(round(float(x), 1), round(float(y), 1), style, name, label, sign)


def _down(value):
    """The next lower multiple of a twentieth."""
    return math.floor(value * 20 - 1e-9) / 20


def _up(value):
    """The next higher multiple of a twentieth."""
    return -_down(-value)
