"""Salem et al. 2019 (ML-Leaks): three adversaries of falling knowledge, the transfer between tasks, and dropout.

Adversary 1 trains one shadow model on records of its own, from the population of the target's, and one attack on its
three highest answers. Adversary 2 does so on another task. Adversary 3 trains nothing: a threshold on the highest
answer, from what random records get.

Source: "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on Machine Learning Models",
NDSS 2019, sections III to VI.
"""

from dataclasses import dataclass, field
from pathlib import Path

import click
import keras
import numpy as np

import mpreg
from mpreg import signals
from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg.attacks import RandomThresholdAttack, TransferAttack
from mpreg.catalogue import Setting
from mpreg.data import take
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table

DROPOUT = 0.5
# Dropout takes so many percent points of the target's accuracy and of adversary 1's precision and recall (slides).
PUBLISHED_DROPS = (2, 16, 13)


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
    report: mpreg.PrivacyReport = field(default=None)


def prepare(setting, *, dropout, seed):
    """Trains a target on the members and a shadow model on half of the reference."""

    def train(records, seed):
        model = setting.target(data, seed)
        model = setting.compiled(mpreg.with_dropout(model, dropout, inputs=True) if dropout else model)
        model.fit(*records, batch_size=setting.batch_size, epochs=setting.epochs, verbose=0)
        return model

    data, split = setting.draw(seed)
    target = train(split.members, seed)
    half = len(split.reference[1]) // 2
    inside, outside = take(split.reference, slice(half)), take(split.reference, slice(half, 2 * half))
    shadow = train(inside, seed + 1)
    sides = [signals.predict(shadow, x) for x, _ in (inside, outside)]
    return Task(target, split, TransferAttack(*sides, name=f"from {setting.dataset}"))


def run(datasets=("digits", "location30", "purchase100-like"), *, epochs=None, out=None, seed=0):
    """Trains targets and shadow models, prints adversaries, transfer matrix and dropout, and writes `out`.

    Args:
        datasets: names in `SETTINGS`, one at least.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the report; None is `mpreg-salem2019`.
        seed: seed of the splits, the weights and the attacks.

    Returns:
        `PrivacyReport` of every target by name of the data set; `"<name>, dropout"` for those with dropout.

    Raises:
        ValueError: no data set, or an unknown one.
    """
    unknown = [name for name in datasets if name not in SETTINGS]
    if unknown or not datasets:
        raise ValueError(
            f"datasets must be of {', '.join(SETTINGS)}. Received: {', '.join(unknown) or 'none'}"
        )
    tasks, dropped = {}, {}
    with progress_bar("training", 2 * len(datasets)) as advance:
        for name in datasets:
            setting = SETTINGS[name].but(epochs=epochs)
            tasks[name] = prepare(setting, dropout=0.0, seed=seed)
            advance(name)
            dropped[name] = prepare(setting, dropout=DROPOUT, seed=seed)
            advance(f"{name}, dropout")
    every = [task.attack for task in tasks.values()]
    with progress_bar("attacking", 2 * len(datasets)) as advance:
        for name in datasets:
            judge(tasks[name], [*every, RandomThresholdAttack()], seed)
            advance(name)
            judge(dropped[name], [dropped[name].attack], seed)
            advance(f"{name}, dropout")
    tables = {
        "Three adversaries: accuracy; precision / recall": adversaries(tasks),
        "Transfer: precision / recall of an attack (column) on a target (row)": matrix(tasks),
        f"Dropout {DROPOUT:g}: from without to with; published drops: "
        f"{' / '.join(map(str, PUBLISHED_DROPS))} points": dropout_rows(tasks, dropped),
    }
    parts = ["# Salem et al. 2019"]
    for title, (header, rows) in tables.items():
        print_table(title, header, rows)
        parts += [f"## {title}", markdown_table(header, rows)]
    out = Path(out) if out else Path("mpreg-salem2019")
    out.mkdir(parents=True, exist_ok=True)
    reports = {name: task.report for name, task in tasks.items()}
    reports |= {f"{name}, dropout": task.report for name, task in dropped.items()}
    mpreg.compare(reports).to_json(out / "report.json")
    sizes = "; ".join(f"{name}: {task.split}" for name, task in tasks.items())
    (out / "report.md").write_text("\n\n".join([*parts, sizes]) + "\n", encoding="utf-8")
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
    header = ["target", "training / test", "adversary 1", "adversary 2", "adversary 3", "gap bound"]
    return header, rows


def matrix(tasks):
    """Header and rows: every attack on every target; the diagonal is adversary 1."""
    rows = [
        [name, *(_precision_recall(task.report.attacks[f"from {source}"]) for source in tasks)]
        for name, task in tasks.items()
    ]
    return ["target", *(f"from {name}" for name in tasks)], rows


def dropout_rows(tasks, dropped):
    """Header and rows: what dropout takes from the target and from adversary 1, who trains with dropout too."""
    rows = []
    for name, task in tasks.items():
        before, after = (one.report for one in (task, dropped[name]))
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
    help="Tasks between which attacks are carried over; give it several times.",
)
@options.epochs
@options.out
@options.seed
def command(**given):
    run(**given)
