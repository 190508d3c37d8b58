"""Examples a second of DP-SGD, beside plain training of the same model.

    python benchmarks/dpsgd.py
    python benchmarks/dpsgd.py --quick --json dpsgd.json

Two models on random records: the tanh network 600-1024-512-256-128-100 of Purchase100, and a small convolutional
network on 32 x 32 x 3; batch 256, SGD. All ways of training take short turns in one process, each is set against the
plain turn of the same round, and the median over the rounds counts, so that other work on the machine falls on all
alike. "vectorized" is `tf.vectorized_map` over the whole model, what there was before ghost norms. Where Opacus is
installed, its two ways of clipping are set against plain PyTorch in the same manner. Tracing is left out.
"""

import argparse
import dataclasses
import importlib.util
import itertools
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
from rich.table import Table

import mpreg
from mpreg.training.private.mapped import VECTORIZED
from mpreg.training.private.plan import ClippingPlan

BATCH = 256
PLAIN, GHOST, NOISELESS, WHOLE = (
    "plain Keras fit",
    "DPSGD",
    "DPSGD, clipping alone",
    "vectorized over the whole model",
)
TORCH, TORCH_GHOST, TORCH_HOOKS = "plain PyTorch", "Opacus, ghost", "Opacus, hooks"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to time: rounds, and in each round batches of every way of training."""

    rounds: int
    batches: int


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = Size(rounds=3, batches=3) if options.quick else Size(rounds=15, batches=10)
    if options.rounds:
        size = dataclasses.replace(size, rounds=options.rounds)
    facts = machine()
    seconds = {name: measure(make, size) for name, make in MODELS.items()}
    result = {"machine": facts, "size": dataclasses.asdict(size), "seconds_per_batch": seconds}
    print_result(result)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0


def purchase():
    """Model and record shape of the tanh network."""
    stack = [keras.Input((600,))]
    stack += [keras.layers.Dense(units, "tanh") for units in (1024, 512, 256, 128)]
    return keras.Sequential([*stack, keras.layers.Dense(100, "softmax")])


def small_cnn():
    """Two convolutions and a dense layer, 32 x 32 x 3 to 10 classes."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, "softmax"),
        ]
    )


MODELS = {"tanh network": purchase, "small CNN": small_cnn}


def measure(make, size):
    """Seconds per batch: by way of training and by clock, a list with a value a round."""
    ways = open_ways(make, size.batches)
    seconds = {name: {clock: [] for clock in CLOCKS} for name in ways}
    for turn in range(size.rounds):
        # Back and forth, so that none always follows the same neighbour.
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            for clock, value in ways[name]().items():
                seconds[name][clock].append(value)
    return seconds


def open_ways(make, batches):
    """By name, a function of nothing that trains for a turn and returns its seconds per batch, warm from the start."""
    plain = make()
    models = {
        PLAIN: plain,
        GHOST: mpreg.DPSGD(make(), noise_multiplier=1.0, l2_norm_clip=1.0),
        NOISELESS: mpreg.DPSGD(make(), noise_multiplier=0.0, l2_norm_clip=1.0),
        WHOLE: vectorized(make()),
    }
    ways = {}
    for name, model in models.items():
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        turn = random_records(plain, 2 if name == WHOLE else batches + 1)
        time_fit(model, turn)
        ways[name] = lambda model=model, turn=turn: time_fit(model, turn)
    return {**ways, **(open_opacus(batches) if make is purchase and has_opacus() else {})}


def vectorized(target):
    """A `DPSGD` that runs the whole model on each record, whatever rules its layers have."""
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0)
    model._plan = ClippingPlan(target, [], whole=VECTORIZED, why="for comparison")
    return model


def time_fit(model, records):
    """Seconds per batch of a `fit`, by clock, without its first batch."""
    clock = BatchClock()
    model.fit(*records, batch_size=BATCH, verbose=0, callbacks=[clock])
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


def has_opacus():
    """Whether PyTorch and Opacus are installed."""
    return all(importlib.util.find_spec(name) for name in ("torch", "opacus"))


def open_opacus(batches):
    """As the functions of `open_ways`, for plain PyTorch and Opacus' two ways of clipping, on the tanh network."""
    import opacus
    import torch

    def network():
        sizes, parts = (600, 1024, 512, 256, 128), []
        for before, after in itertools.pairwise(sizes):
            parts += [torch.nn.Linear(before, after), torch.nn.Tanh()]
        return torch.nn.Sequential(*parts, torch.nn.Linear(128, 100))

    x, y = (torch.from_numpy(part) for part in random_records(purchase(), batches))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=BATCH)

    def open_way(mode):
        model = network()
        optimizer, criterion = torch.optim.SGD(model.parameters(), 0.1), torch.nn.CrossEntropyLoss()
        if mode is not None:
            made = opacus.PrivacyEngine().make_private(
                module=model,
                optimizer=optimizer,
                criterion=criterion,
                data_loader=loader,
                noise_multiplier=1.0,
                max_grad_norm=1.0,
                poisson_sampling=False,
                grad_sample_mode=mode,
            )
            model, optimizer = made[0], made[1]
            criterion = made[2] if mode == "ghost" else criterion

        def turn():
            watch = Stopwatch()
            for at in range(batches):
                optimizer.zero_grad()
                rows = slice(at * BATCH, (at + 1) * BATCH)
                criterion(model(x[rows]), y[rows]).backward()
                optimizer.step()
            return watch.per_batch(batches)

        turn()
        return turn

    return {TORCH: open_way(None), TORCH_GHOST: open_way("ghost"), TORCH_HOOKS: open_way("hooks")}


def random_records(model, batches):
    """Random records of a model's input shape and labels that follow no rule."""
    rng = np.random.default_rng(0)
    count = batches * BATCH
    x = rng.normal(size=(count, *model.input_shape[1:])).astype("float32")
    return x, rng.integers(0, model.output_shape[-1], count)


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


def speeds(seconds, name, *, to=PLAIN, clock="wall"):
    """Median, least and greatest ratio of a way's speed to another's in the same round."""
    each = np.divide(seconds[to][clock], seconds[name][clock])
    return float(np.median(each)), float(each.min()), float(each.max())


def print_result(result):
    """The tables, the machine and how to read them, on standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    for title, seconds in result["seconds_per_batch"].items():
        table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
        for name in (title, "examples a second", "of plain", "range", "of plain, processor time"):
            table.add_column(name, justify="left" if name == title else "right")
        for name, clocks in seconds.items():
            to = TORCH if name in (TORCH, TORCH_GHOST, TORCH_HOOKS) else PLAIN
            median, least, most = speeds(seconds, name, to=to)
            processor, *_ = speeds(seconds, name, to=to, clock="processor")
            rate = BATCH / np.median(clocks["wall"])
            table.add_row(
                name, f"{rate:,.0f}", f"{median:.2f}", f"{least:.2f} to {most:.2f}", f"{processor:.2f}"
            )
        console.print(table)
    size, facts = result["size"], result["machine"]
    console.print(
        f"Batch {BATCH}; medians over {size['rounds']} rounds of {size['batches']} batches. {facts['cores']} cores "
        f"({facts['processor']}), devices {', '.join(facts['devices'])}, TensorFlow {facts['tensorflow']}, "
        f"Keras {facts['keras']}, Python {facts['python']}."
    )
    if facts["load_average"] is not None:
        console.print(f"Load average before the start: {facts['load_average']:.1f}.")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_positive, help="rounds to take the median over (default: 15)")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, for a first impression")
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    return parser


def _positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
