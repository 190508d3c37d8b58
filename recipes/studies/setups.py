"""What the attacker knows: labels, probabilities, shadow models, the model itself or its training, on one target.

Two sweeps besides: of how many records the target is trained on, and of how many shadow models the attacker trains.
"""

from pathlib import Path

import click
import keras

import mpreg
from mpreg import metrics
from mpreg._files import write_all, write_json
from mpreg._text import markdown_table, percent_with_interval
from mpreg._validate import check_count
from mpreg.attacks import GradientNormAttack, TrajectoryAttack, WhiteBoxAttack
from mpreg.callbacks import SnapshotRecorder
from mpreg.catalogue import SETTINGS, setting_of
from mpreg.evaluation.headline import for_all_tried, strongest_accuracy
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table
from mpreg.reports.setups import plot_estimates

SNAPSHOTS = 5
SIZES, SHADOWS = (250, 500, 1000, 1500), (4, 8, 16)
# Keys of the attacks that each attacker can carry out beside those of the attackers above.
SETUPS = {
    "labels": ["gap"],
    "probabilities": ["standard"],
    "shadow models": ["likelihood_ratio", "combined"],
    "the model itself": ["gradient_norm", "white_box"],
    "its training, epoch by epoch": ["trajectory"],
}


def run(
    dataset="location30",
    *,
    members=None,
    epochs=None,
    shadows=16,
    sizes=SIZES,
    counts=SHADOWS,
    out=None,
    seed=0,
):
    """Draws up the table and both sweeps, prints them, and writes them and a picture of each to a folder.

    Args:
        dataset: a name in `mpreg.catalogue.SETTINGS`.
        members, epochs: of the target and the shadow models; None as in the setting.
        shadows: number of shadow models for the table, at least 4: then each record is in two of them and out of two.
        sizes: numbers of members to sweep; empty sweeps none. Those above the setting's are left out.
        counts: numbers of shadow models to sweep, each at least 4; empty sweeps none.
        out: folder; None is `mpreg-setups/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        A dict of figures by table, row and figure, `Estimate`s.

    Raises:
        ValueError: an unknown data set, or fewer than four shadow models.
    """
    for count in (shadows, *counts):
        check_count("shadows", count, 4)
    setting = setting_of(SETTINGS, dataset).replace(
        members=members, reference=members, nonmembers=members, epochs=epochs
    )
    out = Path(out) if out else Path("mpreg-setups") / dataset
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    found = {"What the attacker knows": _setups(setting, data, split, shadows, seed)}
    sizes = [size for size in sizes if size <= len(split.members[1])]
    if sizes:
        found["Members trained on"] = {str(size): _of_size(setting, data, size, seed) for size in sizes}
    if counts:
        found["Shadow models"] = _by_shadows(setting, data, split, counts, seed)
    texts = [f"# Set-ups of attacks: {dataset}\n\n{data.description}"]
    for number, (title, rows) in enumerate(found.items(), 1):
        names = list(next(iter(rows.values())))
        header, lines = (
            [title, *names],
            [[row, *map(_said, figures.values())] for row, figures in rows.items()],
        )
        print_table(f"{title}: {dataset}", header, lines)
        picture = f"{number}-{title.lower().replace(' ', '-')}.png"
        out.mkdir(parents=True, exist_ok=True)
        plot_estimates(
            {row: figures["AUC"] for row, figures in rows.items()}, out / picture, figure="AUC", title=title
        )
        texts.append(f"## {title}\n\n{markdown_table(header, lines)}\n\n![{title}]({picture})")
    write_all(out, {"setups.md": "\n\n".join(texts) + "\n"})
    document = {
        title: {
            row: {name: _plain(value) for name, value in figures.items()} for row, figures in rows.items()
        }
        for title, rows in found.items()
    }
    write_json(document, out / "setups.json")
    console.print(f"95 % intervals of one split; guessing is 50 %. Tables and pictures: {out}")
    return found


def _trained(setting, data, split, seed, callbacks=()):
    keras.utils.set_random_seed(seed)
    model = setting.compile(setting.build_model(data, seed))
    fit = {"batch_size": setting.batch_size, "epochs": setting.epochs, "verbose": 0}
    model.fit(*split.members, **fit, callbacks=list(callbacks))
    return model


def _setups(setting, data, split, shadows, seed):
    step = max(1, setting.epochs // SNAPSHOTS)
    recorder = SnapshotRecorder(range(step, setting.epochs + 1, step))
    model = _trained(setting, data, split, seed, [recorder])
    attacks = ["standard", "likelihood_ratio", "combined", GradientNormAttack(), WhiteBoxAttack()]
    attacks.append(TrajectoryAttack(recorder.snapshots))
    fleet = _fleet(setting, data, shadows)
    report = mpreg.evaluate(model, split, attacks=attacks, shadows=fleet, seed=seed, reference=False)
    rows = {}
    for name, keys in SETUPS.items():
        wanted = {attack.name for attack in mpreg.attacks.suite(keys)} if "trajectory" not in keys else set()
        able = [found for found in report.attacks.values() if found.name in wanted or found.key in keys]
        rows[name] = _figures(able)
    return rows


def _of_size(setting, data, size, seed):
    smaller = setting.replace(members=size)
    split = smaller.draw(seed)[1]
    model = _trained(smaller, data, split, seed)
    report = mpreg.evaluate(model, split, attacks=["standard", "white_box"], seed=seed, reference=False)
    return {
        "train": report.train_accuracy,
        "test": report.test_accuracy,
        **_figures(report.attacks.values()),
    }


def _by_shadows(setting, data, split, counts, seed):
    model = _trained(setting, data, split, seed)
    rows = {}
    for count in counts:
        shadows = _fleet(setting, data, count)
        attacks = ["likelihood_ratio", "combined"]
        report = mpreg.evaluate(model, split, attacks=attacks, shadows=shadows, seed=seed, reference=False)
        rows[str(count)] = _figures(report.attacks.values())
    return rows


def _fleet(setting, data, count):
    options = {"epochs": setting.epochs, "batch_size": setting.batch_size}
    return mpreg.ShadowFleet(lambda: setting.compile(setting.build_model(data)), count=count, **options)


def _figures(results):
    """Name and figures of the attack with the highest AUC; limits are for all of them at once."""
    best = max(results, key=lambda found: float(found.auc))
    scores, learns, tried = best.distinct, best.learns, len(results)
    sides = scores.member_scores, scores.nonmember_scores
    of_area, of_rate = (
        (metrics.auc, metrics.auc_interval),
        (metrics.tpr_at_fpr, metrics.tpr_at_fpr_interval),
    )
    return {
        "strongest": best.name,
        "accuracy": strongest_accuracy(scores, learns=learns, tried=tried),
        "AUC": for_all_tried(*of_area, sides, widen=learns, tried=tried),
        "TPR at 1 % FPR": for_all_tried(*of_rate, sides, widen=False, tried=tried, fpr=0.01),
    }


def _said(value):
    return value if isinstance(value, str) else percent_with_interval(value)


def _plain(value):
    return value if isinstance(value, str) else value.to_dict()


@click.command(help=__doc__.partition("\n")[0])
@options.dataset(SETTINGS)
@click.option("--members", type=click.IntRange(min=10), help="Members, and as many reference records.")
@options.epochs
@click.option("--shadows", type=click.IntRange(min=4), default=16, show_default=True, help="Shadow models.")
@options.out
@options.seed
def command(**given):
    run(**given)
