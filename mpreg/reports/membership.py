"""Plots of one attack's membership probabilities: all records, each class, and the ROC."""

import numpy as np
from matplotlib.figure import Figure

from mpreg import metrics
from mpreg.reports.figures import saved

BINS = np.linspace(0, 1, 21)


def plot_membership(probabilities, labels, path):
    """Plots membership probabilities of members and of others, and writes the picture to `path`.

    Args:
        probabilities: of membership, float (m,) of members and (n,) of non-members.
        labels: class indices of the same records, int (m,) and (n,).
        path: the PNG to write.
    """
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    histogram, curve, classes = figure.subplots(1, 3)
    for side, name in zip(probabilities, ("members", "non-members"), strict=True):
        histogram.hist(side, BINS, weights=np.full(len(side), 1 / len(side)), alpha=0.55, label=name)
    histogram.set(xlabel="probability of membership", ylabel="share of records", title="Privacy risk")
    histogram.legend(fontsize="small")
    curve.plot(*metrics.roc(*probabilities)[:2], label=f"AUC {metrics.auc(*probabilities):.3f}")
    curve.plot([0, 1], [0, 1], color="gray", linestyle=":", label="guessing")
    curve.set(
        xlabel="false positive rate", ylabel="true positive rate", title="ROC", xlim=(0, 1), ylim=(0, 1)
    )
    curve.legend(loc="lower right", fontsize="small")
    for side, own, name in zip(probabilities, labels, ("members", "non-members"), strict=True):
        found = np.unique(own)
        classes.plot(found, [side[own == label].mean() for label in found], "o", label=name)
    classes.set(xlabel="class", ylabel="mean probability of membership", title="By class", ylim=(0, 1))
    classes.legend(fontsize="small")
    saved(figure, path)
