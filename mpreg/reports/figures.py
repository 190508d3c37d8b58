"""Pictures of a comparison: ROC curves and score histograms, as PNG."""

import numpy as np
from matplotlib.figure import Figure

from mpreg.metrics import roc

SHOWN = "loss threshold"  # the signal that people know: the probability of the true class
BINS = 20
LOWEST_RATE = 1e-3


def plot_roc(comparison, path):
    """The ROC of each report's strongest attack, linear and log-log, written to `path`.

    The log-log half is where a few records that leak for certain show up (Carlini et al., S&P 2022, section III).
    """
    curves = {name: report.strongest for name, report in comparison.reports.items()}
    labels = {
        f"{name}: {result.name}, AUC {float(result.auc):.3f}": result for name, result in curves.items()
    }
    _draw_curves(labels, path, title="Strongest attack")


def plot_attacks(report, path, *, attacks=None):
    """The ROC of several attacks on one model, linear and log-log, written to `path`.

    Args:
        report: a `PrivacyReport`.
        path: the PNG to write.
        attacks: names of its attacks, in the order of the legend; None draws all, strongest first.
    """
    if attacks is None:
        attacks = sorted(report.attacks, key=lambda name: -report.attacks[name].accuracy)
    labels = {f"{name}, AUC {float(report.attacks[name].auc):.3f}": report.attacks[name] for name in attacks}
    _draw_curves(labels, path, title=f"{report.members:,} members, {report.nonmembers:,} non-members")


def _draw_curves(results, path, *, title):
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    linear, logarithmic = figure.subplots(1, 2)
    for label, result in results.items():
        fpr, tpr, _ = roc(result.member_scores, result.nonmember_scores)
        for axes in (linear, logarithmic):
            axes.plot(fpr, tpr, label=label)
    guessing = np.geomspace(LOWEST_RATE / 10, 1, 50)
    for axes in (linear, logarithmic):
        axes.plot(guessing, guessing, color="gray", linestyle=":", label="guessing")
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
    logarithmic.set(xscale="log", yscale="log", xlim=(LOWEST_RATE, 1), ylim=(LOWEST_RATE, 1))
    linear.set(xlim=(0, 1), ylim=(0, 1), title=title)
    logarithmic.set(title="The same, log-log")
    linear.legend(loc="lower right", fontsize="small")
    figure.savefig(path, dpi=120)


def plot_histograms(comparison, path):
    """What members and non-members look like to an attacker, a panel for each report, written to `path`."""
    reports = comparison.reports
    figure = Figure(figsize=(4.8 * len(reports), 3.8), layout="constrained")
    panels = figure.subplots(1, len(reports), sharey=True, squeeze=False)[0]
    for axes, (name, report) in zip(panels, reports.items(), strict=True):
        result = report.attacks.get(SHOWN)
        sides, label = _shown_scores(result or report.strongest, as_probability=result is not None)
        edges = np.histogram_bin_edges(np.concatenate(sides), bins=BINS)
        for side, role in zip(sides, ("members", "non-members"), strict=True):
            axes.hist(side, edges, weights=np.full(len(side), 1 / len(side)), alpha=0.55, label=role)
        axes.set(title=f"{name} (attack {100 * report.attack_accuracy:.1f} %)", xlabel=label)
        axes.legend(fontsize="small")
    panels[0].set_ylabel("share of records")
    figure.savefig(path, dpi=120)


def _shown_scores(result, *, as_probability):
    sides = [result.member_scores, result.nonmember_scores]
    if as_probability:
        return [np.exp(side) for side in sides], "probability of the true class"
    return sides, f"score of {result.name}"
