"""Time of adversarial regularization, as a multiple of plain training of the same model.

    python benchmarks/training_overhead.py
    python benchmarks/training_overhead.py --quick --json overhead.json

The Purchase100 network on 20,000 random records of its shape. All ways of training take short turns in one process,
each is set against the plain turn of the same round, and the median over the rounds counts, so that other work on the
machine falls on all alike. Processor time, all cores together, stands beside the time on the clock: on a busy machine
it is the steadier of the two. Tracing is left out. For the published schedule the steps of either player are timed
apart and weighted with how many an epoch of it takes.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
import tensorflow as tf
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.networks import purchase_mlp
from mpreg.recipes.published_schedule import Players, PublishedSchedule

RECORDS, FEATURES, CLASSES = 20_000, 600, 100
BATCH = 128
PENALTY = 3.0
PLAIN, OURS, PUBLISHED = "plain fit", "AdversarialRegularization", "published schedule"
NASR, CALLBACK = "AdversarialRegularization, nasr2018 network", "AdversarialTraining callback"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to time: rounds, and in each round target batches of every way of training."""

    rounds: int
    batches: int


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = Size(rounds=3, batches=5) if options.quick else Size(rounds=25, batches=20)
    if options.rounds:
        size = dataclasses.replace(size, rounds=options.rounds)
    result = {"machine": machine(), "size": dataclasses.asdict(size), "seconds_per_batch": measure(size)}
    print_result(result)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0


def measure(size):
    """Seconds per batch of members: by way of training and by clock, a list with a value a round."""
    members, reference = (random_records(RECORDS, seed=seed) for seed in (0, 1))
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("tracing", total=size.rounds)
        ways = open_ways(members, reference, size.batches)
        seconds = {name: {clock: [] for clock in CLOCKS} for name in ways}
        for turn in range(size.rounds):
            progress.update(task, description="measuring")
            # Back and forth, so that none always follows the same neighbour.
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                for clock, value in ways[name]().items():
                    seconds[name][clock].append(value)
            progress.advance(task)
    return seconds


def open_ways(members, reference, batches):
    """By name, a function of nothing that trains for a turn and returns its seconds per batch, warm from the start."""
    plain, ours, nasr, callback_target = models = [
        purchase_mlp(),
        mpreg.AdversarialRegularization(purchase_mlp(), reference, penalty=PENALTY),
        mpreg.AdversarialRegularization(
            purchase_mlp(), reference, penalty=PENALTY, inference_network="nasr2018"
        ),
        purchase_mlp(),
    ]
    callback = AdversarialTraining(reference, penalty=PENALTY)
    turn = tuple(part[: (batches + 1) * BATCH] for part in members)
    for model in models:
        model.compile("adam", "sparse_categorical_crossentropy")
    for model in (plain, ours, nasr):
        time_fit(model, turn)
    return {
        PLAIN: lambda: time_fit(plain, turn),
        OURS: lambda: time_fit(ours, turn),
        NASR: lambda: time_fit(nasr, turn),
        # It leaves the model as it was, so that each fit traces anew, and its data wait ready meanwhile: only the
        # second epoch compares with the others.
        CALLBACK: lambda: time_fit(callback_target, turn, callbacks=[callback], epochs=2),
        PUBLISHED: open_published(members, reference, batches),
    }


def open_published(members, reference, batches):
    """As the functions of `open_ways`, for the published schedule, whose players are timed one after the other."""
    players = Players(
        purchase_mlp(),
        members,
        reference,
        batch_size=BATCH,
        target_optimizer=keras.optimizers.Adam(1e-3),
        inference_optimizer=keras.optimizers.Adam(1e-4),
        inference_network="nasr2018",
        from_logits=False,
        seed=0,
    )
    epoch = PublishedSchedule().rounds(players.batches)
    inference_steps = sum(len(window) for window, _ in epoch) / players.batches

    def seconds(window, turn):
        stopwatch = Stopwatch()
        players.play(window, turn, penalty=PENALTY)
        players.collect()  # reads what the last step wrote, so that no step is still under way
        return stopwatch.per_batch(batches)

    def turn():
        target, inference = seconds(range(0), range(batches)), seconds(range(batches), range(0))
        return {clock: target[clock] + inference_steps * inference[clock] for clock in CLOCKS}

    players.play(range(2), range(2), penalty=PENALTY)
    return turn


def time_fit(model, members, *, callbacks=(), epochs=1):
    """Seconds per batch of the last epoch of a `fit`, by clock, without its first batch."""
    clock = BatchClock()
    model.fit(*members, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[*callbacks, clock])
    return clock.seconds


class BatchClock(keras.callbacks.Callback):
    """Times the batches of an epoch but the first, before which Keras opens the data and may trace."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self._stopwatch = Stopwatch()
        else:
            self._batches = batch

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = self._stopwatch.per_batch(self._batches)


class Stopwatch:
    """Starts all clocks."""

    def __init__(self):
        self._began = {name: clock() for name, clock in CLOCKS.items()}

    def per_batch(self, batches):
        """Seconds since the start for each of so many batches, by clock."""
        return {name: (clock() - self._began[name]) / batches for name, clock in CLOCKS.items()}


def random_records(count, *, seed):
    """Binary records and labels that follow no rule: time does not depend on what there is to learn."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, (count, FEATURES)).astype("float32"), rng.integers(0, CLASSES, count)


def machine():
    """What a reader needs in order to compare figures."""
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "devices": [device.device_type for device in tf.config.list_logical_devices()],
        "processor": platform.machine(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def ratios(seconds, name, *, to=PLAIN, clock="wall"):
    """Median, least and greatest ratio of a way's time to another's in the same round."""
    each = np.divide(seconds[name][clock], seconds[to][clock])
    return float(np.median(each)), float(each.min()), float(each.max())


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    seconds = result["seconds_per_batch"]
    table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
    for name in ("", "ms a batch", "times plain", "range", "processor time"):
        table.add_column(name, justify="right" if name else "left")
    for name, clocks in seconds.items():
        median, least, most = ratios(seconds, name)
        processor, *_ = ratios(seconds, name, clock="processor")
        took = f"{1000 * np.median(clocks['wall']):.1f}"
        table.add_row(name, took, f"{median:.2f}", f"{least:.2f} to {most:.2f}", f"{processor:.2f}")
    console.print(table)
    wall, processor = (ratios(seconds, PUBLISHED, to=OURS, clock=clock)[0] for clock in CLOCKS)
    console.print(
        f"The published schedule takes {wall:.0f} times as long as AdversarialRegularization, and {processor:.0f} "
        "times the processor time, extrapolated from the steps of a turn to an epoch."
    )
    size, facts = result["size"], result["machine"]
    console.print(
        f"{RECORDS:,} records of {FEATURES} features, {CLASSES} classes, {BATCH} a batch; medians over "
        f"{size['rounds']} rounds of {size['batches']} batches. {facts['cores']} cores ({facts['processor']}), "
        f"devices {', '.join(facts['devices'])}, TensorFlow {facts['tensorflow']}, Keras {facts['keras']}, "
        f"Python {facts['python']}."
    )
    if facts["load_average"] is not None:
        console.print(f"Load average before the start: {facts['load_average']:.1f}.")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_positive, help="rounds to take the median over (default: 25)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, for a first impression")
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    return parser


def _positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
