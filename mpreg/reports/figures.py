"""Pictures of a comparison: ROC curves and histograms, as PNG."""

import numpy as np
from matplotlib.figure import Figure

from mpreg._text import figure_text
from mpreg.reports.schema import models_of, ranked, rates, read, strongest_of

LOWEST_RATE = 1e-3


def plot_roc(subject, path):
    """The ROC of each report's strongest attack, linear and log-log, written to `path`.

    The log-log half is where a few records that leak for certain show up (Carlini et al., S&P 2022, section III).

    Args:
        subject: a document of `docs/report-schema.md`, or what gives one by `to_dict()`, such as a `Comparison`.
        path: the PNG to write.
    """
    found = {name: strongest_of(report) for name, report in models_of(read(subject)).items()}
    curves = {
        f"{name}: {attack['name']}, AUC {float(attack['auc']):.3f}": attack["roc"]
        for name, attack in found.items()
    }
    _draw_curves(curves, path, title="Strongest attack")


def plot_attacks(subject, path, *, attacks=None):
    """The ROC of several attacks on one model, linear and log-log, written to `path`.

    Args:
        subject: a report, as for `plot_roc`.
        path: the PNG to write.
        attacks: names of its attacks, in the order of the legend; None draws all, strongest first.
    """
    report = read(subject)
    if attacks is None:
        attacks = [attack["name"] for attack in ranked(report)]
    found = [report["attacks"][name] for name in attacks]
    curves = {f"{attack['name']}, AUC {float(attack['auc']):.3f}": attack["roc"] for attack in found}
    _draw_curves(curves, path, title=f"{report['members']:,} members, {report['nonmembers']:,} non-members")


def _draw_curves(curves, path, *, title):
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    linear, logarithmic = figure.subplots(1, 2)
    for label, curve in curves.items():
        for axes in (linear, logarithmic):
            axes.plot(*rates(curve), label=figure_text(label))
    guessing = np.geomspace(LOWEST_RATE / 10, 1, 50)
    for axes in (linear, logarithmic):
        axes.plot(guessing, guessing, color="gray", linestyle=":", label="guessing")
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
    logarithmic.set(xscale="log", yscale="log", xlim=(LOWEST_RATE, 1), ylim=(LOWEST_RATE, 1))
    linear.set(xlim=(0, 1), ylim=(0, 1), title=title)
    logarithmic.set(title="The same, log-log")
    linear.legend(loc="lower right", fontsize="small")
    figure.savefig(path, dpi=120)


def plot_histograms(subject, path):
    """What members and non-members look like to an attacker, a panel for each report, written to `path`.

    It is the probability of the true class, which people know, or, where no attack looked at that, the membership
    probability that the strongest attack's scores stand for.

    Args:
        subject, path: as for `plot_roc`.
    """
    models = models_of(read(subject))
    figure = Figure(figsize=(4.8 * len(models), 3.8), layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, (name, report) in zip(panels, models.items(), strict=True):
        found, label = report["true_class_probability"], "probability of the true class"
        if found is None:
            risk = report["risk"]
            found, label = risk["histogram"], f"membership probability of {risk['attack']}"
        edges = np.linspace(found["low"], found["high"], len(found["members"]) + 1)
        for side, role in (("members", "members"), ("nonmembers", "non-members")):
            axes.hist(edges[:-1], edges, weights=found[side], alpha=0.55, label=role)
        title = f"{name} (attack {100 * report['attack_accuracy']:.1f} %)"
        axes.set(title=figure_text(title), xlabel=figure_text(label))
        axes.legend(fontsize="small")
    panels[0].set_ylabel("share of records")
    figure.savefig(path, dpi=120)
