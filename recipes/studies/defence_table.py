"""All defences on several data sets, ranked by how much better they are than stopping plain training early.

A defence that costs accuracy lowers the attack too, but so does stopping early, for nothing. So each defence is
compared with plain training stopped where it has the same test accuracy: the attack's accuracy there, minus that on
the defence, is what the defence is worth.
"""

import json
import os
from pathlib import Path

import click
import joblib
import numpy as np

from mpreg._text import markdown_table, percent
from mpreg.catalogue import DEFENCES, SETTINGS, chosen, load_plugin, loaded_plugins, setting_of
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.studies.defence_picture import plot_table
from mpreg.recipes.writing import console, print_table

CURVE = ("undefended", None), *(("early-stopping", share) for share in DEFENCES["early-stopping"].strengths)


def run(datasets=("location30",), *, defences="all", attacks=(), seeds=3, jobs=1, epochs=None, out=None):
    """Makes the cells that are not there yet, prints a table a data set and writes them to the folder `out`.

    A worker process loads the plugins that were loaded here by `mpreg.catalogue.load_plugin`, and knows by them what
    they register.

    Args:
        datasets: names in `SETTINGS`.
        defences: names in `DEFENCES`, separated by commas, or "all".
        attacks: keys of attacks beside those of the standard suite.
        seeds: trainings of each defence, each on a split of its own.
        jobs: cells at a time, each in a process.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the cells and the tables; None is `mpreg-defence-table`.

    Returns:
        The rows of each data set, a dict from its name to dicts of figures, best first.

    Raises:
        ValueError: an unknown data set, defence or attack.
    """
    out = Path(out) if out else Path("mpreg-defence-table")
    wanted = [defence.name for defence in chosen(defences)]
    for dataset in datasets:
        setting_of(SETTINGS, dataset)
    cells = cells_of(datasets, wanted, seeds, epochs, attacks)
    made = make_cells(cells, out / "cells", jobs)
    note = NOTE.format(seeds=seeds, suite=" and ".join(["the standard suite", *attacks]))
    tables = {}
    for dataset in datasets:
        tables[dataset] = rank(made, dataset, wanted, range(seeds), epochs, attacks)
        print_table(f"{dataset}, {seeds} splits: mean [range]", *as_text(tables[dataset]))
        text = f"# {dataset}\n\n{markdown_table(*as_text(tables[dataset]))}\n\n{note}\n"
        text += f"\n![Test accuracy and the strongest attack]({dataset}.png)\n"
        stops = stops_of(made, dataset, range(seeds), epochs, attacks)
        plot_table(tables[dataset], stops, out / f"{dataset}.png", title=f"{dataset}, {seeds} splits")
        (out / f"{dataset}.md").write_text(text, encoding="utf-8")
    (out / "table.json").write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    console.print(f"{note}\nCells and tables: {out}")
    return tables


NOTE = (
    "Means over {seeds} splits, lowest and highest in brackets. Attack: the strongest of {suite}, which "
    "guesses right in 50 %. Over stopping early: attack accuracy minus that on plain training stopped at the same "
    "test accuracy, in percent points: below 0 the defence is worth something. Cost: processor time as a multiple of "
    "plain training."
)


def cells_of(datasets, defences, seeds, epochs, attacks=()):
    """All cells of the tables, those of the early-stopping curve included."""
    wanted = dict.fromkeys([*CURVE, *((name, None) for name in defences)])
    return [
        Cell(dataset, name, seed, strength, epochs, attacks=tuple(attacks))
        for dataset in datasets
        for seed in range(seeds)
        for name, strength in wanted
    ]


def make_cells(cells, folder, jobs):
    """Figures by cell, kept ones or made by so many processes."""
    made = {cell: cell.kept(folder) for cell in cells}
    missing = [cell for cell, figures in made.items() if figures is None]
    with progress_bar("cells", len(cells)) as advance:
        advance(steps=len(cells) - len(missing))
        found = joblib.Parallel(n_jobs=jobs, return_as="generator")(
            joblib.delayed(_make)(cell, str(folder), loaded_plugins()) for cell in missing
        )
        for cell, figures in zip(missing, found, strict=True):
            made[cell] = figures
            advance(cell.name)
    return made


def _make(cell, folder, plugins):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # a worker is a process of its own
    for plugin in plugins:
        load_plugin(plugin)
    return cell.make_anew(folder)


