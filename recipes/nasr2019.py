"""Nasr, Shokri and Houmansadr 2019: black-box, white-box by outputs and by gradients, and several snapshots together.

The published figures are of CIFAR-100 networks of millions of weights, attacked with half of 50,000 members known. Here
networks of three kinds, sized for two cores, are trained on 1,500 records, of which the attack knows four fifths.

Source: "Comprehensive Privacy Analysis of Deep Learning: Passive and Active White-box Inference Attacks against
Centralized and Federated Learning", S&P 2019; the published figures are those of the authors' slides.
"""

import functools
from pathlib import Path
from typing import Any

import click
import keras
from keras import layers

import mpreg
from mpreg._files import write_all, write_json
from mpreg._text import markdown_table, percent_with_interval
from mpreg.attacks import TrajectoryAttack, WhiteBoxAttack
from mpreg.callbacks import SnapshotRecorder
from mpreg.catalogue import Setting, images, setting_of, table
from mpreg.internals import Snapshots
from mpreg.metrics import Estimate
from mpreg.networks import location_mlp
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.studies.kept import keep, read_kept, stamp_of_training
from mpreg.recipes.training import EpochBar, train_undefended
from mpreg.recipes.writing import console, print_table

# Training, test accuracy and the three attacks, in percent.
PUBLISHED = {
    "alexnet-like": (99, 44, 74.2, 74.6, 75.1),
    "resnet-like": (89, 73, 62.2, 62.2, 64.3),
    "densenet-like": (100, 82, 67.7, 67.7, 74.3),
}
PUBLISHED_SNAPSHOTS = {
    (5, 10, 15, 20, 25): 57.4,
    (10, 20, 30, 40, 50): 76.5,
    (50, 100, 150, 200, 250): 79.5,
    (100, 150, 200, 250, 300): 85.1,
}
ATTACKS = {
    "black-box": {"exploit_sizes": False},
    "white-box, outputs of layers": {"layers_to_exploit": (-3, -2, -1), "exploit_sizes": False},
    "white-box, gradients": {"layers_to_exploit": (-3, -2, -1), "gradients_to_exploit": (-1,)},
    "white-box, sizes": {},
}
TOGETHER = {"white-box": "white-box, all epochs", "trajectory": "loss trajectory"}


def alexnet_like(*, input_shape, classes, seed):
    """Three convolutions that pool, and a dense layer."""
    keras.utils.set_random_seed(seed)
    stack = [keras.Input(input_shape)]
    for filters in (32, 64, 64):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    return keras.Sequential(
        [*stack, layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(classes, "softmax")]
    )


def resnet_like(*, input_shape, classes, seed):
    """Three residual blocks with batch normalization."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(input_shape)
    tensor = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    for filters in (16, 32, 64):
        block = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(tensor)
        block = layers.Activation("relu")(layers.BatchNormalization()(block))
        block = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(block))
        tensor = layers.Activation("relu")(
            layers.Add()([block, layers.Conv2D(filters, 1, strides=2)(tensor)])
        )
    return keras.Model(inputs, layers.Dense(classes, "softmax")(layers.GlobalAveragePooling2D()(tensor)))


def densenet_like(*, input_shape, classes, seed):
    """Three dense blocks of three layers, each of which reads all before it."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(input_shape)
    tensor = layers.Conv2D(24, 3, strides=2, padding="same")(inputs)
    for _ in range(3):
        for _ in range(3):
            new = layers.Conv2D(12, 3, padding="same")(
                layers.Activation("relu")(layers.BatchNormalization()(tensor))
            )
            tensor = layers.Concatenate()([tensor, new])
        tensor = layers.AveragePooling2D(2)(tensor)
    return keras.Model(inputs, layers.Dense(classes, "softmax")(layers.Flatten()(tensor)))


CIFAR10: dict[str, Any] = {
    "dataset": "cifar10",
    "members": 1500,
    "reference": 2,
    "nonmembers": 1500,
    "learning_rate": 1e-3,
    "epochs": 30,
}
LOCATION30 = {**CIFAR10, "dataset": "location30"}
NETWORKS = {
    "cifar10": {
        "alexnet-like": images(alexnet_like),
        "resnet-like": images(resnet_like),
        "densenet-like": images(densenet_like),
    },
    "location30": {"mlp": table(location_mlp)},
    "digits": {"mlp": table(location_mlp)},  # not in the paper: small enough to try
}
SETTINGS = {
    "cifar10": Setting(network=images(alexnet_like), **CIFAR10),
    "location30": Setting(network=table(location_mlp), **LOCATION30),
    "digits": Setting(
        network=table(location_mlp), **{**LOCATION30, "dataset": "digits", "members": 800, "nonmembers": 800}
    ),
}


