"""Trainings of a protection, attacked on validation halves and kept, so that one that was stopped goes on."""

import dataclasses
import functools
import time
from pathlib import Path

import mpreg
from mpreg.attacks import suite
from mpreg.catalogue import Setting, Task, defence_of, digest_of
from mpreg.catalogue.setting import validation_part
from mpreg.protection.attacker import attacked
from mpreg.recipes.studies.frontier import Point
from mpreg.recipes.studies.kept import keep, read_kept


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What is protected.

    Attributes:
        setting: the `Setting` of the classifier's training.
        data: its `Dataset`.
        split: its `MembershipSplit`, with reference records.
        seed: of weights and attacks.
        steps: folder of what is kept.
        latest: the classifier that was trained last, by its name: it may be asked for again.
    """

    setting: Setting
    data: object
    split: object
    seed: int
    steps: Path
    latest: dict = dataclasses.field(default_factory=dict, repr=False)

    def stamp(self, defence, strength, *, attacks=()):
        """What the figures of a training are of, and of which attacks."""
        defence = defence_of(defence)
        parts = (
            defence.name,
            defence.build,
            Task,
            strength,
            self.setting,
            self.split.members,
            self.split.reference,
        )
        return {"made_by": f"mpreg {mpreg.__version__}", "digest": digest_of(*parts, self.seed, *attacks)}

    @functools.cached_property
    def validation(self):
        """The split that defences are chosen by: one half of the reference records stands for the non-members."""
        return validation_part(self.split)

    def file(self, defence, strength, suffix):
        """The path of what is kept of a training."""
        return self.steps / f"{named(defence, strength).replace(' ', '_')}{suffix}"

    def train(self, defence, strength, split, *, seed=None):
        """A classifier trained on a split with a defence."""
        seed = self.seed if seed is None else seed
        return defence_of(defence).train(self.setting, self.data, split, seed=seed, strength=strength)


@dataclasses.dataclass(frozen=True)
class Trial:
    """A defence at a strength, and what came of it on the validation halves.

    Attributes:
        defence, strength: of the training; a strength of None is the usual one.
        point: its figures, a `Point`.
        seconds: of the training, and of the shadow models.
        adaptive: how many shadow models, trained with the same defence, the attacker had; 0 for none.
    """

    defence: str
    strength: float | None
    point: Point
    seconds: float
    adaptive: int = 0
    shadow_seconds: float = 0.0

    @property
    def name(self):
        """With the strength."""
        return named(self.defence, self.strength)

    @property
    def attack(self):
        """What is given away, and a standard error more, because figures that one chooses by flatter."""
        found = self.point.given_away
        return float(found) + (found.high - float(found)) / 2


def named(defence, strength):
    """A defence with its strength, as text."""
    return defence if strength is None else f"{defence} {strength:g}"


def tried(job, defence, strength):
    """The `Trial` of a defence by standard attacks, from its file where that is there."""
    path = job.file(defence, strength, ".json")
    stamp = job.stamp(defence, strength, attacks=suite("standard"))
    kept = read_kept(path, stamp)
    if kept is None:
        began = time.perf_counter()
        model = job.train(defence, strength, job.validation)
        seconds = time.perf_counter() - began
        job.latest.clear()
        job.latest[named(defence, strength)] = model
        consumes = defence_of(defence).consumes_reference
        report = mpreg.evaluate(model, job.validation, reference=consumes, seed=job.seed)
        kept = keep(path, {**report.to_dict(), "training_seconds": seconds}, stamp)
    return Trial(defence, strength, point_of(defence, strength, path), kept["training_seconds"])


def checked(job, trial, count, *, told=lambda words: None):
    """The `Trial` attacked by shadow models trained with its defence too, from its file where that is there.

    Args:
        job, trial: what is protected, and what was tried.
        count: number of shadow models.
        told: function that is told, in a few words, what is done.
    """
    path = job.file(trial.defence, trial.strength, ".adaptive.json")
    stamp = {**job.stamp(trial.defence, trial.strength, attacks=suite("strong")), "shadows": count}
    kept = read_kept(path, stamp)
    if kept is None:
        model = job.latest.get(trial.name)
        if model is None:  # of a run that was stopped
            model = job.train(trial.defence, trial.strength, job.validation)
        report = attacked(job, model, trial.defence, trial.strength, count, validation=True, told=told)
        kept = keep(path, report.to_dict(), stamp)
    return dataclasses.replace(
        trial,
        point=point_of(trial.defence, trial.strength, path),
        adaptive=count,
        shadow_seconds=kept["cost"]["shadow_seconds"],
    )


def point_of(defence, strength, path):
    """The `Point` in a file of figures."""
    return Point.read(dataclasses.make_dataclass("Named", ["defence", "strength"])(defence, strength), path)
