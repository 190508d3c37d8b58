"""Plots of several figures by round or epoch."""

from matplotlib.figure import Figure

from mpreg.reports.figures import saved


def plot_rounds(rounds, curves, path, *, figure="mean loss", unit="round"):
    """Plots figures by round, and writes the picture to `path`.

    Args:
        rounds: their numbers, (n,).
        curves: values (n,) by name.
        path: the PNG to write.
        figure: what the values are.
        unit: what is counted.
    """
    drawn = Figure(figsize=(7, 4.4), layout="constrained")
    axes = drawn.subplots()
    for name, values in curves.items():
        axes.plot(rounds, values, marker="o", markersize=3, label=name)
    axes.set(xlabel=unit, ylabel=figure)
    axes.legend(fontsize="small")
    saved(drawn, path)
