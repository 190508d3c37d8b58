"""All defences on several data sets, judged by an attacker who knows them, beside stopping plain training early.

A defence that costs accuracy lowers the attack too, but so does stopping early, for nothing. So each defence is
compared with plain training stopped where it has the same test accuracy: the attack's accuracy there, minus that on
the defence, is what the defence is worth.
"""

import json
import os
from pathlib import Path

import click
import numpy as np

from mpreg._files import write_all
from mpreg._text import markdown_table, percent
from mpreg.catalogue import DEFENCES, SETTINGS, chosen, defence_of, load_plugin, loaded_plugins, setting_of
from mpreg.fleet.processes import results_of, workers
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.own_data import own_data
from mpreg.recipes.studies.adaptive import (
    SHADOWS,
    STANDARD_ONLY,
    check_room,
    options_of,
    read_canaries,
    standard_accuracy,
)
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.studies.defence_picture import plot_table
from mpreg.recipes.studies.stopping import attack_of_stopping
from mpreg.recipes.writing import console, print_table

CURVE = ("undefended", None), *(("early-stopping", share) for share in DEFENCES["early-stopping"].strengths)


def run(
    datasets=("location30",),
    *,
    defences="all",
    suite="adaptive",
    shadows=SHADOWS,
    canaries=None,
    attacks=(),
    seeds=3,
    jobs=1,
    epochs=None,
    out=None,
):
    """Makes the cells that are not there yet, prints a table a data set and writes them to the folder `out`.

    Each defence is judged by an attacker who trains shadow models with it, and in a second training by canaries, the
    records that stand out: `2 * (shadows + 1)` trainings a defence and split. A run that was stopped goes on with the
    shadow model that it was at.

    Inside `joblib.parallel_config(backend)` the cells are dealt out to the workers of that backend, which write them
    to the same folder. A worker loads the plugins that were loaded here by `mpreg.catalogue.load_plugin`, and knows by
    them what they register.

    Args:
        datasets: names in `SETTINGS`.
        defences: names in `DEFENCES`, separated by commas, or "all".
        suite: `"adaptive"`; `"standard"` is the quick way, one training a defence and split, without shadow models
            and canaries: what it does not show, it says.
        shadows: shadow models of each target, at least 2.
        canaries: `"KIND:COUNT"` a side (`mpreg.plant_canaries`), or `"none"`; None is a tenth of the members,
            mislabelled, at most 500.
        attacks: keys of attacks beside those of the suite.
        seeds: trainings of each defence, each on a split of its own.
        jobs: cells at a time, each in a process; 1 is as joblib is configured.
        epochs: of plain training, by which those of defences go; None as in `SETTINGS`.
        out: folder for the cells and the tables; None is `mpreg-defence-table`.

    Returns:
        The rows of each data set, a dict from its name to dicts of figures, best first.

    Raises:
        ValueError: an unknown data set, defence or attack, or shadow models or canaries that are none.
    """
    out = Path(out) if out else Path("mpreg-defence-table")
    wanted = [defence.name for defence in chosen(defences)]
    judged = {
        dataset: options_of(
            setting_of(SETTINGS, dataset), attackers=suite, shadows=shadows, canaries=canaries
        )
        for dataset in datasets
    }
    cells = [
        cell
        for dataset, judges in judged.items()
        for cell in cells_of([dataset], wanted, seeds, epochs, attacks, **judges)
    ]
    check_room(cells)
    made = make_cells(cells, out / "cells", jobs)
    tables = {}
    for dataset, judges in judged.items():
        setting = setting_of(SETTINGS, dataset).replace(epochs=epochs)
        note = note_of(seeds, attacks, **judges) + own_epochs(wanted, setting)
        tables[dataset] = rank(made, dataset, wanted, range(seeds), epochs, attacks, **judges)
        splits = f"{seeds} splits" if seeds > 1 else "1 split"
        print_table(f"{dataset}, {splits}", *as_text(tables[dataset]))
        text = f"# {dataset}\n\n{markdown_table(*as_text(tables[dataset]))}\n\n{note}\n"
        text += f"\n![Test accuracy and the strongest attack]({dataset}.png)\n"
        stops = stops_of(made, dataset, range(seeds), epochs, attacks, shadows=judges["shadows"])
        plot_table(tables[dataset], stops, out / f"{dataset}.png", title=f"{dataset}, {splits}")
        write_all(out, {f"{dataset}.md": text})
        console.print(note)
    write_all(out, {"table.json": json.dumps(tables, indent=2) + "\n"})
    console.print(f"Cells and tables: {out}")
    return tables


