"""Plots of figures with their intervals, one on each row."""

from matplotlib.figure import Figure

from mpreg.reports.figures import saved


def plot_estimates(estimates, path, *, figure, title=""):
    """Plots figures between 0 and 1 with their 95 % intervals, the first on top, and writes it to `path`.

    Args:
        estimates: `Estimate`s by name.
        path: the PNG to write.
        figure: what they are.
        title: of the picture.
    """
    drawn = Figure(figsize=(7, 0.5 * len(estimates) + 1.4), layout="constrained")
    axes = drawn.subplots()
    for place, value in enumerate(estimates.values()):
        axes.plot([value.low, value.high], [place, place], color="tab:blue")
        axes.plot(float(value), place, "o", color="tab:blue")
        axes.annotate(
            f"{float(value):.3f}",
            (float(value), place),
            textcoords="offset points",
            xytext=(0, 6),
            ha="center",
        )
    axes.axvline(0.5, color="gray", linestyle=":")
    axes.set(
        xlabel=figure,
        title=title,
        yticks=range(len(estimates)),
        yticklabels=list(estimates),
        xlim=(0.45, 1.01),
    )
    axes.margins(y=0.2)
    axes.invert_yaxis()
    saved(drawn, path)
