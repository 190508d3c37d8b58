"""Salem et al. 2019 (ML-Leaks): adversaries with decreasing knowledge, transfer between tasks, dropout and stacking.

Adversary 1 trains one shadow model on records of its own, from the population of the target's, and one attack on its
three highest answers. Adversary 2 does so on another task. Adversary 3 trains nothing: a threshold on the highest
answer, from what random records get. Two defences are judged by adversary 1, who trains its shadow model with them too:
dropout, and stacking of a network and a random forest under a logistic regression, on a third of the members each.

Source: "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on Machine Learning Models",
NDSS 2019, sections III to VI.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import keras
import numpy as np

import mpreg
from mpreg import catalogue, signals
from mpreg._files import write_all
from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg.attacks import RandomThresholdAttack, TransferAttack
from mpreg.catalogue import Setting
from mpreg.catalogue.stacked import stacking
from mpreg.data import take
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table

DROPOUT = 0.5
# All that is known here of the paper's figures is a slide of its authors: three numbers a defence, under accuracy,
# precision and recall. It names neither the data set, nor the values without defence, nor whether these are percent
# points or percent of them, so nothing measured can be held against them.
ON_SLIDE = {"dropout": (2, 16, 13), "stacking": (19, 32, 31)}
SLIDE = "the authors' slide has {}, of no stated data set, baseline or unit"


def setting(dataset, members, epochs, *, network="relu_mlp"):
    """As many members as non-members; the attacker's own records, the reference, are twice as many."""
    return Setting(
        dataset=dataset,
        members=members,
        reference=2 * members,
        nonmembers=members,
        network=network,
        learning_rate=1e-3,
        epochs=epochs,
        batch_size=50,
    )


SETTINGS = {
    one.dataset: one
    for one in (
        setting("digits", 400, 60),
        setting("location30", 1_200, 60),
        setting("purchase100-like", 5_000, 30),
        setting("adult", 5_000, 30),
        setting("cifar10", 2_000, 20, network="small_cnn"),
    )
}


@dataclass
class Task:
    """A target, its split, and the attack that was learnt on its own shadow model."""

    target: keras.Model
    split: mpreg.MembershipSplit
    attack: TransferAttack
    report: mpreg.PrivacyReport | None = None


def plainly(task):
    """A classifier, trained."""
    return task.fit(task.build_model())


def with_dropout(task):
    """The same with dropout on its inputs and before its last layer."""
    return task.fit(mpreg.with_dropout(task.build_model(), DROPOUT, inputs=True))


DEFENCES = {"dropout": with_dropout, "stacking": lambda task: stacking(task, None)}


def prepare(setting, train, *, seed):
    """Trains a target on the members and a shadow model on half of the reference, both by `train(task)`."""
    data, split = setting.draw(seed)
    half = len(split.reference[1]) // 2
    inside, outside = take(split.reference, slice(half)), take(split.reference, slice(half, 2 * half))
    target, shadow = (
        train(catalogue.Task(setting, data, mpreg.MembershipSplit(records, None, split.nonmembers), number))
        for records, number in ((split.members, seed), (inside, seed + 1))
    )
    sides = [signals.predict(shadow, x) for x, _ in (inside, outside)]
    return Task(target, split, TransferAttack(*sides, name=f"from {setting.dataset}"))


