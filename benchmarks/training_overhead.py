"""Time of an epoch of adversarial regularization, as a multiple of plain training of the same model.

    python benchmarks/training_overhead.py
    python benchmarks/training_overhead.py --quick --json overhead.json

The Purchase100 network on random records of its shape. All ways of training take turns in one process and are set
against the plain epoch of the same round, so that other work on the machine falls on all alike. Tracing is left out:
each takes its first steps before the clock runs. The published schedule is timed on a few steps of either player and
extrapolated to one pass over the members.
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

FEATURES, CLASSES = 600, 100
BATCH = 128
PENALTY = 3.0
PLAIN, OURS, PUBLISHED = "plain fit", "AdversarialRegularization", "published schedule"
NASR, CALLBACK = "AdversarialRegularization, nasr2018 network", "AdversarialTraining callback"


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to time: records in an epoch, rounds, and steps of the published inference network a round."""

    records: int
    rounds: int
    inference_steps: int


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = Size(records=2_560, rounds=3, inference_steps=13) if options.quick else Size(20_000, 7, 52)
    size = dataclasses.replace(size, **{k: v for k in ("records", "rounds") if (v := getattr(options, k))})
    seconds = measure(size)
    result = {"machine": machine(), "size": dataclasses.asdict(size), "seconds": seconds}
    print_result(result)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**result, "ratios": {name: ratios(seconds, name) for name in seconds}}, file, indent=2)
    return 0


def measure(size):
    """Seconds of an epoch, a list with a value a round, by way of training."""
    members, reference = (random_records(size.records, seed=seed) for seed in (0, 1))
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("tracing", total=size.rounds * 5)
        ways = open_ways(members, reference, size)
        seconds = {name: [] for name in ways}
        for turn in range(size.rounds):
            # Back and forth, so that none always follows the same neighbour.
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                progress.update(task, description=name)
                seconds[name].append(ways[name]())
                progress.advance(task)
    return seconds


def open_ways(members, reference, size):
    """By name, a function of nothing that trains for an epoch and returns its seconds, warm from a first call."""
    plain, callback_target = purchase_mlp(), purchase_mlp()
    ours = mpreg.AdversarialRegularization(purchase_mlp(), reference, penalty=PENALTY)
    nasr = mpreg.AdversarialRegularization(
        purchase_mlp(), reference, penalty=PENALTY, inference_network="nasr2018"
    )
    callback = AdversarialTraining(reference, penalty=PENALTY)
    for model in (plain, ours, nasr, callback_target):
        model.compile("adam", "sparse_categorical_crossentropy")
    first = tuple(part[: 2 * BATCH] for part in members)
    for model in (plain, ours, nasr):
        epoch_seconds(model, first)
    return {
        PLAIN: lambda: epoch_seconds(plain, members),
        OURS: lambda: epoch_seconds(ours, members),
        NASR: lambda: epoch_seconds(nasr, members),
        # The callback leaves the model as it was, so that each fit traces: its second epoch is the one to time.
        CALLBACK: lambda: epoch_seconds(callback_target, members, epochs=2, callbacks=[callback]),
        PUBLISHED: open_published(members, reference, size),
    }


def open_published(members, reference, size):
    """As the functions of `open_ways`, for the published schedule, extrapolated from a few steps."""
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
    rounds = list(PublishedSchedule().rounds(players.batches))
    inference_steps, target_steps = (sum(map(len, ranges)) for ranges in zip(*rounds, strict=True))

    def seconds_per_step(window, batches):
        began = time.perf_counter()
        players.play(window, batches, penalty=PENALTY)
        players.collect()  # reads what the last step wrote, so that no step is still under way
        return (time.perf_counter() - began) / len(window or batches)

    def epoch():
        inference = seconds_per_step(range(size.inference_steps), range(0))
        target = seconds_per_step(range(0), range(size.inference_steps))
        return inference * inference_steps + target * target_steps

    players.play(range(2), range(2), penalty=PENALTY)
    return epoch


def epoch_seconds(model, members, **options):
    """Seconds of the last epoch of a `fit`."""
    clock = EpochClock()
    callbacks = [*options.pop("callbacks", []), clock]
    model.fit(*members, batch_size=BATCH, verbose=0, callbacks=callbacks, **options)
    return clock.seconds


class EpochClock(keras.callbacks.Callback):
    """Keeps the time that the last epoch took."""

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._began


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


def ratios(seconds, name, to=PLAIN):
    """Median, least and greatest ratio of a way's time to another's in the same round."""
    each = np.divide(seconds[name], seconds[to])
    return {"median": float(np.median(each)), "min": float(each.min()), "max": float(each.max())}


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    seconds, size = result["seconds"], result["size"]
    table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
    for name, justify in (
        ("", "left"),
        ("seconds an epoch", "right"),
        ("times plain", "right"),
        ("range", "right"),
    ):
        table.add_column(name, justify=justify)
    for name, each in seconds.items():
        ratio = ratios(seconds, name)
        spread = f"{ratio['min']:.2f} to {ratio['max']:.2f}"
        table.add_row(name, f"{np.median(each):.2f}", f"{ratio['median']:.2f}", spread)
    console.print(table)
    against = ratios(seconds, PUBLISHED, to=OURS)
    console.print(
        f"The published schedule, extrapolated from {size['inference_steps']} steps of each player a round, takes "
        f"{against['median']:.0f} times as long as AdversarialRegularization."
    )
    facts = result["machine"]
    console.print(
        f"{size['records']:,} records of {FEATURES} features, {CLASSES} classes, batches of {BATCH}; medians over "
        f"{size['rounds']} rounds. {facts['cores']} cores ({facts['processor']}), devices "
        f"{', '.join(facts['devices'])}, TensorFlow {facts['tensorflow']}, Keras {facts['keras']}, "
        f"Python {facts['python']}."
    )
    if facts["load_average"] is not None:
        console.print(f"Load average {facts['load_average']:.1f}, this benchmark included.")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_positive, help="rounds to take the median over (default: 7)")
    parser.add_argument("--records", type=_positive, help="records in an epoch (default: 20,000)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 2,560 records: a first impression")
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    return parser


def _positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
