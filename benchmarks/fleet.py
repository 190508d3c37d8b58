"""A fleet of 16 replicas against 16 fits of Keras: time, and accuracy beside it.

    python benchmarks/fleet.py
    python benchmarks/fleet.py --quick --json fleet.json

Classifiers on records of the shape of Location30, two clusters a class: the published Location network, alone and in
the min-max game by its defaults, as an attacker trains it who knows the defence, and a small one of two layers. Either
way trains the same replicas on the same halves of the records, from building the models to the last epoch, tracing
included. The two ways take turns in one process, so that other work on the machine falls on
both alike; processor time, all cores together, stands beside the time on the clock.
"""

import functools
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
from rounds import (
    CLOCKS,
    machine,
    open_console,
    open_parser,
    open_table,
    positive,
    print_setting,
    timed,
    write_json,
)

from mpreg.fleet import Fleet
from mpreg.networks import location_mlp
from mpreg.training.game.adversarial import AdversarialRegularization

REPLICAS, RECORDS, FEATURES, CLASSES, BATCH = 16, 3000, 446, 30, 128


def location():
    """The published network, with weights of its own each time."""
    return compiled(location_mlp(seed=int(np.random.randint(2**31))))  # noqa: NPY002  the seed that the fleet sets


def small():
    """A net of two layers, for which a step takes longer to call than to compute."""
    stack = [keras.Input((FEATURES,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(CLASSES, "softmax")]
    return compiled(keras.Sequential(stack))


def compiled(model):
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def defended():
    """The published network in the game, with other reference draws each time."""
    seed = int(np.random.randint(2**20))  # noqa: NPY002
    x, y, *_ = draw_records(seed=2)
    reference = x[: RECORDS // 2], y[: RECORDS // 2]
    return compiled(AdversarialRegularization(location_mlp(seed=seed), reference, seed=seed))


NETWORKS = {"Location MLP": location, "Location MLP in the game": defended, "two layers": small}


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    epochs, replicas = (2, 2) if options.quick else (options.epochs, REPLICAS)
    result = {
        "machine": machine("tensorflow", "keras"),
        "epochs": epochs,
        "results": {name: compare(build, epochs, replicas) for name, build in NETWORKS.items()},
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def compare(build, epochs, replicas):
    """Seconds and accuracy of either way."""
    x, y, test_x, test_y = draw_records(seed=0)
    membership = np.argsort(np.random.default_rng(1).random((replicas, RECORDS)), axis=1) < RECORDS // 2
    seconds = {"fits": dict.fromkeys(CLOCKS, 0.0)}
    accuracies = []

    def fit(own, replica):
        keras.utils.set_random_seed(replica)
        model = build()
        model.fit(x[own], y[own], batch_size=BATCH, epochs=epochs, verbose=0)
        return model

    def train_fleet():
        return Fleet(build, replicas).fit(
            x, y, membership=membership, epochs=epochs, batch_size=BATCH, verbose=0
        )

    middle = replicas // 2
    for replica, own in enumerate(membership):
        if replica == middle:  # half of the fits before it and half after
            fleet, seconds["fleet"] = timed(train_fleet)
        model, took = timed(functools.partial(fit, own, replica))
        seconds["fits"] = {clock: seconds["fits"][clock] + took[clock] for clock in CLOCKS}
        accuracies.append(accuracy(model.predict(test_x, verbose=0), test_y))
    answers = fleet.predict(test_x)
    return {
        "replicas": replicas,
        "how": fleet.how,
        "seconds": seconds,
        "accuracy": {
            "fits": float(np.mean(accuracies)),
            "fleet": float(np.mean([accuracy(own, test_y) for own in answers])),
        },
    }


def accuracy(answers, labels):
    return float(np.mean(np.argmax(answers, axis=1) == labels))


def draw_records(*, seed):
    """Binary records of two noisy prototypes a class, to train on and to test on."""
    rng = np.random.default_rng(seed)
    prototypes = rng.random((2 * CLASSES, FEATURES)) < 0.2
    parts = []
    for _ in range(2):
        cluster = rng.integers(0, 2 * CLASSES, RECORDS)
        flipped = rng.random((RECORDS, FEATURES)) < 0.25
        parts += [(prototypes[cluster] ^ flipped).astype("float32"), cluster % CLASSES]
    return parts


def print_result(result):
    """The table and how to read it, on standard output."""
    console, compared = open_console(), result["results"]
    table = open_table(
        console,
        "",
        "fits, s",
        "fleet, s",
        "times faster",
        "processor time",
        "accuracy of fits",
        "of the fleet",
    )
    for name, one in compared.items():
        fits, fleet = one["seconds"]["fits"], one["seconds"]["fleet"]
        faster = [f"{fits[clock] / fleet[clock]:.1f}" for clock in CLOCKS]
        reached = [f"{value:.3f}" for value in one["accuracy"].values()]
        table.add_row(name, f"{fits['wall']:.1f}", f"{fleet['wall']:.1f}", *faster, *reached)
    console.print(table)
    print_setting(
        console,
        f"{next(iter(compared.values()))['replicas']} replicas, {RECORDS // 2} records each, {FEATURES} features, "
        f"{CLASSES} classes, {BATCH} a batch, {result['epochs']} epochs, Adam.",
        result["machine"],
    )


def _parser():
    parser = open_parser(__doc__, quick="2 replicas and 2 epochs, to see that it runs")
    parser.add_argument("--epochs", type=positive, default=30, help="epochs of each replica (default: 30)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
