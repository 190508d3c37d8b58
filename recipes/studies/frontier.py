"""What each defence costs in accuracy for what it saves in privacy: a sweep of its strength, and the frontier."""

import dataclasses
import json
import shutil
from pathlib import Path

import click
import keras
import numpy as np

from mpreg._files import write_all, write_json
from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg._validate import check_count
from mpreg.callbacks import PrivacyMeter
from mpreg.catalogue import DEFENCES, SETTINGS, chosen, defence_of, setting_of
from mpreg.evaluation.choice import AFFORDED, choose
from mpreg.metrics import Estimate
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.own_data import own_data
from mpreg.recipes.studies.adaptive import SHADOWS, announced, attack_with_canaries, check_room, options_of
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.studies.kept import keep, read_kept
from mpreg.recipes.writing import console, print_table
from mpreg.reports.front import Spot, on_front
from mpreg.reports.frontier import draw_frontier
from mpreg.reports.tensorboard import write_hparams, write_report

SCHEMA = "mpreg.frontier/1"
UNDEFENDED = "undefended"
FPR = "0.01"
NOTE = "95 % intervals; guessing is 50 %. ● on the frontier: no other is as accurate and leaks as little."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A defence at one strength, and how the model that came of it fared; rates as in a `PrivacyReport`.

    Attributes:
        defence, strength: what was trained; a strength of None where there is nothing to turn.
        train_accuracy, test_accuracy, attack_accuracy: with 95 % intervals.
        strongest_attack: its name.
        tpr, auc: true positive rate at 1 % false positive rate and AUC of the strongest attack.
        reference: accuracy of the strongest attack on reference records; None where they were not attacked.
        canaries: and on canaries, of a second training; None where there were none.
    """

    defence: str
    strength: float | None
    train_accuracy: Estimate
    test_accuracy: Estimate
    attack_accuracy: Estimate
    strongest_attack: str
    tpr: Estimate
    auc: Estimate
    reference: Estimate | None = None
    canaries: Estimate | None = None

    @classmethod
    def read(cls, cell, path):
        """The point of a cell, from its `report.json`."""
        report = json.loads(Path(path).read_text("utf-8"))
        strongest = report["attacks"][report["strongest_attack"]]
        rates = ("train_accuracy", "test_accuracy", "attack_accuracy")
        other, planted = report.get("reference"), report.get("canaries")
        return cls(
            defence=cell.defence,
            strength=cell.strength,
            strongest_attack=report["strongest_attack"],
            **{rate: Estimate(**report[rate]) for rate in rates},
            tpr=Estimate(**strongest["tpr_at_fpr"][FPR]),
            auc=Estimate(**strongest["auc"]),
            reference=other and Estimate(**other["attack_accuracy"]),
            canaries=planted and Estimate(**planted["attack_accuracy"]),
        )

    @property
    def place(self):
        """Test accuracy, and what is given away."""
        return float(self.test_accuracy), float(self.given_away)

    @property
    def given_away(self):
        """Accuracy of the attack on members, or on the reference records that the defence consumed: the higher one."""
        if self.reference is None:
            return self.attack_accuracy
        return max(self.attack_accuracy, self.reference)

    def to_dict(self):
        """JSON-ready figures."""
        figures = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in figures.items():
            if isinstance(value, Estimate):
                figures[name] = {"value": float(value), "low": value.low, "high": value.high}
        return figures


def run(
    defences="all",
    *,
    dataset="location30",
    suite="adaptive",
    shadows=SHADOWS,
    canaries=None,
    attacks=(),
    points=5,
    epochs=None,
    validation=False,
    out=None,
    seed=0,
):
    """Trains and attacks every defence at every strength, prints the table and writes the folder `out`.

    Each point is judged by an attacker who trains shadow models with the same defence, and in a second training by
    canaries, the records that stand out. What is in the folder is not trained again, so that a sweep that was stopped
    goes on; but what is there of another defence, setting or version is made anew.

    Args:
        defences: names in `DEFENCES`, separated by commas, or "all"; plain training is always among them.
        dataset: a name in `SETTINGS`.
        suite, shadows, canaries: as for `mpreg.recipes.studies.defence_table.run`.
        attacks: keys of attacks beside those of the suite.
        points: strengths a defence, at least 1, spread over all that it has.
        epochs: of plain training, by which those of defences go; None as in `SETTINGS`.
        validation: whether half of the reference records stand for the non-members, to choose strengths by: a choice
            is then named, or which the figures do not tell apart.
        out: folder for the table, the picture, reports and TensorBoard logs; None is `mpreg-frontier/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        A list of `Point`s, that of plain training first.

    Raises:
        ValueError: an unknown data set, defence or attack, or no points.
    """
    wanted = chosen(defences)
    check_count("points", points, 1)
    setting = setting_of(SETTINGS, dataset).replace(epochs=epochs)
    judges = options_of(setting, attackers=suite, shadows=shadows, canaries=canaries)
    cells = [
        Cell(dataset, defence.name, seed, strength, epochs, validation, tuple(attacks), **judges)
        for defence in wanted
        for strength in spread(defence.strengths, points)
    ]
    check_room(cells)
    out = Path(out) if out else Path("mpreg-frontier") / dataset
    runs = out / "runs" / dataclasses.replace(cells[0], defence="sweep", strength=None).name
    data, split = setting.draw(seed, validation=validation)
    console.print(f"{data.description}\n{split}\n{announced(cells)}")
    found = []
    with progress_bar("training and attacking", len(cells)) as advance:
        for cell in cells:
            own = name(cell)
            advance(own, 0)
            found.append(
                make(
                    cell,
                    data,
                    split,
                    runs / own,
                    out / "shadows",
                    lambda words, own=own: advance(f"{own}: {words}", 0),
                )
            )
            advance(own)
    title = f"{dataset}, {setting.epochs} epochs, seed {seed}"
    # Figures on the non-members are for judging: to choose by them would flatter the choice.
    choice = choice_of(found) if validation else None
    said = [f"Test accuracy that may be lost: {100 * AFFORDED:g} points. {choice}"] if choice else []
    write(
        found,
        out,
        title=title,
        notes=[f"{data.description} {split}.", announced(cells), NOTE, *said],
        choice=choice,
    )
    print_table(title, *rows_of(found))
    console.print(
        "\n".join([*said, NOTE, str(split), f"Table and picture: {out}"])
        + f"\nThe sweep, under HParams: tensorboard --logdir {runs}"
    )
    return found


def spread(strengths, points):
    """At most so many of the strengths, from the weakest to the strongest; one is the strongest; None for none."""
    if not strengths:
        return (None,)
    picked = np.linspace(len(strengths) - 1, 0, min(points, len(strengths)))
    return tuple(strengths[round(index)] for index in picked[::-1])


def name(cell):
    """Short enough for TensorBoard's list of runs, and unique in a sweep."""
    return cell.defence if cell.strength is None else f"{cell.defence}_{cell.strength:g}"


def make(cell, data, split, folder, shadows=None, said=lambda words: None):
    """The `Point` of a cell, from its folder where that has a report of today's defence.

    Args:
        cell: the `Cell`.
        data, split: what it is trained on.
        folder: of its report and logs.
        shadows: folder for what shadow models answer.
        said: function that is told, in a few words, what is done.
    """
    path, stamp = folder / "report.json", cell.stamp()
    if read_kept(path, stamp) is None:
        shutil.rmtree(folder, ignore_errors=True)  # logs of a training that was stopped
        keep(path, _train_and_attack(cell, data, split, folder, shadows, said).to_dict(), stamp)
    return Point.read(cell, path)


def _train_and_attack(cell, data, split, folder, shadows, said):
    defence = defence_of(cell.defence)
    watch = [PrivacyMeter(split, log_dir=folder), keras.callbacks.TensorBoard(folder, write_graph=False)]
    report = attack_with_canaries(cell, shadows, drawn=(data, split), callbacks=watch, said=said).report
    write_report(folder, report)
    # Strengths of two defences have nothing in common but their order, so a plot of all needs their rank.
    rank = 0 if defence.name == UNDEFENDED else 1 + [*defence.strengths, cell.strength].index(cell.strength)
    choice = {"defence": cell.defence, "level": rank, "strength": float(cell.strength or 0)}
    write_hparams(folder, hparams=choice, report=report, choices={"defence": list(DEFENCES)})
    return report


def frontier_of(points):
    """The points that no other beats, by rising test accuracy.

    One beats another if it is at least as accurate and its attack at most as accurate, and better in one of both.
    """
    return [points[number] for number in on_front([point.place for point in points])]


def choice_of(points):
    """The `Choice` among points; the first, plain training, is what costs are counted from."""
    rates = {_called(point): (point.test_accuracy, point.given_away) for point in points}
    return choose(rates, first=_called(points[0]))


def _called(point):
    return point.defence if point.strength is None else f"{point.defence} {point.strength:g}"


def rows_of(points):
    """Header and rows: every point, what it costs and what it saves."""
    best = frontier_of(points)
    consumed = any(point.reference is not None for point in points)
    header = ["defence", "strength", "training", "test", "strongest attack", "TPR at 1 % FPR"]
    planted = any(point.canaries is not None for point in points)
    header += ["attack on reference"] * consumed + ["attack on canaries"] * planted + ["frontier"]
    rows = []
    for point in points:
        row = [
            point.defence,
            "-" if point.strength is None else f"{point.strength:g}",
            percent(point.train_accuracy),
            percent_with_interval(point.test_accuracy),
            f"{percent_with_interval(point.attack_accuracy)} {point.strongest_attack}",
            percent_with_interval(point.tpr),
        ]
        further = [point.reference] * consumed + [point.canaries] * planted
        row += ["-" if figure is None else percent_with_interval(figure) for figure in further]
        rows.append([*row, "●" if point in best else ""])
    return header, rows


def write(points, out, *, title, notes, choice=None):
    """Writes `frontier.json`, `frontier.md` and `frontier.png` into the folder `out`."""
    best = frontier_of(points)
    content = [{**point.to_dict(), "on_frontier": point in best} for point in points]
    chosen = None if choice is None else choice.to_dict()
    write_json({"schema": SCHEMA, "title": title, "points": content, "choice": chosen}, out / "frontier.json")
    parts = [f"# Privacy and utility: {title}", *notes, markdown_table(*rows_of(points))]
    text = "\n\n".join([*parts, "![Frontier](frontier.png)"]) + "\n"
    write_all(out, {"frontier.md": text})
    plot(points, out / "frontier.png", title=title)


def plot(points, path, *, title):
    """Test accuracy against the strongest attack's accuracy, a line a defence, over the frontier, to `path`."""
    lines = {}
    for point in points:
        note = "" if point.strength is None else f"{point.strength:g}"
        lines.setdefault(point.defence, []).append(Spot(point.test_accuracy, point.given_away, note))
    draw_frontier(lines, path, title=title)


@click.command(help=__doc__)
@options.plugins()
@click.option(
    "--defences", default="all", show_default=True, help=f"Of {', '.join(DEFENCES)}; separated by commas."
)
@options.dataset(SETTINGS)
@own_data(lambda: None)
@options.attackers
@options.attacks
@click.option(
    "--points", type=click.IntRange(min=1), default=5, show_default=True, help="Strengths of each defence."
)
@options.epochs
@click.option(
    "--validation", is_flag=True, help="Judge on half of the reference records, to choose strengths."
)
@options.out
@options.seed
def command(**given):
    run(**given)
