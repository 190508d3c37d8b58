"""Shokri et al. 2017: output defences and L2 against attackers who know the defence, and one who does not.

The naive attacker fits on answers of undefended shadow models. The other, who knows the mitigation, has shadow models
with the same one (served through it, or trained with the same L2), and reads labels alone where nothing else is
served; the strongest of these attacks is the figure to go by.

Source: "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section VII and table III; the
published figures are those of the seed's slides.
"""

from pathlib import Path
from typing import Any

import click
import keras

import mpreg
from mpreg import outputs
from mpreg._files import write_all
from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg.attacks import LabelOnlyAttack, ShadowAttack, draw_membership
from mpreg.attacks.suites import standard
from mpreg.catalogue import Setting, setting_of
from mpreg.data import pool
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table

# Mitigation: (what the answers pass through, L2), and published test accuracy, attack accuracy, precision, recall.
ROWS = {
    "none": ((), 0.0, (0.66, 0.92, 0.87, None)),
    "top-k 3": ((outputs.TopK, 3), 0.0, (0.66, 0.92, 0.87, 0.99)),
    "top-k 1": ((outputs.TopK, 1), 0.0, (0.66, 0.89, 0.83, 1.00)),
    "label only": ((outputs.LabelOnly,), 0.0, (0.66, 0.66, 0.60, 0.99)),
    "rounding 3": ((outputs.Rounding, 3), 0.0, (0.66, 0.92, 0.87, 0.99)),
    "rounding 1": ((outputs.Rounding, 1), 0.0, (0.66, 0.89, 0.83, 1.00)),
    "temperature 5": ((outputs.Temperature, 5.0), 0.0, (0.66, 0.88, 0.86, 0.93)),
    "temperature 20": ((outputs.Temperature, 20.0), 0.0, (0.66, 0.84, 0.83, 0.86)),
    "L2 1e-4": ((), 1e-4, (0.68, 0.87, 0.81, 0.96)),
    "L2 1e-3": ((), 1e-3, (0.72, 0.77, 0.73, 0.86)),
    "L2 1e-2": ((), 1e-2, (0.63, 0.53, 0.54, 0.52)),
}


COMMON: dict[str, Any] = {
    "network": "tanh_mlp",
    "learning_rate": 1e-3,
}  # the paper's: one hidden layer of 128 tanh units
SETTINGS = {
    "location30": Setting(
        dataset="location30",
        members=1_500,
        reference=0,
        nonmembers=1_500,
        epochs=100,
        batch_size=64,
        **COMMON,
    ),
    "purchase100-like": Setting(
        dataset="purchase100-like", members=5_000, reference=0, nonmembers=5_000, epochs=50, **COMMON
    ),
    "purchase100": Setting(
        dataset="purchase100", members=10_000, reference=0, nonmembers=10_000, epochs=100, **COMMON
    ),
}


def run(dataset="location30", *, rows=tuple(ROWS), shadows=8, epochs=None, out=None, seed=0):
    """Trains and attacks the mitigations of the table, prints the table and writes the folder `out`.

    Args:
        dataset: a name in `SETTINGS`, or a `Setting`.
        rows: names in `ROWS`; all that served answers are compared with is in the row "none".
        shadows: number of shadow models for each of the trainings, at least 2.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the reports; None is `mpreg-shokri2017/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        The `Comparison` of the rows.

    Raises:
        ValueError: an unknown data set.
    """
    setting = setting_of(SETTINGS, dataset).replace(epochs=epochs)
    chosen = {name: ROWS[name] for name in ROWS if name in {"none", *rows}}
    out = Path(out) if out else Path("mpreg-shokri2017") / setting.name
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    trained = {}
    penalties = dict.fromkeys(penalty for _, penalty, _ in chosen.values())
    with progress_bar("training", len(penalties)) as advance:
        for penalty in penalties:
            trained[penalty] = train(setting, data, split, penalty, shadows=shadows, seed=seed)
            advance(f"L2 {penalty:g}")
    reports = {}
    with progress_bar("attacking", len(chosen)) as advance:
        for name, (served, penalty, _) in chosen.items():
            reports[name] = attack(trained[penalty], trained[0.0], served, split, seed=seed)
            advance(name)
    comparison = mpreg.compare(reports)
    header, figures = rows_of(reports)
    print_table(
        f"{setting.name}, {shadows} shadow models a training; published: Purchase100", header, figures
    )
    out.mkdir(parents=True, exist_ok=True)
    comparison.to_json(out / "report.json")
    text = f"# Shokri et al. 2017: {setting.name}\n\n{data.description} {split}\n\n{markdown_table(header, figures)}\n"
    write_all(out, {"report.md": text})
    console.print(f"{split}; 95 % intervals; guessing is 50 %.\nReports: {out}")
    return comparison


def train(setting, data, split, penalty, *, shadows, seed):
    """A target and its shadow models, all with the same L2."""

    def build():
        model = setting.build_model(data)
        return setting.compile(mpreg.with_l2(model, penalty) if penalty else model)

    keras.utils.set_random_seed(seed)
    target = build()
    target.fit(*split.members, batch_size=setting.batch_size, epochs=setting.epochs, verbose=0)
    fleet = mpreg.ShadowFleet(build, count=shadows, epochs=setting.epochs, batch_size=setting.batch_size)
    x = pool(split.members[0], split.nonmembers[0])
    y = pool(split.members[1], split.nonmembers[1])
    membership = draw_membership(shadows, len(y), len(split.members[1]), seed=seed)
    return target, fleet.train(x, y, membership=membership, seed=seed)


def attack(trained, undefended, served, split, *, seed):
    """The report of one row: all attacks on what is served, and the naive attacker's."""
    target, shadows = trained
    naive = ShadowAttack(source=undefended[1])
    if served:
        layer, *strength = served
        target = mpreg.defend(target, layer(*strength))
        shadows = shadows.with_outputs(layer(*strength))
    attacks = [*standard(), ShadowAttack(), naive]
    if outputs.LabelOnly in served:
        attacks.append(LabelOnlyAttack())
    return mpreg.evaluate(target, split, attacks=attacks, shadows=shadows, seed=seed)


def rows_of(reports):
    """Header and rows: measured and published figures of every mitigation."""
    header = [
        "mitigation",
        "test",
        "strongest attack",
        "precision",
        "recall",
        "naive attack",
        "published: test/attack/precision/recall",
    ]
    rows = []
    for name, report in reports.items():
        published = ROWS[name][2]
        strongest, naive = report.strongest, report.attacks["shadow, own records"]
        rows.append(
            [
                name,
                percent(report.test_accuracy),
                f"{percent_with_interval(report.attack_accuracy)} {strongest.name}",
                percent(strongest.precision),
                percent(strongest.recall),
                percent_with_interval(naive.accuracy),
                " / ".join("-" if figure is None else f"{figure:.2f}" for figure in published),
            ]
        )
    return header, rows


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option(
    "--row",
    "rows",
    type=click.Choice(list(ROWS)),
    multiple=True,
    default=list(ROWS),
    help="Mitigation to run; may be given several times. [default: all]",
)
@click.option(
    "--shadows",
    type=click.IntRange(min=2),
    default=8,
    show_default=True,
    help="Shadow models for each target.",
)
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
