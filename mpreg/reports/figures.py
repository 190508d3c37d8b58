"""Pictures of a comparison: ROC curves and histograms, as matplotlib figures and as PNG."""

import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mpreg._files import replacing
from mpreg._text import figure_text
from mpreg.reports.schema import CURVES, models_of, ranked, rates, read, strongest_of

LOWEST_RATE = 1e-3


class Picture(Figure):
    """A matplotlib `Figure` that a notebook shows of its own accord, whether pyplot was imported or not."""

    def _repr_png_(self):
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def plot_roc(subject, path=None):
    """Plots the ROC of each report's strongest attack, linear and log-log.

    The log-log half is where a few records that leak for certain show up (Carlini et al., S&P 2022, section III).

    Args:
        subject: a document of `docs/report-schema.md`, or what gives one by `to_dict()`, such as a `Comparison`.
        path: the PNG to write; None writes nothing.

    Returns:
        The matplotlib `Figure`, which no global state knows of.
    """
    found = {name: strongest_of(report) for name, report in models_of(read(subject)).items()}
    curves = {
        f"{name}: {attack['name']}, AUC {float(attack['auc']):.3f}": attack["roc"]
        for name, attack in found.items()
    }
    return _draw_curves(curves, path, title="Strongest attack")


def plot_attacks(subject, path=None, *, attacks=None):
    """Plots the ROC of several attacks on one model, linear and log-log; returns as `plot_roc` does.

    Args:
        subject: a report, as for `plot_roc`.
        path: as for `plot_roc`.
        attacks: names of its attacks, in the order of the legend; None draws the five strongest.
    """
    report = read(subject)
    if attacks is None:
        attacks = [attack["name"] for attack in ranked(report)[:CURVES]]
    found = [report["attacks"][name] for name in attacks]
    curves = {f"{attack['name']}, AUC {float(attack['auc']):.3f}": attack["roc"] for attack in found}
    return _draw_curves(
        curves, path, title=f"{report['members']:,} members, {report['nonmembers']:,} non-members"
    )


def _draw_curves(curves, path, *, title):
    figure = Picture(figsize=(10, 4.6), layout="constrained")
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
    return saved(figure, path)


def plot_histograms(subject, path=None):
    """Plots attack scores of members and non-members, a panel for each report; returns as `plot_roc` does.

    It is the probability of the true class, which people know, or, where no attack looked at that, the membership
    probability that the strongest attack's scores stand for.

    Args:
        subject, path: as for `plot_roc`.
    """
    models = models_of(read(subject))
    figure = Picture(figsize=(4.8 * len(models), 3.8), layout="constrained")
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
    return saved(figure, path)


def saved(figure, path=None, *, dpi=120):
    """The figure, written as PNG to `path` unless that is None."""
    if path is not None:
        path = Path(path)
        with replacing(path if path.suffix else path.with_suffix(".png")) as written:
            figure.savefig(written, dpi=dpi)
    return figure