def run(datasets=("digits", "location30", "purchase100-like"), *, epochs=None, out=None, seed=0):
    """Trains targets and shadow models, prints adversaries, transfer matrix and defences, and writes `out`.

    Args:
        datasets: names in `SETTINGS`, one at least.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the report; None is `mpreg-salem2019`.
        seed: seed of the splits, the weights and the attacks.

    Returns:
        `PrivacyReport` of every target by name of the data set; `"<name>, dropout"` and `"<name>, stacking"` for those
        with a defence.

    Raises:
        ValueError: no data set, or an unknown one.
    """
    unknown = [name for name in datasets if name not in SETTINGS]
    if unknown or not datasets:
        raise ValueError(
            f"datasets must be of {', '.join(SETTINGS)}. Received: {', '.join(unknown) or 'none'}"
        )
    tasks, defended = {}, {name: {} for name in DEFENCES}
    with progress_bar("training", (1 + len(DEFENCES)) * len(datasets)) as advance:
        for name in datasets:
            setting = SETTINGS[name].replace(epochs=epochs)
            tasks[name] = prepare(setting, plainly, seed=seed)
            advance(name)
            for defence, train in DEFENCES.items():
                defended[defence][name] = prepare(setting, train, seed=seed)
                advance(f"{name}, {defence}")
    every = [task.attack for task in tasks.values()]
    with progress_bar("attacking", (1 + len(DEFENCES)) * len(datasets)) as advance:
        for name in datasets:
            judge(tasks[name], [*every, RandomThresholdAttack()], seed)
            advance(name)
            for defence, made in defended.items():
                judge(made[name], [made[name].attack], seed)
                advance(f"{name}, {defence}")
    tables = {
        "Three adversaries: accuracy; precision / recall": adversaries(tasks),
        "Transfer: precision / recall of an attack (column) on a target (row)": matrix(tasks),
    }
    for defence, made in defended.items():
        published = SLIDE.format(" / ".join(map(str, ON_SLIDE[defence])))
        tables[f"{defence.capitalize()}: from without to with; {published}"] = defence_rows(tasks, made)
    parts = ["# Salem et al. 2019"]
    for title, (header, rows) in tables.items():
        print_table(title, header, rows)
        parts += [f"## {title}", markdown_table(header, rows)]
    out = Path(out) if out else Path("mpreg-salem2019")
    out.mkdir(parents=True, exist_ok=True)
    reports = {name: task.report for name, task in tasks.items()}
    for defence, made in defended.items():
        reports |= {f"{name}, {defence}": task.report for name, task in made.items()}
    mpreg.compare(reports).to_json(out / "report.json")
    sizes = "; ".join(f"{name}: {task.split}" for name, task in tasks.items())
    write_all(out, {"report.md": "\n\n".join([*parts, sizes]) + "\n"})
    console.print(f"{sizes}; 95 % intervals; guessing is 50 %.\nReports: {out}")
    return reports


def judge(task, attacks, seed):
    task.report = mpreg.evaluate(task.target, task.split, attacks=attacks, seed=seed)


def adversaries(tasks):
    """Header and rows: adversaries 1 and 3 on every target, and the best adversary 2."""
    rows = []
    for name, task in tasks.items():
        attacks = task.report.attacks
        own, third = f"from {name}", RandomThresholdAttack().name
        foreign = [attacks[f"from {other}"] for other in tasks if other != name]
        mean = np.mean([result.accuracy for result in foreign]) if foreign else None
        rows.append(
            [
                name,
                f"{percent(task.report.train_accuracy)} / {percent(task.report.test_accuracy)}",
                _rates(attacks[own]),
                f"{percent(mean)} (mean of {len(foreign)})" if foreign else "-",
                _rates(attacks[third]),
                percent(task.report.gap_bound),
            ]
        )
    header = ["target", "training / test", "adversary 1", "adversary 2", "adversary 3", "gap attack"]
    return header, rows


def matrix(tasks):
    """Header and rows: every attack on every target; the diagonal is adversary 1."""
    rows = [
        [name, *(_precision_recall(task.report.attacks[f"from {source}"]) for source in tasks)]
        for name, task in tasks.items()
    ]
    return ["target", *(f"from {name}" for name in tasks)], rows


def defence_rows(tasks, defended):
    """Header and rows: what a defence takes from the target and from adversary 1, who trains with it too."""
    rows = []
    for name, task in tasks.items():
        before, after = (one.report for one in (task, defended[name]))
        first, second = (report.attacks[f"from {name}"] for report in (before, after))
        pairs = [
            (before.test_accuracy, after.test_accuracy),
            (first.precision, second.precision),
            (first.recall, second.recall),
            (before.attack_accuracy, after.attack_accuracy),
        ]
        rows.append([name, *(f"{percent(one)} -> {percent(other)}" for one, other in pairs)])
    return ["target", "test accuracy", "precision", "recall", "strongest attack"], rows


def _rates(result):
    return f"{percent_with_interval(result.accuracy)}; {_precision_recall(result)}"


def _precision_recall(result):
    undefined = result.precision != result.precision  # it never said "member"
    return f"{'-' if undefined else format(result.precision, '.2f')} / {result.recall:.2f}"


@click.command(help=__doc__.partition("\n")[0])
@options.datasets(
    SETTINGS,
    ["digits", "location30", "purchase100-like"],
    help="Data set between which attacks are transferred; may be given several times.",
)
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
