"""The charts of a report: ROC curves, histograms, and attack accuracy against overfitting."""

import math

import numpy as np

from mpreg.metrics import roc
from mpreg.reports.html import charts
from mpreg.reports.html.charts import Chart, Mark

BINS = 25
LEAST_RECORDS = 10  # of a class on either side, for it to be a point
SERIES = 6  # colours and dashes that are told apart


def roc_linear(curves):
    """ROC curves from 0 to 1.

    Args:
        curves: `AttackResult` by label, drawn in order.
    """
    x, y = charts.across(0, 1), charts.upward(0, 1)
    marks = [Mark(charts.line(x([0, 1]), y([0, 1])), "guess", "guessing")]
    for number, (label, result) in enumerate(curves.items()):
        fpr, tpr, _ = roc(result.member_scores, result.nonmember_scores)
        marks.append(Mark(charts.line(x(fpr), y(tpr)), f"curve s{number % SERIES}", label))
    return Chart("ROC curves", "false positive rate", "true positive rate", x.ticks(), y.ticks(), marks)


def roc_logarithmic(curves):
    """ROC curves on logarithmic axes, where a few people who are found for certain show up.

    A step is level until the next non-member is called a member, so that the height over a false positive rate is
    what an attacker reaches who may not exceed it: the TPR at low FPR of the table.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section III.
    """
    nonmembers = max(len(result.nonmember_scores) for result in curves.values())
    lowest = min(0.5 / nonmembers, 0.1)  # left of one non-member: those whom no non-member resembles
    x, y = charts.across(lowest, 1, log=True), charts.upward(lowest, 1, log=True)
    guess = np.array([lowest, 1])
    marks = [Mark(charts.line(x(guess), y(guess)), "guess", "guessing")]
    for number, (label, result) in enumerate(curves.items()):
        fpr, tpr, _ = roc(result.member_scores, result.nonmember_scores)
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


def histogram(title, members, nonmembers, *, label, limits=None, top=None):
    """Shares of members and of non-members over the same bins; what lies beyond the limits is in the outer bins.

    Args:
        title: what is shown.
        members, nonmembers: values, (n,).
        label: of the horizontal axis.
        limits: `(low, high)`; None takes them from the middle 99 % of the values.
        top: highest share on the axis; None takes the highest bar.
    """
    low, high = limits or _middle(members, nonmembers)
    edges = np.linspace(low, high, BINS + 1)
    shares = [shares_of(side, edges) for side in (members, nonmembers)]
    x, y = charts.across(low, high), charts.upward(0, top or _headroom(shares))
    marks = [
        Mark(charts.bars(x(edges), y(share), charts.BOTTOM), style, name)
        for share, style, name in zip(
            shares, ("area member", "area other"), ("members", "non-members"), strict=True
        )
    ]
    return Chart(title, label, "share of records", x.ticks(), y.ticks(_percent), marks)


def shares_of(values, edges):
    """The share of values in each bin, those beyond either end in the outer bins."""
    clipped = np.clip(values, edges[0], edges[-1])
    return np.histogram(clipped, edges)[0] / len(clipped)


def overfitting(models, classes):
    """Attack accuracy against the gap between training and test accuracy, with the bound that the gap itself gives.

    Args:
        models: `PrivacyReport` by name.
        classes: lists of `ClassLeakage` by name.
    """
    dots = []
    for number, (name, report) in enumerate(models.items()):
        style = f"s{number % SERIES}"
        for leak in classes[name]:
            if min(leak.members, leak.nonmembers) >= LEAST_RECORDS:
                dots.append(
                    (
                        leak.train_accuracy - leak.test_accuracy,
                        float(leak.attack_accuracy),
                        f"class {style}",
                        "",
                    )
                )
        dots.append((report.generalization_gap, float(report.attack_accuracy), f"model {style}", name))
    gaps, accuracies = (np.array([dot[axis] for dot in dots]) for axis in (0, 1))
    x = charts.across(min(0.0, _down(gaps.min())), max(0.2, -_down(-gaps.max())))
    y = charts.upward(min(0.4, _down(accuracies.min())), max(0.7, -_down(-accuracies.max())))
    ends = np.linspace(x.low, x.high, 50)
    inside = (0.5 + ends / 2 >= y.low) & (0.5 + ends / 2 <= y.high)
    marks = [
        Mark(charts.line(x([x.low, x.high]), y([0.5, 0.5])), "guess", "guessing"),
        Mark(charts.line(x(ends[inside]), y(0.5 + ends[inside] / 2)), "bound", "gap bound: .5 + gap / 2"),
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


def _middle(members, nonmembers):
    values = np.concatenate([members, nonmembers])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _headroom(shares):
    return min(1.0, 1.08 * max(share.max() for share in shares))


def _down(value):
    """The next lower multiple of a twentieth."""
    return math.floor(value * 20 - 1e-9) / 20
