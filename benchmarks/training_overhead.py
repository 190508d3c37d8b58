"""Time of adversarial regularization, as a multiple of plain training of the same model.

    python benchmarks/training_overhead.py
    python benchmarks/training_overhead.py --quick --json overhead.json

The Purchase100 network on 20,000 random records of its shape, and a small convolutional network on images. All ways of
training take short turns in one process, each is set against the plain turn of the same round, and the median over the
rounds counts, so that other work on the machine falls on all alike. Processor time, all cores together, stands beside
the time on the clock: on a busy machine it is the steadier of the two. Tracing is left out. For the published schedule
the steps of either player are timed apart and weighted with how many an epoch of it takes.

The limit of the full game is the reference batch, which passes forward and backward through the target beside the
members': 32 records beside 128 add up to a quarter of a step, beside 50 images up to two thirds, less what of a step
does not grow with the batch, such as the optimizer's work. The inference network adds the rest. Fewer reference records
are faster but no bargain: 16 instead of 32 cost .025 of accuracy on cifar10 in batches of 50 (.409 instead of .434,
attack .563 and .566) and .016 on 100 digits in batches of 32 (.888 and .904, .550 and .541), on validation halves.
"""

import dataclasses
import functools
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
from fits import Size, time_fit
from rounds import (
    CLOCKS,
    Stopwatch,
    asked_size,
    machine,
    open_console,
    open_parser,
    print_setting,
    print_times_plain,
    random_records,
    ratios,
    take_turns,
    write_json,
)

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.catalogue.networks import small_cnn
from mpreg.networks import purchase_mlp
from mpreg.recipes.published_schedule import Players, PublishedSchedule
from mpreg.training.presets import PUBLISHED_GAME

RECORDS, FEATURES, CLASSES = 20_000, 600, 100
BATCH = 128
IMAGES, SIDE, IMAGE_CLASSES, IMAGE_BATCH = 2_000, 32, 10, 50
PENALTY = 3.0
PLAIN, OURS, PUBLISHED = "plain fit", "AdversarialRegularization", "published schedule"
NASR, CALLBACK = "the same, nasr2018 network", "AdversarialTraining callback"
MEMBERS = "the same, members alone charged, 64 reference records"
HALVED, DOUBLED = "the same, 16 reference records", "the same, 64 reference records"


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = _parser().parse_args(argv)
    size = asked_size(options, quick=Size(rounds=3, batches=5), full=Size(rounds=25, batches=20))
    result = {
        "machine": machine("tensorflow", "keras"),
        "size": dataclasses.asdict(size),
        "seconds_per_batch": measure(size),
        "seconds_per_image_batch": measure_images(size),
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def measure(size):
    """Seconds per batch of members: by way of training and by clock, a list with a value a round."""
    members, reference = (random_records(RECORDS, FEATURES, CLASSES, seed=seed) for seed in (0, 1))
    return take_turns(lambda: open_ways(members, reference, size.batches), size.rounds)


def measure_images(size):
    """The same for the small convolutional network."""
    return take_turns(lambda: open_image_ways(size.batches), size.rounds)


def open_ways(members, reference, batches):
    """By name, a function that trains for a turn and returns its seconds per batch, warm from the start."""
    callback, callback_target = AdversarialTraining(reference), purchase_mlp()
    callback_target.compile("adam", "sparse_categorical_crossentropy")
    turn = tuple(part[: (batches + 1) * BATCH] for part in members)
    options = {
        OURS: {},
        HALVED: {"reference_batch_size": 16},
        DOUBLED: {"reference_batch_size": 64},
        MEMBERS: {"penalty": PENALTY, **PUBLISHED_GAME},
        NASR: {"inference_network": "nasr2018"},
    }
    return {
        **warm_fits(purchase_mlp, reference, options, turn, BATCH),
        # It leaves the model as it was, so that each fit traces anew, and its data wait ready meanwhile: only the
        # second epoch compares with the others.
        CALLBACK: lambda: time_fit(callback_target, turn, batch_size=BATCH, callbacks=[callback], epochs=2),
        PUBLISHED: open_published(members, reference, batches),
    }


def open_image_ways(batches):
    """As `open_ways`, for images."""
    rng = np.random.default_rng(0)
    members, reference = (
        (rng.random((IMAGES, SIDE, SIDE, 3), np.float32), rng.integers(0, IMAGE_CLASSES, IMAGES))
        for _ in "mr"
    )
    turn = tuple(part[: (batches + 1) * IMAGE_BATCH] for part in members)
    options = {OURS: {}, HALVED: {"reference_batch_size": 16}, DOUBLED: {"reference_batch_size": 64}}
    build = functools.partial(small_cnn, input_shape=(SIDE, SIDE, 3), classes=IMAGE_CLASSES, seed=0)
    return warm_fits(build, reference, options, turn, IMAGE_BATCH)


def warm_fits(build, reference, options, turn, batch):
    """Turns of plain training, and of the game with each of some options by name."""
    models = {PLAIN: build()}
    for name, given in options.items():
        models[name] = mpreg.AdversarialRegularization(build(), reference, **given)
    for model in models.values():
        model.compile("adam", "sparse_categorical_crossentropy")
        time_fit(model, turn, batch_size=batch)
    return {
        name: functools.partial(time_fit, model, turn, batch_size=batch) for name, model in models.items()
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
    )
    epoch = PublishedSchedule().rounds(players.batches)
    inference_steps = sum(len(window) for window, _ in epoch) / players.batches

    def seconds(window, turn):
        stopwatch = Stopwatch()
        players.play(window, turn, penalty=PENALTY)
        players.collect()  # reads what the last step wrote, so that no step is still under way
        return stopwatch.seconds(per=batches)

    def turn():
        target, inference = seconds(range(0), range(batches)), seconds(range(batches), range(0))
        return {clock: target[clock] + inference_steps * inference[clock] for clock in CLOCKS}

    players.play(range(2), range(2), penalty=PENALTY)
    return turn


def print_result(result):
    """The table, the machine and how to read them, on standard output."""
    console = open_console()
    seconds = result["seconds_per_batch"]
    for title, figures in (("Purchase100 network", seconds), ("CNN", result["seconds_per_image_batch"])):
        print_times_plain(console, title, figures, PLAIN)
    wall, processor = (ratios(seconds, PUBLISHED, to=OURS, clock=clock)[0] for clock in CLOCKS)
    console.print(
        f"The published schedule takes {wall:.0f} times as long as AdversarialRegularization, and {processor:.0f} "
        "times the processor time, extrapolated from the steps of a turn to an epoch."
    )
    size = result["size"]
    print_setting(
        console,
        f"{RECORDS:,} records of {FEATURES} features, {CLASSES} classes, {BATCH} a batch; {IMAGES:,} images, "
        f"{IMAGE_BATCH} a batch; medians over "
        f"{size['rounds']} rounds of {size['batches']} batches.",
        result["machine"],
    )


def _parser():
    return open_parser(__doc__, quick="3 short rounds, for a first impression", rounds=25)


if __name__ == "__main__":
    sys.exit(main())