def run(dataset="location30", *, members=None, epochs=None, snapshots=True, out=None, seed=0):
    """Rebuilds both tables for one data set, prints them beside the published ones and writes them to a folder.

    Rows are kept in its folder `rows` as they are made: a run that was stopped goes on there.

    Args:
        dataset: `"cifar10"`, with three networks, or `"location30"` or `"digits"`, with one.
        members: members, and as many non-members; None is 1,500.
        epochs: of the first table's networks; None is 30. Of the snapshots' it is the last one asked for.
        snapshots: whether to attack snapshots together too, which takes 300 epochs of training.
        out: folder for `tables.json` and `tables.md`; None is `mpreg-nasr2019/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        A dict of the rows: `"access"` by network, `"snapshots"` by epochs.

    Raises:
        ValueError: an unknown data set.
    """
    setting = setting_of(SETTINGS, dataset).replace(members=members, nonmembers=members, epochs=epochs)
    out = Path(out) if out else Path("mpreg-nasr2019") / dataset
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    found = {
        "access": {
            name: _by_access(setting.replace(network=network), data, split, name, out / "rows", seed=seed)
            for name, network in NETWORKS[dataset].items()
        },
        "snapshots": _by_snapshots(setting, data, split, out / "rows", seed=seed) if snapshots else {},
    }
    rows = [
        [
            name,
            _said(report["train_accuracy"]),
            _said(report["test_accuracy"]),
            *(_figures(report["attacks"][attack]) for attack in ("trained", *ATTACKS)),
            " / ".join(f"{figure:g}" for figure in PUBLISHED[name]) if name in PUBLISHED else "-",
        ]
        for name, report in found["access"].items()
    ]
    header = ["network", "training", "test", "trained on answers", *ATTACKS, "published"]
    tables = [("What the attacker reads", header, rows)]
    if snapshots:
        rows = [
            [
                epochs,
                *(_figures(report["attacks"][attack]) for attack in ("trained", *TOGETHER.values())),
                f"{published:g}",
            ]
            for (epochs, report), published in zip(
                found["snapshots"].items(), PUBLISHED_SNAPSHOTS.values(), strict=True
            )
        ]
        header = ["epochs", "trained on the last one's answers", *TOGETHER.values(), "published"]
        tables.append(("Snapshots read together", header, rows))
    for title, header, rows in tables:
        print_table(f"{title}: {dataset}", header, rows)
    text = "\n\n".join(f"## {title}\n\n{markdown_table(header, rows)}" for title, header, rows in tables)
    write_all(out, {"tables.md": f"# Nasr et al. 2019: {dataset}\n\n{data.description}\n\n{text}\n"})
    write_json(found, out / "tables.json")
    console.print(f"95 % intervals; guessing is 50 %. Tables: {out}")
    return found


def _said(estimate):
    return percent_with_interval(Estimate.from_dict(estimate))


def _figures(attack):
    return f"{_said(attack['accuracy'])}, AUC {attack['auc']['value']:.3f}"


def _kept(path, stamp, make):
    """The document of a report, from its file or made now."""
    return read_kept(path, stamp) or keep(path, make().to_dict(), stamp)


def _by_access(setting, data, split, name, folder, *, seed):
    """The report on a network, attacked by all of `ATTACKS`."""

    def make():
        with progress_bar(f"training {name}", setting.epochs) as advance:
            model = train_undefended(setting, data, split, seed=seed, callbacks=[EpochBar(advance)])
        attacks = [WhiteBoxAttack(**options, name=attack) for attack, options in ATTACKS.items()]
        return mpreg.evaluate(model, split, attacks=["standard", *attacks], seed=seed)

    stamp = stamp_of_training(setting, train_undefended, ATTACKS, seed)
    return _kept(folder / f"{name}.json", stamp, make)


def _by_snapshots(setting, data, split, folder, *, seed):
    """The reports by epochs: one training is watched, its snapshots kept, and attacked as each row says."""
    wanted = sorted({epoch for epochs in PUBLISHED_SNAPSHOTS for epoch in epochs})
    watched_setting = setting.replace(epochs=wanted[-1])
    stamp = stamp_of_training(watched_setting, train_undefended, wanted, seed)
    model = setting.compile(setting.build_model(data, seed))

    def watched():
        folder_of = folder / f"snapshots-{stamp['digest']}"
        if set(Snapshots(folder_of).epochs) != set(wanted):
            with progress_bar("training under watch", wanted[-1]) as advance:
                watch = [SnapshotRecorder(wanted, folder=folder_of), EpochBar(advance)]
                train_undefended(watched_setting, data, split, seed=seed, callbacks=watch)
        return Snapshots(folder_of)

    def make(epochs):
        chosen = watched()[epochs]
        model.set_weights(chosen.weights(epochs[-1]))
        trajectory = TrajectoryAttack(chosen)
        trajectory.name = TOGETHER["trajectory"]
        attacks = ["standard", WhiteBoxAttack(snapshots=chosen, name=TOGETHER["white-box"]), trajectory]
        return mpreg.evaluate(model, split, attacks=attacks, seed=seed)

    found = {}
    for epochs in PUBLISHED_SNAPSHOTS:
        said = ", ".join(map(str, epochs))
        path = folder / f"epochs-{'-'.join(map(str, epochs))}.json"
        found[said] = _kept(path, {**stamp, "epochs": said}, functools.partial(make, epochs))
    return found


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option("--members", type=click.IntRange(min=10), help="Members, and as many non-members.")
@options.epochs
@click.option(
    "--snapshots/--no-snapshots", default=True, help="Whether to attack snapshots of 300 epochs too."
)
@options.out
@options.seed
def command(**given):
    run(**given)
