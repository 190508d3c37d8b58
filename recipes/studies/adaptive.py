"""A defence judged by an attacker who knows it: shadow models trained with it, and canaries in a second training."""

import dataclasses
import time

import numpy as np

import mpreg
from mpreg.attacks import AttackScores, suite
from mpreg.attacks.suites import ATTACKS
from mpreg.catalogue import defence_of
from mpreg.data.canaries import KINDS
from mpreg.evaluation.evaluate import evaluate_canaries, train_shadows
from mpreg.evaluation.headline import strongest_accuracy
from mpreg.evaluation.report import PrivacyReport
from mpreg.recipes.studies.kept import stamp_of
from mpreg.recipes.studies.shadows import KeptModels, KeptShadows

SUITES = ("adaptive", "standard")
SHADOWS = 16
MAX_CANARIES = 500  # a side, where nothing else is asked for
SHARE = 10  # one member in so many becomes a canary, where nothing else is asked for
FIRST_SEED = 7_000  # of shadow models, far from the targets' own
STANDARD_ONLY = (
    "Standard attacks alone: what an attacker learns who trains models with the same defence is not shown, nor what "
    "the records that stand out give away. Both may be far more."
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        model: the target.
        report: the `PrivacyReport`.
        processor_seconds, wall_seconds: of the target's training.
    """

    model: object
    report: PrivacyReport
    processor_seconds: float
    wall_seconds: float


def attack(cell, folder, *, drawn=None, callbacks=(), said=lambda words: None):
    """Trains the target of a `Cell` and attacks it, with shadow models of its own where it has some: an `Outcome`.

    Where the cell has canaries, its report is about them: other records are attacked by the fast suite alone.

    Args:
        cell: the `Cell`.
        folder: for what shadow models answer; a run that was stopped goes on there.
        drawn: data and split, where they were drawn before.
        callbacks: of the target's training.
        said: function that is told, in a few words, what is done.
    """
    defence, setting = defence_of(cell.defence), cell.setting
    data, split = drawn or cell.draw()
    shadows = None
    if cell.shadows:
        shadows = shadows_of(cell, data, split, folder, said=said)
    said("training")
    began, processor = time.perf_counter(), time.process_time()
    options = {"seed": cell.seed, "strength": cell.strength, "callbacks": callbacks}
    model = defence.train(setting, data, split, **options)
    spent = time.process_time() - processor, time.perf_counter() - began
    said("attacking")
    attacks = _possible(cell.suite, model)
    judged = {"attacks": attacks, "shadows": shadows, "seed": cell.seed}
    if cell.canaries:
        report = evaluate_canaries(model, split, **judged)
    else:
        report = mpreg.evaluate(model, split, reference=defence.consumes_reference, **judged)
    return Outcome(model, report, *spent)


def _possible(attacks, model):
    """Attacks without those that need a Keras model's weights, where the model has none to be held."""
    if isinstance(attacks, str) or hasattr(model, "predict_on_batch"):
        return attacks
    return [key for key in attacks if key not in ATTACKS or "weights" not in ATTACKS[key].needs]


def attack_with_canaries(cell, folder, **options):
    """As `attack`, the canaries of the report being those of a second training, where the cell has some."""
    plain = attack(dataclasses.replace(cell, canaries=""), folder, **options)
    if not cell.canaries:
        return plain
    options = {**options, "callbacks": (), "drawn": None}
    planted = attack(cell, folder, **options).report.canaries
    note = (
        f"Canaries: {planted.members} {planted.kind} members and as many non-members of a second training with the "
        "same defence; all other figures are of the first, which had none."
    )
    report = dataclasses.replace(plain.report, canaries=planted, notes=(*plain.report.notes, note))
    return dataclasses.replace(plain, report=report)


def announced(cells):
    """How cells of one kind are judged, and what it costs, in a sentence or two."""
    first = cells[0]
    if not first.shadows:
        return STANDARD_ONLY
    trainings = len(cells) * (first.shadows + 1) * (2 if first.canaries else 1)
    how = f"The attacker trains {first.shadows} shadow models with each defence"
    if first.canaries:
        kind, count = read_canaries(first.canaries)
        how += f", and as many where {count} members and {count} non-members are {kind} canaries"
    return f"{how}: {trainings:,} trainings in all. Without, quick, and saying less: --attacks standard."


def check_room(cells):
    """Refuses more canaries than a cell's split has room for, before hours are spent.

    Raises:
        ValueError: as of `mpreg.plant_canaries`.
    """
    for cell in {(cell.dataset, cell.canaries): cell for cell in cells if cell.canaries}.values():
        cell.draw()


def standard_accuracy(report, attacks=()):
    """The highest accuracy that the standard suite alone reaches in a report's document.

    Its limits hold for all attacks of the suite at once, as those of a report's headline do for all of its own.

    Args:
        report: a document of `docs/report-schema.md`.
        attacks: keys of attacks that count beside it.
    """
    listed = {found.name: found for found in suite(["standard", *attacks])}
    found = [attack for name, attack in report["attacks"].items() if name in listed]
    best = max(found, key=lambda attack: attack["accuracy"]["value"])
    decisions = _decisions(best)
    return strongest_accuracy(decisions, learns=listed[best["name"]].learns, tried=len(found)).to_dict()


def _decisions(attack):
    """As many decisions of either kind as an attack of a document made; of which records they are, it does not tell."""
    members, others = (attack["roc"][side][-1] for side in ("true_positives", "false_positives"))
    recall = attack["recall"]["value"]
    found = round(recall * members)
    cleared = round((2 * attack["accuracy"]["value"] - recall) * others)
    sides = np.arange(members) < found, np.arange(others) >= cleared
    return AttackScores(*map(np.float64, sides), *sides)


def options_of(setting, *, attackers="adaptive", shadows=SHADOWS, canaries=None):
    """`shadows` and `canaries` of a `Cell`, from what a command was asked for.

    Args:
        setting: the `Setting`.
        attackers: `"adaptive"`, or `"standard"` for neither.
        shadows: number of shadow models, at least 2.
        canaries: `"KIND:COUNT"` a side, or `"none"`; None is a tenth of the members, mislabelled, at most 500.

    Raises:
        ValueError: something else.
    """
    if attackers not in SUITES:
        raise ValueError(f"attacks must be one of {', '.join(SUITES)}. Received: {attackers!r}")
    if attackers == "standard":
        return {"shadows": 0, "canaries": ""}
    if isinstance(shadows, bool) or not isinstance(shadows, int) or shadows < 2:
        raise ValueError(f"shadows must be a whole number, at least 2. Received: shadows={shadows!r}")
    if canaries is None:
        count = min(setting.members // SHARE, MAX_CANARIES)
        canaries = f"{KINDS[0]}:{count}" if count >= 2 else "none"
    if canaries == "none":
        return {"shadows": shadows, "canaries": ""}
    read_canaries(canaries)
    return {"shadows": shadows, "canaries": canaries}


def read_canaries(text):
    """Kind and count of `"KIND:COUNT"`.

    Raises:
        ValueError: something else.
    """
    kind, _, count = str(text).partition(":")
    if kind not in KINDS or not count.isdecimal() or int(count) < 2:
        raise ValueError(
            f"canaries must be KIND:COUNT, such as mislabelled:150, of the kinds {', '.join(KINDS)}, or none. "
            f"Received: {text!r}"
        )
    return kind, int(count)


def shadows_of(cell, data, split, folder, *, said=lambda words: None):
    """The `ShadowModels` of a cell, trained as its target on other records; kept in the folder, one by one."""
    defence, setting = defence_of(cell.defence), cell.setting
    undefended = dataclasses.replace(cell, defence="undefended", strength=None)
    plain = stamp_of(defence_of("undefended"), setting)
    models = KeptModels(folder / undefended.shadows_name / "models", str(plain))

    def train(x, y, seed):
        known = mpreg.MembershipSplit((x, y), split.reference, split.nonmembers, duplicates="allow")
        return defence.train(
            setting, data, known, seed=FIRST_SEED + seed, strength=cell.strength, undefended=models
        )

    shadows = KeptShadows(
        train,
        folder / cell.shadows_name,
        count=cell.shadows,
        stamp=str(stamp_of(defence, setting, strength=cell.strength)),
        others=None if split.reference is None else split.reference[0],
        said=said,
    )
    return train_shadows(shadows, split, seed=cell.seed)