def rank(made, dataset, defences, seeds, epochs, attacks=()):
    """Figures of each defence, a list of dicts, best first by what it is worth over stopping early."""

    def figures_of(name, seed, strength=None):
        return made[Cell(dataset, name, seed, strength, epochs, attacks=tuple(attacks))]

    rows = []
    for name in defences:
        found = [figures_of(name, seed) for seed in seeds]
        reports = [figures["report"] for figures in found]
        curves = [[figures_of(stop, seed, share)["report"] for stop, share in CURVE] for seed in seeds]
        plain = [figures_of("undefended", seed)["training_seconds"] for seed in seeds]
        excess = [
            report["attack_accuracy"]["value"] - attack_of_stopping(report["test_accuracy"]["value"], curve)
            for report, curve in zip(reports, curves, strict=True)
        ]
        costs = [figures["training_seconds"] / own for figures, own in zip(found, plain, strict=True)]
        rows.append(
            {
                "defence": name,
                "train_accuracy": _spread(reports, "train_accuracy"),
                "test_accuracy": _spread(reports, "test_accuracy"),
                "attack_accuracy": _spread(reports, "attack_accuracy"),
                "strongest_attack": max(reports, key=lambda r: r["attack_accuracy"]["value"])[
                    "strongest_attack"
                ],
                "tpr_at_1_percent": _range([_low_fpr(report) for report in reports]),
                "reference_attack": _reference(reports),
                "over_stopping_early": _range(excess),
                "cost": float(np.median(costs)),
            }
        )
    return sorted(rows, key=lambda row: row["over_stopping_early"]["mean"])


def stops_of(made, dataset, seeds, epochs, attacks=()):
    """Test and attack accuracy of plain training stopped at several points, means over the splits."""
    stops = []
    for name, share in CURVE:
        cells = [Cell(dataset, name, seed, share, epochs, attacks=tuple(attacks)) for seed in seeds]
        reports = [made[cell]["report"] for cell in cells]
        stops.append(
            tuple(_spread(reports, figure)["mean"] for figure in ("test_accuracy", "attack_accuracy"))
        )
    return stops


def attack_of_stopping(test_accuracy, reports):
    """Attack accuracy on plain training stopped at a test accuracy, from reports of it stopped at several points.

    Between two points it is interpolated, from the untrained model (a guess, attacked at .5) on. Stopping that loses
    on both counts counts for nothing; beyond the best test accuracy of all, the attack there is the one to beat.
    """
    classes = reports[0]["classes"]
    points = [(1 / classes, 0.5)]
    points += [(report["test_accuracy"]["value"], report["attack_accuracy"]["value"]) for report in reports]
    best = sorted(
        (test, attack)
        for test, attack in points
        if not any(other >= test and less < attack for other, less in points)
    )
    return float(np.interp(test_accuracy, *zip(*best, strict=True)))


def _low_fpr(report):
    """The highest TPR at 1 % FPR of any attack."""
    return max(attack["tpr_at_fpr"]["0.01"]["value"] for attack in report["attacks"].values())


def _reference(reports):
    if any(report["reference"] is None for report in reports):
        return None
    return _spread([report["reference"] for report in reports], "attack_accuracy")


def _spread(reports, figure):
    return _range([report[figure]["value"] for report in reports])


def _range(values):
    return {"mean": float(np.mean(values)), "low": float(min(values)), "high": float(max(values))}


def as_text(rows):
    """Header and rows as text."""
    header = [
        "defence",
        "train",
        "test",
        "strongest attack",
        "TPR at 1 % FPR",
        "on reference",
        "over stopping early",
        "cost",
    ]
    lines = [
        [
            row["defence"],
            percent(row["train_accuracy"]["mean"]),
            _with_range(row["test_accuracy"]),
            f"{_with_range(row['attack_accuracy'])} {row['strongest_attack']}",
            _with_range(row["tpr_at_1_percent"]),
            "-" if row["reference_attack"] is None else _with_range(row["reference_attack"]),
            "{mean:+.1f} [{low:+.1f}, {high:+.1f}]".format(
                **{name: 100 * value for name, value in row["over_stopping_early"].items()}
            ),
            f"{row['cost']:.1f}x",
        ]
        for row in rows
    ]
    return header, lines


def _with_range(spread):
    return f"{percent(spread['mean'])} [{100 * spread['low']:.1f}, {100 * spread['high']:.1f}]"


@click.command(help=__doc__.partition("\n")[0])
@options.plugins()
@options.datasets(SETTINGS, ["location30"], help="May be given several times.")
@click.option("--defences", default="all", show_default=True, help=f"Of {', '.join(DEFENCES)}, with commas.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Splits of each data set."
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cells at a time.")
@options.attacks
@options.epochs
@options.out
def command(**given):
    run(**given)
