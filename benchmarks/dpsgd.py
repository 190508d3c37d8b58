"""Examples a second of DP-SGD, beside plain training of the same model.

    python benchmarks/dpsgd.py
    python benchmarks/dpsgd.py --quick --json dpsgd.json
    python benchmarks/dpsgd.py --peer opacus=/opt/opacus/bin/python --peer tensorflow-privacy=/opt/keras2/bin/python

Two models on random records: the tanh network 600-1024-512-256-128-100 of Purchase100, and a small convolutional
network on 32 x 32 x 3; batch 256, SGD. All ways of training take short turns, each is set against the plain turn of the
same round, and the median over the rounds counts, so that other work on the machine falls on all alike. "vectorized"
is `tf.vectorized_map` over the whole model, what there was before ghost norms. Tracing is left out.

Each `--peer` has an interpreter of its own: `opacus`, `jax-privacy`, and `tensorflow-privacy` on Keras 2 (TensorFlow
2.15, Python 3.11). Its process (`dpsgd_peers.py`) takes turns with this one and waits meanwhile; every process has as
many threads as there are cores. Peers are set against plain training of their own kind, and `DPSGD` against each of
them.
"""

import contextlib
import dataclasses
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
from fits import Size, time_fit
from peers import Peer, add_option, print_peers
from rounds import (
    asked_size,
    machine,
    open_console,
    open_parser,
    open_table,
    print_setting,
    ratios,
    take_turns,
    write_json,
)

import mpreg
from mpreg.gradients.mapped import VECTORIZED
from mpreg.gradients.plan import ClippingPlan

BATCH = 256
PLAIN, GHOST, NOISELESS, WHOLE = (
    "plain Keras fit",
    "DPSGD",
    "DPSGD, clipping alone",
    "vectorized, whole model",
)
PEERS = Path(__file__).with_name("dpsgd_peers.py")


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = asked_size(options, quick=Size(rounds=3, batches=3), full=Size(rounds=15, batches=10))
    result = {
        "machine": machine("tensorflow", "keras"),
        "size": dataclasses.asdict(size),
        "peers": {},
        "seconds_per_batch": {},
    }
    for name in MODELS:
        with contextlib.ExitStack() as stack:
            peers = [
                stack.enter_context(Peer(asked, PEERS, name, BATCH, size.batches)) for asked in options.peer
            ]
            result["seconds_per_batch"][name] = measure(name, size, peers)
            result["peers"].update({peer.name: peer.facts for peer in peers})
    print_result(result)
    write_json(options.json, result)
    return 0


def purchase():
    """Model and record shape of the tanh network."""
    stack = [keras.Input((600,))]
    stack += [keras.layers.Dense(units, "tanh") for units in (1024, 512, 256, 128)]
    return keras.Sequential([*stack, keras.layers.Dense(100, "softmax")])


def small_cnn():
    """Three convolutions and a dense layer, 32 x 32 x 3 to 10 classes."""
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


def measure(name, size, peers=()):
    """Seconds per batch: by way of training and by clock, a list with a value a round."""

    def open_all():
        ways = open_ways(MODELS[name], size.batches)
        for peer in peers:
            ways.update(peer.turns())
        return ways

    return take_turns(open_all, size.rounds)


def open_ways(make, batches):
    """By name, a function that trains for a turn and returns its seconds per batch, warm from the start."""
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
        time_fit(model, turn, batch_size=BATCH)
        ways[name] = lambda model=model, turn=turn: time_fit(model, turn, batch_size=BATCH)
    return ways


def vectorized(target):
    """A `DPSGD` that runs the whole model on each record, whatever rules its layers have."""
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0)
    model._preparation.plan = ClippingPlan(target, [], whole=VECTORIZED, why="for comparison")
    return model


def random_records(model, batches):
    """Random records of a model's input shape and labels that follow no rule."""
    rng = np.random.default_rng(0)
    count = batches * BATCH
    x = rng.normal(size=(count, *model.input_shape[1:])).astype("float32")
    return x, rng.integers(0, model.output_shape[-1], count)


def speeds(seconds, name, *, to=PLAIN, clock="wall"):
    """Median, least and greatest ratio of a way's speed to another's in the same round."""
    return ratios(seconds, to, to=name, clock=clock)  # the more time, the less speed


def print_result(result):
    """The tables, the machine and how to read them, on standard output."""
    console = open_console()
    for title, seconds in result["seconds_per_batch"].items():
        columns = "examples a second", "of plain", "range", "processor time", "DPSGD is"
        table = open_table(console, title, *columns)
        to = PLAIN
        for name, clocks in seconds.items():
            to = name if name.startswith("plain") else to  # ahead of those that are set against it
            median, least, most = speeds(seconds, name, to=to)
            processor, *_ = speeds(seconds, name, to=to, clock="processor")
            table.add_row(
                name,
                f"{BATCH / np.median(clocks['wall']):,.0f}",
                f"{median:.2f}",
                f"{least:.2f} to {most:.2f}",
                f"{processor:.2f}",
                f"{speeds(seconds, GHOST, to=name)[0]:.2f} x",
            )
        console.print(table)
    print_peers(console, result["peers"])
    size = result["size"]
    print_setting(
        console,
        f"Batch {BATCH}; medians over {size['rounds']} rounds of {size['batches']} batches.",
        result["machine"],
    )


def _parser():
    parser = open_parser(__doc__, quick="3 short rounds, for a first impression", rounds=15)
    add_option(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
