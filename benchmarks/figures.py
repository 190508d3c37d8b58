"""What `config.toml` asks for, read and computed: figures with their spread, and whether they keep their bars."""

import dataclasses
from pathlib import Path

import numpy as np
import tomllib

FOLDER = Path(__file__).resolve().parent
CONFIG, RESULTS, TEXT, CHART, GROWTH = (
    FOLDER / name for name in ("config.toml", "results.json", "RESULTS.md", "results.png", "growth.png")
)
EVERY = "*"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure as it was measured.

    Attributes:
        benchmark, title, unit, clock: as in the configuration; the title of one of many ends with its way.
        value: the median over the rounds.
        low, high: an interval of the median, of the rounds' order statistics, at 95 % where there are six or more
            rounds; below that the least and the greatest.
        rounds: number of rounds.
        at_most, at_least: its bar, or None.
    """

    benchmark: str
    title: str
    unit: str
    clock: str
    value: float
    low: float
    high: float
    rounds: int
    at_most: float | None = None
    at_least: float | None = None

    @property
    def bar(self):
        """The bar in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "-" if self.at_least is None else f"at least {self.at_least:g}"

    @property
    def behind(self):
        """Whether it misses its bar by more than its noise: even the better end of its interval does."""
        too_much = self.at_most is not None and self.low > self.at_most
        return too_much or (self.at_least is not None and self.high < self.at_least)


def read_config(path=CONFIG):
    """The configuration, a dict; every benchmark has a name, a script and figures."""
    with open(path, "rb") as file:
        return tomllib.load(file)


def figures_of(benchmark, result):
    """The `Figure`s of a benchmark's JSON; one of a peer that was not timed is left out.

    Raises:
        ValueError: something that the configuration names is not in it.
    """
    found = []
    for asked in benchmark["figure"]:
        table = result
        try:
            for key in asked["table"]:
                table = table[key]
            ways = [way for way in table if way != asked.get("to")] if asked["of"] == EVERY else [asked["of"]]
            if asked.get("peer") and not {asked["of"], asked["to"]} <= set(table):
                continue
            for way in ways:
                found.append(_figure(benchmark["name"], asked, table, way))
        except KeyError as error:
            raise ValueError(
                f"{benchmark['script']} wrote nothing under {error}, which config.toml asks for. "
                f"Received: {list(table)}"
            ) from None
    return found


def _figure(name, asked, table, way):
    own = np.atleast_1d(np.asarray(table[way][asked["clock"]], float))
    each = own / np.atleast_1d(table[asked["to"]][asked["clock"]]) if "to" in asked else own
    low, high = median_interval(each)
    title = f"{asked['title']}: {way}" if asked["of"] == EVERY else asked["title"]
    bars = {bar: asked.get(bar) for bar in ("at_most", "at_least")}
    return Figure(
        name, title, asked["unit"], asked["clock"], float(np.median(each)), low, high, len(each), **bars
    )


def median_interval(values):
    """A 95 % interval of the median: two of the sorted values, as far from either end as a fair coin allows."""
    from scipy import stats

    values = np.sort(values)
    dropped = max(0, int(stats.binom.ppf(0.025, len(values), 0.5)) - 1)
    return float(values[dropped]), float(values[len(values) - 1 - dropped])
