"""Carlini et al. 2022: ROC at low false positive rates of single-query and shadow-model attacks on one target.

Source: "Membership Inference Attacks From First Principles", S&P 2022, section V and figures 1 and 2; RMIA is of
Zarifzadeh, Liu and Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024.
"""

from pathlib import Path

import click

import mpreg
from mpreg._files import write_all
from mpreg._text import percent, percent_with_interval
from mpreg.attacks import (
    InstanceThresholdAttack,
    LikelihoodRatioAttack,
    RelativeAttack,
    ShadowAttack,
    ThresholdAttack,
)
from mpreg.catalogue import setting_of
from mpreg.catalogue.settings import CIFAR10
from mpreg.metrics import FPRS
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.settings import LOCATION30_WITH_DROPOUT
from mpreg.recipes.training import EpochBar, train_undefended
from mpreg.recipes.writing import console, print_table
from mpreg.reports.figures import plot_attacks

# CIFAR-10 with a wide ResNet, 25,000 members and 256 shadow models: TPR at 0.1 % FPR and balanced accuracy, percent.
PUBLISHED = {"loss threshold": (0.0, 59.4), "shadow": (0.3, 59.6), "likelihood ratio": (8.4, 63.8)}


SETTINGS = {
    "location30": LOCATION30_WITH_DROPOUT,
    "cifar10": CIFAR10.replace(reference=1_000),
}


def attacks():
    """The attacks of the figure, weakest knowledge first."""
    return [
        ThresholdAttack("loss"),
        ThresholdAttack("loss", per_class=True),
        ShadowAttack(),
        InstanceThresholdAttack(),
        LikelihoodRatioAttack(online=False),
        LikelihoodRatioAttack(),
        RelativeAttack(),
    ]


def run(dataset="location30", *, shadows=16, members=None, epochs=None, out=None, seed=0):
    """Trains one target and its shadow models, attacks, prints the table and writes the folder `out`.

    Args:
        dataset: a name in `SETTINGS`, or a `Setting`.
        shadows: number of shadow models, at least 2; each record is in about half of them.
        members: members, and as many non-members; None as in `SETTINGS`.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the report and the picture; None is `mpreg-carlini2022/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        The `PrivacyReport`.

    Raises:
        ValueError: an unknown data set.
    """
    setting = setting_of(SETTINGS, dataset).replace(members=members, nonmembers=members, epochs=epochs)
    out = Path(out) if out else Path("mpreg-carlini2022") / setting.name
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    with progress_bar("training the target", setting.epochs) as advance:
        target = train_undefended(setting, data, split, seed=seed, callbacks=[EpochBar(advance)])
    fleet = mpreg.ShadowFleet(
        lambda: setting.compile(setting.build_model(data)),
        count=shadows,
        epochs=setting.epochs,
        batch_size=setting.batch_size,
    )
    report = mpreg.evaluate(target, split, attacks=attacks(), shadows=fleet, seed=seed)
    print_table(
        f"{setting.name}, {shadows} shadow models; published: CIFAR-10, 256 shadow models", *rows_of(report)
    )
    out.mkdir(parents=True, exist_ok=True)
    report.to_json(out / "report.json")
    write_all(out, {"report.md": f"# Carlini et al. 2022: {setting.name}\n\n{report.to_markdown()}"})
    plot_attacks(report, out / "roc.png", attacks=list(report.attacks))
    spent = f"{report.cost['shadow_seconds']:,.0f} s for the shadow models ({report.cost['shadow_training']})"
    console.print(f"{split}; 95 % intervals; {spent}.\nReport and picture: {out}")
    return report


def rows_of(report):
    """Header and rows: every attack with its rates at low FPR, and what is published of it."""
    header = [
        "attack",
        "accuracy",
        "AUC",
        *(f"TPR at {percent(fpr)} FPR" for fpr in FPRS),
        "published: TPR / accuracy",
    ]
    rows = []
    for name, result in report.attacks.items():
        published = PUBLISHED.get(name)
        rows.append(
            [
                name,
                percent_with_interval(result.accuracy),
                format(result.auc, ".3f"),
                *(percent_with_interval(result.tpr_at_fpr[fpr]) for fpr in FPRS),
                " / ".join(f"{figure:g}" for figure in published) if published else "-",
            ]
        )
    return header, rows


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option("--shadows", type=click.IntRange(min=2), default=16, show_default=True, help="Shadow models.")
@click.option("--members", type=click.IntRange(min=2), help="Members, and as many non-members.")
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
