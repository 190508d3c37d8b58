"""The defence table as a picture: what each defence is worth beside what it gives away."""

import numpy as np
from matplotlib.figure import Figure

from mpreg.reports.figures import saved
from mpreg.reports.labels import label_points

SHOWN = 0.5  # of the best test accuracy: what lies below is of no use to anyone


def plot_table(rows, curve, path, *, title):
    """Test accuracy against the strongest attack, a point a defence, with plain training stopped early as a line.

    Args:
        rows: as of `defence_table.rank`.
        curve: `(test accuracy, attack accuracy)` of plain training stopped at several points.
        path: the PNG to write.
        title: over the picture; it says how many defences are left out, where some are worth too little to show.
    """
    best = max(row["test_accuracy"]["mean"] for row in rows)
    shown = [row for row in rows if row["test_accuracy"]["mean"] >= SHOWN * best]
    figure = Figure(figsize=(9.6, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        *np.asarray(sorted(curve)).T * 100, color="gray", linewidth=6, alpha=0.35, label="stopping early"
    )
    axes.axhline(50, color="gray", linestyle=":", label="guessing")
    for row in shown:
        test, attack = row["test_accuracy"], _attack(row)
        better = row["over_stopping_early"]["mean"] < 0
        axes.errorbar(
            100 * test["mean"],
            100 * attack["mean"],
            xerr=_reach(test),
            yerr=_reach(attack),
            fmt="o" if better else "x",
            color="tab:blue" if better else "tab:red",
            elinewidth=0.8,
        )
    left_out = len(rows) - len(shown)
    axes.set(
        xlabel="test accuracy, % (bars: brackets of the table)",
        ylabel="accuracy of the strongest attack, %",
        title=title + (f" ({left_out} of little use not shown)" if left_out else ""),
        xlim=(100 * SHOWN * best, 107 * best),  # room for names
    )
    axes.legend(loc="upper left")
    places = [(100 * row["test_accuracy"]["mean"], 100 * _attack(row)["mean"]) for row in shown]
    label_points(axes, [row["defence"] for row in shown], places)
    saved(figure, path, dpi=110)


def _attack(row):
    return row["adaptive_attack_accuracy"] or row["attack_accuracy"]


def _reach(spread):
    mean = spread["mean"]
    return [[100 * (mean - spread["low"])], [100 * (spread["high"] - mean)]]