def note_of(seeds, attacks=(), *, shadows=0, canaries=""):
    """What the columns are."""
    standard = " and ".join(["the standard suite", *attacks])
    of_one = "One split, 95 % intervals in brackets."
    of_several = f"Means over {seeds} splits, lowest and highest in brackets."
    parts = [of_one if seeds == 1 else of_several, "Guessing is right in 50 %."]
    if shadows:
        parts.append(
            f"Standard: the strongest of {standard}. Adaptive: the strongest of all attacks, those of an attacker who "
            f"trains {shadows} shadow models with the same defence included; the rows are in its order, and the TPR "
            "and what a defence is worth over stopping early are its."
        )
    else:
        parts += [f"Attack: the strongest of {standard}.", STANDARD_ONLY]
    if canaries:
        kind, count = read_canaries(canaries)
        parts.append(
            f"Canaries: the adaptive attack on {count} {kind} members and as many non-members of a second training: "
            "what the most exposed person gives away. No other figure is of it."
        )
    parts.append(
        "Over stopping early: attack accuracy minus that on plain training stopped at the same test accuracy, in "
        "percent points: below 0 the defence is worth something. Cost: the target's processor time (wall time) as a "
        "multiple of plain training."
    )
    return " ".join(parts)


def own_epochs(defences, setting):
    """Which defences were tuned to other epochs than plain training, in a sentence; empty where there are none."""
    others = {name: defence_of(name).epochs_for(setting) for name in defences}
    told = [f"{name} {epochs}" for name, epochs in others.items() if epochs != setting.epochs]
    return f" Tuned to other epochs than {setting.epochs}: {', '.join(told)}." if told else ""


def cells_of(datasets, defences, seeds, epochs, attacks=(), *, shadows=0, canaries=""):
    """All cells of the tables, those of the early-stopping curve included."""
    wanted = dict.fromkeys([*((name, None, "") for name in defences), *((*stop, "") for stop in CURVE)])
    if canaries:
        wanted |= dict.fromkeys((name, None, canaries) for name in defences)
    return [
        Cell(dataset, name, seed, strength, epochs, False, tuple(attacks), shadows, planted)
        for dataset in datasets
        for seed in range(seeds)
        for name, strength, planted in sorted(wanted, key=lambda one: one[0] != "undefended")
    ]


def make_cells(cells, folder, jobs):
    """Figures by cell, kept ones or made by so many processes."""
    made = {cell: cell.kept(folder) for cell in cells}
    missing = [cell for cell, figures in made.items() if figures is None]
    with progress_bar("cells", len(cells)) as advance:
        advance(steps=len(cells) - len(missing))
        if jobs == 1 and workers()[0] == 1:  # in this process, so that the bar tells what is done

            def said(cell):
                return lambda words: advance(f"{cell.name}: {words}", 0)

            found = (cell.make_anew(folder, said=said(cell)) for cell in missing)
        else:
            # A worker may have been started in another folder.
            path = str(Path(folder).resolve())
            calls = [(cell, path, loaded_plugins()) for cell in missing]
            found = results_of(_make, calls, n_jobs=jobs if jobs > 1 else None)
        for cell, figures in zip(missing, found, strict=True):
            made[cell] = figures
            advance(cell.name)
    return made


def _make(cell, folder, plugins):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # a worker is a process of its own
    for plugin in plugins:
        load_plugin(plugin)
    return cell.make_anew(folder)


def rank(made, dataset, defences, seeds, epochs, attacks=(), *, shadows=0, canaries=""):
    """Figures of each defence, a list of dicts.

    Best first: by the adaptive attack, or, where none was made, by what a defence is worth over stopping early.
    """

    def figures_of(name, seed, strength=None, planted=""):
        return made[Cell(dataset, name, seed, strength, epochs, False, tuple(attacks), shadows, planted)]

    rows = []
    for name in defences:
        found = [figures_of(name, seed) for seed in seeds]
        reports = [figures["report"] for figures in found]
        curves = [[figures_of(stop, seed, share)["report"] for stop, share in CURVE] for seed in seeds]
        plain = [figures_of("undefended", seed) for seed in seeds]
        standing_out = [
            figures_of(name, seed, None, canaries)["report"]["canaries"] for seed in seeds if canaries
        ]
        excess = [
            report["attack_accuracy"]["value"] - attack_of_stopping(report["test_accuracy"]["value"], curve)
            for report, curve in zip(reports, curves, strict=True)
        ]
        highest = _spread(reports, "attack_accuracy")
        standard = _range([standard_accuracy(report, attacks) for report in reports]) if shadows else highest
        rows.append(
            {
                "defence": name,
                "train_accuracy": _spread(reports, "train_accuracy"),
                "test_accuracy": _spread(reports, "test_accuracy"),
                "attack_accuracy": standard,
                "adaptive_attack_accuracy": highest if shadows else None,
                "strongest_attack": max(reports, key=lambda r: r["attack_accuracy"]["value"])[
                    "strongest_attack"
                ],
                "tpr_at_1_percent": _range([_low_fpr(report) for report in reports]),
                "canary_attack_accuracy": _spread(standing_out, "attack_accuracy") if canaries else None,
                "canary_tpr_at_1_percent": _range([found["tpr_at_fpr"]["0.01"] for found in standing_out])
                if canaries
                else None,
                "reference_attack": _reference(reports),
                "over_stopping_early": _range(
                    [{"value": value, "low": value, "high": value} for value in excess]
                ),
                "cost": _multiple(found, plain, "training_seconds"),
                "wall_cost": _multiple(found, plain, "training_wall_seconds"),
            }
        )
    ranked_by = "adaptive_attack_accuracy" if shadows else "over_stopping_early"
    return sorted(rows, key=lambda row: row[ranked_by]["mean"])


