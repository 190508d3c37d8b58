"""How time grows: attacks with records and classes, training steps with parameters, fleets with replicas.

    python benchmarks/growth.py
    python benchmarks/growth.py --quick --json growth.json

Each curve is measured at three or four sizes, and an exponent is fitted to it in each round, by least squares on
logarithms: 1 is in proportion, 0 does not grow. Attacks judge random answers, half of the records members; shadow
models' answers are random too, since only their scoring is measured. A step is one of `fit`, with 128 records of 600
features; a fleet's time is that of an epoch, without tracing.
"""

import dataclasses
import os
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
from answers import SHADOWS, judge, random_shadows, random_sides
from fits import time_fit
from rounds import (
    CLOCKS,
    machine,
    open_console,
    open_parser,
    open_table,
    print_setting,
    random_records,
    timed,
    write_json,
)

import mpreg
from mpreg.attacks import LikelihoodRatioAttack, TrainedAttack
from mpreg.fleet import Fleet
from mpreg.networks import location_mlp

RECORDS, CLASSES = (10_000, 100_000, 1_000_000), (10, 100, 1_000)
WIDTHS, REPLICAS = (64, 256, 1024, 2048), (4, 8, 16)
FEATURES, BATCH, BATCHES, EPOCHS = 600, 128, 10, 6


@dataclasses.dataclass(frozen=True)
class Curve:
    """What is measured at several sizes.

    Attributes:
        name: of the work.
        by: what grows.
        sizes: the sizes.
        open: function of a size that returns the size as drawn and a function without arguments, which does the work
            and returns its seconds by clock.
    """

    name: str
    by: str
    sizes: tuple
    open: Callable

    @property
    def title(self):
        return f"{self.name}, with {self.by}"


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    parser = open_parser(__doc__, quick="one round of the two smallest sizes of each curve", rounds=3)
    options = parser.parse_args(argv)
    rounds = options.rounds or (1 if options.quick else 3)
    facts = machine("numpy", "tensorflow", "keras")
    curves = [
        measure(each, each.sizes[:2] if options.quick else each.sizes, rounds) for each in open_curves()
    ]
    exponents = {f"{each['name']}, with {each['by']}": exponents_of(each) for each in curves}
    result = {"machine": facts, "rounds": rounds, "curves": curves, "exponents": exponents}
    print_result(result)
    write_json(options.json, result)
    return 0


def open_curves():
    """All curves."""
    attacks = {"fast suite": "fast", "trained attack": [TrainedAttack()]}
    shadows = f"likelihood ratio, {SHADOWS} shadow models"
    for by, sizes, shape in (
        ("records", RECORDS, lambda records: (records, 10)),
        ("classes", CLASSES, lambda classes: (10_000, classes)),
    ):
        for name, given in attacks.items():
            yield Curve(
                name, by, sizes, lambda size, given=given, shape=shape: open_attack(size, *shape(size), given)
            )
        yield Curve(shadows, by, sizes, lambda size, shape=shape: open_shadow_attack(size, *shape(size)))
    for name, wrap in WRAPPERS.items():
        yield Curve(name, "parameters", WIDTHS, lambda width, wrap=wrap: open_step(width, wrap))
    yield Curve("epoch of a fleet", "replicas", REPLICAS, open_fleet)


def open_attack(size, records, classes, attacks):
    """An attack on random answers, or a suite of them."""
    sides = random_sides(records // 2, classes)
    return size, lambda: timed(lambda: judge(sides, attacks))[1]


def open_shadow_attack(size, records, classes):
    """An attack with shadow models' random answers."""
    sides = random_sides(records // 2, classes)
    shadows = random_shadows(records, classes)
    return size, lambda: timed(lambda: judge(sides, [LikelihoodRatioAttack()], shadows=shadows))[1]


WRAPPERS = {
    "step of plain training": lambda target, reference: target,
    "step of AdversarialRegularization": mpreg.AdversarialRegularization,
    "step of DPSGD": lambda target, reference: mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0),
}


def open_step(width, wrap):
    """A step of training a network of two hidden layers; its size is its number of parameters."""
    members, reference = (random_records(BATCH * (BATCHES + 1), FEATURES, 100, seed=seed) for seed in (0, 1))
    hidden = [keras.layers.Dense(width, "relu") for _ in range(2)]
    target = keras.Sequential([keras.Input((FEATURES,)), *hidden, keras.layers.Dense(100, "softmax")])
    model = wrap(target, reference)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")

    def turn():
        return time_fit(model, members, batch_size=BATCH)

    turn()  # traces
    return target.count_params(), turn


def open_fleet(replicas):
    """An epoch of the Location network's fleet: what more epochs take than one, so that tracing does not count."""
    records = 1_500
    x, y = random_records(records, 446, 30, seed=0)
    membership = np.argsort(np.random.default_rng(0).random((replicas, records)), axis=1) < records // 2

    def build():
        model = location_mlp()
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    def train(epochs):
        fleet = Fleet(build, replicas)
        return timed(
            lambda: fleet.fit(x, y, membership=membership, epochs=epochs, batch_size=BATCH, verbose=0)
        )[1]

    def turn():
        keras.backend.clear_session()  # or else graphs of earlier fits pile up
        one, more = train(1), train(1 + EPOCHS)
        return {clock: max(more[clock] - one[clock], 1e-9) / EPOCHS for clock in CLOCKS}

    return replicas, turn


def measure(curve, sizes, rounds):
    """The curve as JSON: sizes, and by clock a list for each round with the seconds by size."""
    drawn, seconds = [], {clock: [[] for _ in range(rounds)] for clock in CLOCKS}
    for size in sizes:
        size, work = curve.open(size)
        drawn.append(size)
        for turn in range(rounds):
            for clock, value in work().items():
                seconds[clock][turn].append(value)
        del work  # and its records, before the next are drawn
    return {"name": curve.name, "by": curve.by, "sizes": drawn, "seconds": seconds}


def exponents_of(curve):
    """By clock, the exponent of each round: the slope of a straight line through the logarithms."""
    sizes = np.log(curve["sizes"])
    return {
        clock: [float(np.polyfit(sizes, np.log(each), 1)[0]) for each in rounds]
        for clock, rounds in curve["seconds"].items()
    }


def print_result(result):
    """The table, the machine and how to read it, on standard output."""
    console = open_console()
    table = open_table(console, "", "from", "to", "seconds", "to", "exponent", "of processor time")
    for each in result["curves"]:
        title = f"{each['name']}, with {each['by']}"
        seconds = np.median(each["seconds"]["wall"], axis=0)
        exponents = (f"{np.median(result['exponents'][title][clock]):.2f}" for clock in CLOCKS)
        ends = (f"{each['sizes'][end]:,}" for end in (0, -1))
        table.add_row(title, *ends, *(f"{seconds[end]:.3g}" for end in (0, -1)), *exponents)
    console.print(table)
    work = (
        f"With records: of 10 classes; with classes: 10,000 records. Medians over {result['rounds']} rounds."
    )
    print_setting(console, work, result["machine"])


if __name__ == "__main__":
    sys.exit(main())
