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

import dataclasses
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
import tensorflow as tf
from rounds import (
    CLOCKS,
    asked_size,
    machine,
    open_console,
    open_parser,
    open_table,
    print_setting,
    random_records,
    ratios,
    take_turns,
    timed,
    write_json,
)

import mpreg
from mpreg.networks import location_mlp
from mpreg.outputs.noise import DISTORTION_WEIGHTS, LABEL_WEIGHT, STEP, STEPS, UNDECIDED

MEMBERS, FEATURES, CLASSES = 1_000, 446, 30
BARE, GUARD, COMPILED = "bare model", "MemGuard", "MemGuard, compiled by XLA"
PUBLISHED = "MemGuard as published, a query at a time"


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
    size = asked_size(options, quick=QUICK, full=FULL)
    result = {
        "machine": machine("tensorflow", "keras"),
        "size": dataclasses.asdict(size),
        # By model and by clock, a list with a value a round.
        "queries_per_second": take_turns(
            lambda: open_ways(size), size.rounds, opening="training and tracing"
        ),
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def open_ways(size):
    """By name, a function without arguments that answers a turn of queries and returns their number a second, warm."""
    members, others = (random_records(MEMBERS, FEATURES, CLASSES, seed=seed) for seed in (0, 1))
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
    _, seconds = timed(work)
    return {clock: count / value for clock, value in seconds.items()}


def train_target(members, *, epochs):
    """The Location network, trained on records that follow no rule."""
    keras.utils.set_random_seed(0)
    model = location_mlp()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*members, epochs=epochs, verbose=0)
    return model


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = open_console()
    rates, size = result["queries_per_second"], result["size"]
    table = open_table(console, "", "queries a second", "share of bare", "range", "processor time")
    for name, clocks in rates.items():
        median, least, most = ratios(rates, name, to=BARE)
        processor, *_ = ratios(rates, name, to=BARE, clock="processor")
        speed = f"{np.median(clocks['wall']):,.{0 if np.median(clocks['wall']) >= 100 else 1}f}"
        table.add_row(name, speed, f"{median:.3g}", f"{least:.3g} to {most:.3g}", f"{processor:.3g}")
    console.print(table)
    for name in (GUARD, COMPILED):
        wall, processor = (ratios(rates, name, to=PUBLISHED, clock=clock)[0] for clock in CLOCKS)
        console.print(
            f"{name}: {wall:,.0f} times as many queries a second as the published procedure, and {processor:,.0f} "
            "times as many a second of processor time."
        )
    print_setting(
        console,
        f"{FEATURES} features, {CLASSES} classes; medians over {size['rounds']} rounds of {size['queries']} queries, "
        f"{size['batch']} a batch ({size['published_queries']} for the published procedure).",
        result["machine"],
    )


def _parser():
    return open_parser(__doc__, quick="a single short round, for a first impression", rounds=7)


if __name__ == "__main__":
    sys.exit(main())
