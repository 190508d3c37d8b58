"""Charts as geometry (scales, paths and ticks in a box of 374 by 250), drawn as SVG by the templates."""

import math
from dataclasses import dataclass, field

import numpy as np

WIDTH, HEIGHT = 374, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 355, 10, 212
GRAIN = 0.25  # points of a curve nearer to one another than this, in both directions, are drawn as one


@dataclass(frozen=True)
class Scale:
    """A range of values on an axis: `scale(values)` are positions.

    Attributes:
        low, high: the range; values outside are drawn at its ends.
        start, end: positions of the two.
        log: whether equal ratios take equal room.
        share: whether its values are shares, which are shown in percent.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    share: bool = False

    def __call__(self, values):
        values = np.clip(values, self.low, self.high)
        low, high = self.low, self.high
        if self.log:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        return self.start + (values - low) / (high - low) * (self.end - self.start)

    def ticks(self):
        """`(position, text)` of about five round values."""
        values = _decades(self.low, self.high) if self.log else _round_values(self.low, self.high)
        return [(round(float(self(value)), 1), self.text(value)) for value in values]

    def text(self, value):
        """A value as a tick shows it."""
        return f"{100 * value:g} %" if self.share else f"{value:g}"

    @property
    def told(self):
        """For the script of the page, which reads values off positions: its fields in one line."""
        kind = f"{'log' if self.log else 'linear'} {'share' if self.share else 'number'}"
        return f"{self.low:.12g} {self.high:.12g} {self.start:g} {self.end:g} {kind}"


@dataclass(frozen=True)
class Mark:
    """A path, and the style that draws it; `label` stands in the legend."""

    path: str
    style: str
    label: str = ""


@dataclass(frozen=True)
class Dot:
    """A dot and the style that draws it.

    Attributes:
        x, y: its position.
        style: of the dot.
        name: whose it is, for whoever points at it.
        label: in the legend; such dots are large.
        sign: written into it, and ahead of its label.
    """

    x: float
    y: float
    style: str
    name: str
    label: str = ""
    sign: str = ""


@dataclass(frozen=True)
class Chart:
    """Everything a template needs to draw a chart.

    Attributes:
        title: what it shows, also for readers who do not see it.
        x_label, y_label: of the axes.
        x, y: their `Scale`s.
        marks: `Mark`s, drawn in order.
        points: `Dot`s, drawn over them.
    """

    title: str
    x_label: str
    y_label: str
    x: Scale
    y: Scale
    marks: list = field(default_factory=list)
    points: list = field(default_factory=list)

    @property
    def legend(self):
        """`(style, label)` of all that is labelled."""
        drawn = [(mark.style, mark.label) for mark in self.marks]
        return [item for item in dict.fromkeys(drawn) if item[1]]


def across(low, high, *, log=False, share=False):
    """The scale of a horizontal axis."""
    return Scale(low, high, LEFT, RIGHT, log, share)


def upward(low, high, *, log=False, share=False):
    """The scale of a vertical axis."""
    return Scale(low, high, BOTTOM, TOP, log, share)


def line(x, y):
    """Returns the path of straight lines through points, thinned to visible detail."""
    x, y = _thinned(x, y)
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def steps(x, y):
    """Returns the path of steps through points, thinned to visible detail."""
    x, y = _thinned(x, y)
    parts = [f"M{x[0]:g} {y[0]:g}"]
    parts += [f"H{a:g}V{b:g}" for a, b in zip(x[1:].tolist(), y[1:].tolist(), strict=True)]
    return "".join(parts)


def bars(edges, heights, floor):
    """Returns the outline of adjacent bars, closed along the floor.

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