def stops_of(made, dataset, seeds, epochs, attacks=(), *, shadows=0):
    """Test and attack accuracy of plain training stopped at several points, means over the splits."""
    stops = []
    for name, share in CURVE:
        cells = [Cell(dataset, name, seed, share, epochs, False, tuple(attacks), shadows) for seed in seeds]
        reports = [made[cell]["report"] for cell in cells]
        stops.append(
            tuple(_spread(reports, figure)["mean"] for figure in ("test_accuracy", "attack_accuracy"))
        )
    return stops


def _low_fpr(report):
    """The highest TPR at 1 % FPR of any attack, with limits for all of them at once."""
    return next(best["tpr"] for best in report["best_at_fpr"] if best["fpr"] == 0.01)


def _multiple(found, plain, seconds):
    """The median of what trainings took, as a multiple of plain training; None where that was not kept."""
    if any(seconds not in figures for figures in (*found, *plain)):
        return None
    return float(np.median([own[seconds] / other[seconds] for own, other in zip(found, plain, strict=True)]))


def _reference(reports):
    if any(report["reference"] is None for report in reports):
        return None
    return _spread([report["reference"] for report in reports], "attack_accuracy")


def _spread(reports, figure):
    return _range([report[figure] for report in reports])


def _range(estimates):
    """Mean, lowest and highest of a figure over the splits; of one split its interval."""
    values = [estimate["value"] for estimate in estimates]
    low, high = (
        (values, values) if len(values) > 1 else ([e[end] for e in estimates] for end in ("low", "high"))
    )
    return {"mean": float(np.mean(values)), "low": float(min(low)), "high": float(max(high))}


def as_text(rows):
    """Header and rows as text."""
    adaptive = rows[0]["adaptive_attack_accuracy"] is not None
    planted = rows[0]["canary_attack_accuracy"] is not None
    header = ["defence", "train", "test"]
    header += ["standard attack", "adaptive attack"] if adaptive else ["strongest attack"]
    header += ["canaries", "canaries, TPR at 1 % FPR"] * planted
    header += ["TPR at 1 % FPR", "on reference", "over stopping early", "cost (wall)"]
    return header, [_line(row, adaptive=adaptive, planted=planted) for row in rows]


def _line(row, *, adaptive, planted):
    strongest = _with_range(row["adaptive_attack_accuracy" if adaptive else "attack_accuracy"])
    worth = {name: 100 * value for name, value in row["over_stopping_early"].items()}
    return [
        row["defence"],
        percent(row["train_accuracy"]["mean"]),
        _with_range(row["test_accuracy"]),
        *[_with_range(row["attack_accuracy"])] * adaptive,
        f"{strongest} {row['strongest_attack']}",
        *(
            [_with_range(row[f"canary_{rate}"]) for rate in ("attack_accuracy", "tpr_at_1_percent")]
            if planted
            else []
        ),
        _with_range(row["tpr_at_1_percent"]),
        "-" if row["reference_attack"] is None else _with_range(row["reference_attack"]),
        f"{worth['mean']:+.1f}"
        + " [{low:+.1f}, {high:+.1f}]".format(**worth) * (worth["low"] < worth["high"]),
        f"{row['cost']:.1f}x" + ("" if row["wall_cost"] is None else f" ({row['wall_cost']:.1f}x)"),
    ]


def _with_range(spread):
    return f"{percent(spread['mean'])} [{100 * spread['low']:.1f}, {100 * spread['high']:.1f}]"


@click.command(help=__doc__.partition("\n")[0])
@options.plugins()
@options.datasets(SETTINGS, ["location30"], help="May be given several times.")
@click.option(
    "--defences", default="all", show_default=True, help=f"Of {', '.join(DEFENCES)}, separated by commas."
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Splits of each data set."
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Cells at a time.")
@own_data(lambda: None, "datasets")
@options.attackers
@options.attacks
@options.access
@options.epochs
@options.out
def command(access, attacks, **given):
    run(attacks=(*attacks, *access), **given)
