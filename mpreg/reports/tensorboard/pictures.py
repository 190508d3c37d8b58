"""ROC curves as PNG, sized for TensorBoard's cards."""

import io

import numpy as np
from matplotlib.figure import Figure

from mpreg._text import figure_text
from mpreg.metrics import auc, roc
from mpreg.reports.figures import LOWEST_RATE


def roc_pictures(curves):
    """The ROC of attacks, linear and log-log, as `{"linear": png, "log-log": png}`.

    Args:
        curves: `(member scores, non-member scores)` by name, in the order of the legend.
    """
    rates = {f"{name}, AUC {auc(*scores):.3f}": roc(*scores)[:2] for name, scores in curves.items()}
    return {"linear": _picture(rates, "linear", 0.0), "log-log": _picture(rates, "log", LOWEST_RATE)}


def _picture(rates, scale, lowest):
    figure = Figure(figsize=(4.2, 4.2))
    axes = figure.add_axes([0.17, 0.12, 0.8, 0.84])  # an automatic layout takes as long as the drawing
    for label, (fpr, tpr) in rates.items():
        axes.plot(fpr, tpr, label=figure_text(label))  # an attack of your own may have any name
    guessing = np.geomspace(LOWEST_RATE / 10, 1, 50)
    axes.plot(guessing, guessing, color="gray", linestyle=":", label="guessing")
    axes.set(xscale=scale, yscale=scale, xlim=(lowest, 1), ylim=(lowest, 1))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.minorticks_off()
    axes.legend(loc="lower right", fontsize="x-small")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
