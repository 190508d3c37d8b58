"""Li, Li and Ribeiro 2021: how MixUp, MMD and both reduce the difference between members and non-members.

Four classifiers are trained alike: without defence, on blended records, with the discrepancy penalty, and with both.
Each is drawn as two histograms, of the probability that it gives to the true class of members and of non-members, and
attacked; the reference records, which MMD learns from, are attacked as well.

The figure to compare with shows a ResNet-20 on CIFAR-100, and gives no numbers. Here it is CIFAR-10, fewer records,
smaller batches and fewer epochs, sized for two cores. The rest is that of the authors' CIFAR-100 runs: SGD, its rate,
which falls to a tenth after a half and three quarters of the epochs, the weight decay, the weight of the discrepancy.

Source: "Membership Inference Attacks and Defenses in Classification Models", CODASPY 2021, sections 4 and 5.
"""

import dataclasses
import functools
from pathlib import Path

import click
import keras
import numpy as np

import mpreg
from mpreg import networks
from mpreg._text import percent, percent_with_interval
from mpreg.catalogue import Setting, images, setting_of
from mpreg.catalogue.settings import LOCATION30
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.training import EpochBar
from mpreg.recipes.writing import console, print_table, write_comparison
from mpreg.training import MixUpMMD

ALPHA, MMD_WEIGHT = 1.0, 3.0
DEFENCES = {
    "no defence": None,
    "MixUp": {"alpha": ALPHA, "mmd_weight": 0.0},
    "MMD": {"alpha": 0.0, "mmd_weight": MMD_WEIGHT},
    "MixUp + MMD": {"alpha": ALPHA, "mmd_weight": MMD_WEIGHT},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SteppedSetting(Setting):
    """A `Setting` of SGD with momentum .9, the rate a tenth after half of the epochs and after three quarters."""

    def compile(self, model):
        steps = self.epochs * -(-self.members // self.batch_size)
        rates = [self.learning_rate * share for share in (1.0, 0.1, 0.01)]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([steps // 2, 3 * steps // 4], rates)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


SETTINGS = {
    # not in the paper: a minute
    "location30": LOCATION30.replace(network="small_mlp", epochs=60, batch_size=100),
    "cifar10": SteppedSetting(
        dataset="cifar10",
        members=800,
        reference=800,
        nonmembers=2_000,
        network=images(functools.partial(networks.resnet20, weight_decay=1e-5)),
        learning_rate=0.01,
        epochs=24,
        batch_size=50,
    ),
}


def run(dataset="location30", *, members=None, epochs=None, out=None, seed=0):
    """Trains and attacks the four classifiers, prints the table and writes the folder `out`.

    Args:
        dataset: a name in `SETTINGS`, or a `Setting`.
        members: members, and as many reference records; None as in `SETTINGS`.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the report and pictures; None is `mpreg-li2021/<dataset>`.
        seed: seed of the split, the weights, the blends and the attacks.

    Returns:
        The `Comparison` of the four.

    Raises:
        ValueError: an unknown data set.
    """
    setting = setting_of(SETTINGS, dataset).replace(members=members, reference=members, epochs=epochs)
    out = Path(out) if out else Path("mpreg-li2021") / setting.name
    data, split = setting.draw(seed)
    split = blendable(split)
    console.print(f"{data.description}\n{split}")
    reports = {}
    for name, defence in DEFENCES.items():
        with progress_bar(f"training {name}", setting.epochs) as advance:
            model = train(setting, data, split, defence, seed=seed, callbacks=[EpochBar(advance)])
        reports[name] = mpreg.evaluate(model, split, reference=True, seed=seed)
    comparison = mpreg.compare(reports)
    header, rows = rows_of(reports)
    print_table(f"{setting.name}, {setting.epochs} epochs, discrepancy weighted {MMD_WEIGHT:g}", header, rows)
    notes = [f"{data.description} {split} Seed {seed}."]
    write_comparison(comparison, out, title=f"Li, Li and Ribeiro 2021: {setting.name}", notes=notes)
    console.print(f"{split}; 95 % intervals; guessing is 50 %.\nReport and pictures: {out}")
    return comparison


def blendable(split):
    """The split with features as floating point numbers from 0 to 1: bits and pixels are stored as whole ones."""
    sides = split.members, split.reference, split.nonmembers
    most = np.float32(max(x.max() for x, _ in sides))
    return mpreg.MembershipSplit(*((x.astype(np.float32) / most, y) for x, y in sides))


def train(setting, data, split, defence, *, seed, callbacks):
    """A classifier trained plainly, or with the options of `MixUpMMD` given as `defence`."""
    keras.utils.set_random_seed(seed)
    target = setting.build_model(data, seed)
    model = target
    if defence is not None:
        model = MixUpMMD(target, split.reference if defence["mmd_weight"] else None, seed=seed, **defence)
    setting.compile(model).fit(
        *split.members, batch_size=setting.batch_size, epochs=setting.epochs, verbose=0, callbacks=callbacks
    )
    return target


def rows_of(reports):
    """Header and rows: accuracy, the strongest attack on members, and the strongest on reference records."""
    header = ["", "training", "test", "gap", "strongest attack", "gap attack", "attack on the reference"]
    rows = [
        [
            name,
            percent(report.train_accuracy),
            percent_with_interval(report.test_accuracy),
            percent(report.generalization_gap),
            f"{percent_with_interval(report.attack_accuracy)} {report.strongest_attack}",
            percent(report.gap_bound),
            percent_with_interval(report.reference.attack_accuracy),
        ]
        for name, report in reports.items()
    ]
    return header, rows


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option("--members", type=click.IntRange(min=2), help="Members, and as many reference records.")
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
