"""Charts as geometry: scales, paths and ticks in a box of 360 by 250, which the templates draw as SVG."""

import math
from dataclasses import dataclass, field

import numpy as np

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 341, 10, 212
GRAIN = 0.25  # points of a curve nearer to one another than this, in both directions, are drawn as one


@dataclass(frozen=True)
class Scale:
    """A range of values on an axis: `scale(values)` are positions.

    Attributes:
        low, high: the range; values outside are drawn at its ends.
        start, end: positions of the two.
        log: whether equal ratios take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, values):
        values = np.clip(values, self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        return self.start + (values - low) / (high - low) * (self.end - self.start)

    def ticks(self, text=None):
        """`(position, text)` of about five round values."""
        values = _decades(self.low, self.high) if self.log else _round_values(self.low, self.high)
        return [(round(float(self(value)), 1), (text or _short)(value)) for value in values]


@dataclass(frozen=True)
class Mark:
    """A path, and the style that draws it; `label` stands in the legend."""

    path: str
    style: str
    label: str = ""


@dataclass(frozen=True)
class Chart:
    """Everything a template needs to draw a chart.

    Attributes:
        title: what it shows, also for readers who do not see it.
        x_label, y_label: of the axes.
        x_ticks, y_ticks: `(position, text)`.
        marks: `Mark`s, drawn in order.
        points: `(x, y, style, label)` of dots.
        note: what a reader must know.
    """

    title: str
    x_label: str
    y_label: str
    x_ticks: list
    y_ticks: list
    marks: list = field(default_factory=list)
    points: list = field(default_factory=list)
    note: str = ""

    @property
    def legend(self):
        """`(style, label)` of all that is labelled."""
        drawn = [(mark.style, mark.label) for mark in self.marks]
        return [item for item in dict.fromkeys(drawn) if item[1]]


def across(low, high, *, log=False):
    """The scale of a horizontal axis."""
    return Scale(low, high, LEFT, RIGHT, log)


def upward(low, high, *, log=False):
    """The scale of a vertical axis."""
    return Scale(low, high, BOTTOM, TOP, log)


def line(x, y):
    """The path of straight lines through points, thinned to what can be seen."""
    x, y = _thinned(x, y)
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def steps(x, y):
    """The path of steps through points, level until the next point, thinned to what can be seen."""
    x, y = _thinned(x, y)
    parts = [f"M{x[0]:g} {y[0]:g}"]
    parts += [f"H{a:g}V{b:g}" for a, b in zip(x[1:].tolist(), y[1:].tolist(), strict=True)]
    return "".join(parts)


def bars(edges, heights, floor):
    """The outline of touching bars, closed along the floor.

    Args:
        edges: positions of the bars' sides, (n + 1,).
        heights: positions of their tops, (n,).
        floor: position of the base line.
    """
    tops = "".join(
        f"V{height:.1f}H{edge:.1f}" for height, edge in zip(heights.tolist(), edges[1:].tolist(), strict=True)
    )
    return f"M{edges[0]:.1f} {floor:.1f}{tops}V{floor:.1f}Z"


def _thinned(x, y):
    """Points of a curve without those in the same grain as the one before; the last point stays."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    grains = np.stack([np.floor(x / GRAIN), np.floor(y / GRAIN)])
    kept = np.r_[True, np.any(np.diff(grains, axis=1) != 0, axis=0)]
    kept[-1] = True
    return np.round(x[kept], 2), np.round(y[kept], 2)


def _round_values(low, high):
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 6)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low, high):
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**power for power in range(first, last + 1)]


def _short(value):
    return f"{value:g}"
