"""Queries a second of a served model behind each output defence, as a share of the bare model's.

    python benchmarks/outputs.py
    python benchmarks/outputs.py --quick --json outputs.json

The Location network, 446 features to 30 classes, trained to know 1,000 random records by heart; half of the queries are
such members. All models take short turns in one process, each is set against the bare model's turn of the same round,
and the median over the rounds counts. Processor time, all cores together, stands beside the time on the clock: on a
busy machine it is the steadier of the two. Tracing and compiling are left out.

MemGuard is also set against its published procedure, which works on one query at a time and runs the graph twice an
iteration, for the gradient and for the prediction. It is written here with a `tf.function` for each of the two, traced
once, in place of the original's TensorFlow 1.8 session; constants and stopping rules are the same.
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
from mpreg.networks import location_mlp
from mpreg.outputs.noise import DISTORTION_WEIGHTS, LABEL_WEIGHT, STEP, STEPS, UNDECIDED

MEMBERS, FEATURES, CLASSES = 1_000, 446, 30
BARE, GUARD, COMPILED = "bare model", "MemGuard", "MemGuard, compiled by XLA"
PUBLISHED = "MemGuard as published, a query at a time"
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to time: rounds, queries a turn and a batch, queries a turn of the published procedure; and epochs of
    the target's and the defence classifier's training."""

    rounds: int
    queries: int
    batch: int
    published_queries: int
    epochs: tuple


FULL = Size(rounds=7, queries=1024, batch=256, published_queries=4, epochs=(30, 400))
QUICK = Size(rounds=1, queries=64, batch=32, published_queries=1, epochs=(4, 20))


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = QUICK if options.quick else FULL
    if options.rounds:
        size = dataclasses.replace(size, rounds=options.rounds)
    result = {"machine": machine(), "size": dataclasses.asdict(size), "queries_per_second": measure(size)}
    print_result(result)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    return 0


def measure(size):
    """Queries a second: by model and by clock, a list with a value a round."""
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("training and tracing", total=size.rounds)
        ways = open_ways(size)
        rates = {name: {clock: [] for clock in CLOCKS} for name in ways}
        for turn in range(size.rounds):
            progress.update(task, description="measuring")
            # Back and forth, so that none always follows the same neighbour.
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                for clock, value in ways[name]().items():
                    rates[name][clock].append(value)
            progress.advance(task)
    return rates


