"""Plots privacy against utility, over the front of the models that no other beats."""

import numpy as np

from mpreg._text import figure_text
from mpreg.reports.figures import Picture, saved
from mpreg.reports.front import on_front, spots_of
from mpreg.reports.schema import models_of, read

SHOWN = 0.5  # of the best test accuracy: what lies below is of no use, and would press the others together
TITLE = "Privacy and utility"


def plot_frontier(subject, path=None, *, title=TITLE):
    """Plots test accuracy against attack accuracy, a point for each model, over the front.

    Args:
        subject: a comparison, a document of `docs/report-schema.md` or what gives one by `to_dict()`.
        path: the PNG to write; None writes nothing.
        title: over the picture.

    Returns:
        The matplotlib `Figure`, which no global state knows of.
    """
    spots = spots_of(models_of(read(subject)))
    return draw_frontier({name: [spot] for name, spot in spots.items()}, path, title=title)


def draw_frontier(lines, path=None, *, title):
    """Plots lines of spots, such as a defence at several strengths; otherwise as `plot_frontier`.

    Args:
        lines: `Spot`s by name, the first being the one to compare with.
        path, title: as for `plot_frontier`.
    """
    figure = Picture(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots()
    places = [spot.place for spots in lines.values() for spot in spots]
    best = np.array([places[number] for number in on_front(places)])
    axes.step(*best.T, where="pre", color="0.85", linewidth=9, zorder=0, label="frontier")
    for number, (name, spots) in enumerate(lines.items()):
        _draw_line(axes, name, spots, number)
    shown = [test for test, _ in places if test >= SHOWN * best[-1, 0]]
    margin = 0.05 * (max(shown) - min(shown)) + 0.005
    axes.set_xlim(min(shown) - margin, max(shown) + margin)
    hidden = len(places) - len(shown)
    title += f" ({hidden} below {100 * SHOWN * best[-1, 0]:.0f} % test accuracy not shown)" * bool(hidden)
    axes.axhline(0.5, color="gray", linestyle=":", label="guessing (no gap)")
    axes.set(
        xlabel="test accuracy",
        ylabel="accuracy of the strongest attack, 95 % interval",
        title=figure_text(title),
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rate, _: f"{100 * rate:.0f} %")
    figure.legend(loc="outside right upper", fontsize="small")
    return saved(figure, path)


def _draw_line(axes, name, spots, number):
    test, attack = np.array([spot.place for spot in spots]).T
    reach = np.abs([spot.attack.interval for spot in spots] - attack[:, None]).T
    if number == 0:
        style = {"fmt": "*", "markersize": 15, "color": "black", "zorder": 5}
    else:
        style = {"fmt": f"{'osD^v'[number // 10 % 5]}-", "markersize": 5}
    axes.errorbar(test, attack, reach, capsize=2, elinewidth=0.7, label=figure_text(name), **style)
    # Of the last, so that one sees which way a line runs.
    axes.annotate(spots[-1].note, spots[-1].place, (5, 4), textcoords="offset points", fontsize="small")
