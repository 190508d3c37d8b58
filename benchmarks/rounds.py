"""What the benchmarks share: clocks, turns in rounds, the facts of the machine, the table and the options.

Processor time, all cores together, stands beside the time on the clock: on a busy machine it is the steadier of the
two. Keras is not imported here, so that a benchmark without networks starts without it.
"""

import argparse
import dataclasses
import importlib
import json
import os
import platform
import sys
import time

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
PACKAGES = {"numpy": "NumPy", "tensorflow": "TensorFlow", "keras": "Keras", "python": "Python"}


class Stopwatch:
    """Starts all clocks."""

    def __init__(self):
        self._began = {name: clock() for name, clock in CLOCKS.items()}

    def seconds(self, *, per=1):
        """Seconds since the start, by clock, divided by `per` where that many pieces of work were done."""
        return {name: (clock() - self._began[name]) / per for name, clock in CLOCKS.items()}


def timed(work):
    """What a function without arguments returns, and the seconds it took by clock."""
    stopwatch = Stopwatch()
    return work(), stopwatch.seconds()


def take_turns(open_ways, rounds, *, opening="tracing"):
    """Lets every way of doing the work take one turn a round, with a bar on a terminal.

    Args:
        open_ways: function without arguments that returns, by name, functions without arguments that take a turn and
            return a figure by clock. They should be warm.
        rounds: how many rounds.
        opening: what the bar says while `open_ways` runs.

    Returns:
        By name and by clock, a list with a figure a round.
    """
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(opening, total=rounds)
        ways = open_ways()
        figures = {name: {clock: [] for clock in CLOCKS} for name in ways}
        for turn in range(rounds):
            progress.update(task, description="measuring")
            # Back and forth, so that none always follows the same neighbour.
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                for clock, value in ways[name]().items():
                    figures[name][clock].append(value)
            progress.advance(task)
    return figures


def ratios(figures, name, *, to, clock="wall"):
    """Median, least and greatest ratio of a way's figure to another's in the same round."""
    each = np.divide(figures[name][clock], figures[to][clock])
    return float(np.median(each)), float(each.min()), float(each.max())


def random_records(count, features, classes, *, seed):
    """Binary records and labels that follow no rule: time does not depend on what there is to learn."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (count, features)).astype("float32"), rng.integers(0, classes, count)


def machine(*packages):
    """What a reader needs in order to compare figures, with the version of each package and TensorFlow's devices."""
    modules = {name: importlib.import_module(name) for name in packages}
    facts = {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
    if "tensorflow" in modules:
        devices = modules["tensorflow"].config.list_logical_devices()
        facts["devices"] = [device.device_type for device in devices]
    return facts | {name: module.__version__ for name, module in modules.items()}


def open_console():
    """Standard output, without colours and as wide as the table where it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def open_table(console, first, *others):
    """An empty table with a column of names on the left and columns of figures."""
    table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def print_times_plain(console, title, seconds, plain):
    """Prints a table of ways of training: milliseconds a batch, and how many times those of the way `plain`."""
    table = open_table(console, title, "ms a batch", "times plain", "range", "processor time")
    for name, clocks in seconds.items():
        median, least, most = ratios(seconds, name, to=plain)
        processor, *_ = ratios(seconds, name, to=plain, clock="processor")
        took = f"{1000 * np.median(clocks['wall']):.1f}"
        table.add_row(name, took, f"{median:.2f}", f"{least:.2f} to {most:.2f}", f"{processor:.2f}")
    console.print(table)


def print_setting(console, work, facts):
    """Prints what was measured, a sentence or two, and on which machine."""
    parts = [f"{facts['cores']} cores ({facts['processor']})"]
    if "devices" in facts:
        parts.append(f"devices {', '.join(facts['devices'])}")
    parts += [f"{title} {facts[name]}" for name, title in PACKAGES.items() if name in facts]
    console.print(f"{work} {', '.join(parts)}.")
    if facts["load_average"] is not None:
        console.print(f"Load average before the start: {facts['load_average']:.1f}.")


def open_parser(description, *, quick, rounds=None):
    """A parser with the options that all benchmarks have.

    Args:
        description: text whose first line says what is measured.
        quick: what `--quick` does.
        rounds: how many rounds there are without `--quick`; None leaves the option out.
    """
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    if rounds:
        said = f"rounds to take the median over (default: {rounds})"
        parser.add_argument("--rounds", type=positive, help=said)
    return parser


def asked_size(options, *, quick, full):
    """How much to time, a dataclass with `rounds`, by what `--quick` and `--rounds` say."""
    size = quick if options.quick else full
    return dataclasses.replace(size, rounds=options.rounds) if options.rounds else size


def positive(text, *, least=1):
    """The whole number that an option was given, at least `least`."""
    if (number := int(text)) < least:
        raise argparse.ArgumentTypeError(f"must be at least {least}. Received: {number}")
    return number


def write_json(path, result):
    """Writes the figures, or nothing where no path is given."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