def open_ways(size):
    """By name, a function of nothing that answers a turn of queries and returns their number a second, warm."""
    members, others = random_records(MEMBERS, seed=0), random_records(MEMBERS, seed=1)
    model = train_target(members, epochs=size.epochs[0])
    guard = mpreg.MemGuard(1.0, seed=0)
    guard.fit(*(model.predict(x, verbose=0) for x, _ in (members, others)), epochs=size.epochs[1])
    compiled = mpreg.defend(model, guard)
    compiled.compile(jit_compile=True)
    models = {
        BARE: model,
        "TopK(3)": mpreg.defend(model, mpreg.TopK(3)),
        "LabelOnly()": mpreg.defend(model, mpreg.LabelOnly()),
        "Rounding(1)": mpreg.defend(model, mpreg.Rounding(1)),
        "Temperature(5.0)": mpreg.defend(model, mpreg.Temperature(5.0)),
        "RankOnly, bank of 1,000": mpreg.defend(model, mpreg.RankOnly.from_model(model, others[0], seed=0)),
        GUARD: mpreg.defend(model, guard),
        COMPILED: compiled,
    }
    queries = np.concatenate([members[0][: size.queries // 2], others[0][: size.queries // 2]])
    np.random.default_rng(0).shuffle(queries)
    ways = {
        name: lambda served=served: rate(
            lambda: served.predict(queries, batch_size=size.batch, verbose=0), len(queries)
        )
        for name, served in models.items()
    }
    ways[PUBLISHED] = open_published(model, guard, queries[: size.published_queries])
    for way in ways.values():
        way()
    return ways


def open_published(model, guard, queries):
    """As the functions of `open_ways`, for the published procedure on the model's answers."""
    procedure = PublishedMemGuard(guard)

    def turn():
        return rate(lambda: [procedure(row) for row in model.predict(queries, verbose=0)], len(queries))

    return turn


class PublishedMemGuard:
    """The published search for noise, a query at a time: sorted scores (classes,) in, noisy ones out.

    Args:
        guard: a fitted `MemGuard`, whose defence classifier is used.
    """

    def __init__(self, guard):
        classifier = guard.classifier

        @tf.function
        def predict(logits):
            return classifier(tf.nn.softmax(logits))[:, 0]

        @tf.function
        def gradient(logits, scores, weight):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(logits)
                noisy = tf.nn.softmax(logits)
                loss = tf.abs(classifier(noisy)[:, 0])
                loss += LABEL_WEIGHT * tf.nn.relu(tf.reduce_max(logits[:, 1:], axis=1) - logits[:, 0])
                loss += weight * tf.reduce_sum(tf.abs(noisy - scores), axis=1)
            return tape.gradient(loss, logits)

        self._predict, self._gradient = predict, gradient

    def __call__(self, answer):
        logits = np.log(np.maximum(np.float32(-np.sort(-answer)), 1e-30))[None]
        scores = tf.nn.softmax(logits).numpy()
        before = self._h(logits)
        found = scores
        if abs(1 / (1 + np.exp(-before)) - 0.5) <= UNDECIDED:
            return found[0]
        for weight in DISTORTION_WEIGHTS:
            walked = self._walk(logits, scores, np.float32(weight), before)
            if walked is None:
                break
            found = walked
        return found[0]

    def _walk(self, logits, scores, weight, before):
        scores, weight = tf.constant(scores), tf.constant(weight)
        for _ in range(STEPS):
            slope = self._gradient(tf.constant(logits), scores, weight).numpy()
            logits = logits - np.float32(STEP) * slope / np.linalg.norm(slope)
            if logits.argmax() == 0 and self._h(logits) * before <= 0:
                powers = np.exp(logits - logits.max())
                return powers / powers.sum()
        return None

    def _h(self, logits):
        return float(self._predict(tf.constant(logits))[0])


def rate(work, count):
    """How many of `count` pieces of work are done a second, by clock."""
    began = {name: clock() for name, clock in CLOCKS.items()}
    work()
    return {name: count / (clock() - began[name]) for name, clock in CLOCKS.items()}


def train_target(members, *, epochs):
    """The Location network, trained on records that follow no rule."""
    keras.utils.set_random_seed(0)
    model = location_mlp()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*members, epochs=epochs, verbose=0)
    return model


def random_records(count, *, seed):
    """Binary records and labels that follow no rule."""
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


def ratios(rates, name, *, to=BARE, clock="wall"):
    """Median, least and greatest ratio of a model's queries a second to another's in the same round."""
    each = np.divide(rates[name][clock], rates[to][clock])
    return float(np.median(each)), float(each.min()), float(each.max())


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    rates, size, facts = result["queries_per_second"], result["size"], result["machine"]
    table = Table(box=box.SIMPLE if console.is_terminal else box.ASCII2)
    for name in ("", "queries a second", "share of bare", "range", "processor time"):
        table.add_column(name, justify="right" if name else "left")
    for name, clocks in rates.items():
        median, least, most = ratios(rates, name)
        processor, *_ = ratios(rates, name, clock="processor")
        speed = f"{np.median(clocks['wall']):,.{0 if np.median(clocks['wall']) >= 100 else 1}f}"
        table.add_row(name, speed, f"{median:.3g}", f"{least:.3g} to {most:.3g}", f"{processor:.3g}")
    console.print(table)
    for name in (GUARD, COMPILED):
        wall, processor = (ratios(rates, name, to=PUBLISHED, clock=clock)[0] for clock in CLOCKS)
        console.print(
            f"{name}: {wall:,.0f} times as many queries a second as the published procedure, and {processor:,.0f} "
            "times as many a second of processor time."
        )
    console.print(
        f"{FEATURES} features, {CLASSES} classes; medians over {size['rounds']} rounds of {size['queries']} queries, "
        f"{size['batch']} a batch ({size['published_queries']} for the published procedure). {facts['cores']} cores "
        f"({facts['processor']}), devices {', '.join(facts['devices'])}, TensorFlow {facts['tensorflow']}, Keras "
        f"{facts['keras']}, Python {facts['python']}."
    )
    if facts["load_average"] is not None:
        console.print(f"Load average before the start: {facts['load_average']:.1f}.")


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_positive, help="rounds to take the median over (default: 7)")
    parser.add_argument("--quick", action="store_true", help="a single short round, for a first impression")
    parser.add_argument("--json", metavar="PATH", help="also write the figures to this file")
    return parser


def _positive(text):
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
