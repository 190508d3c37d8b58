"""Trainings of a protection, attacked on validation halves and kept, so that one that was stopped goes on."""

import dataclasses
import time
from pathlib import Path

import mpreg
from mpreg.catalogue import Setting, Task, defence_of, digest_of
from mpreg.catalogue.setting import validation_part
from mpreg.recipes.studies.frontier import Point
from mpreg.recipes.studies.kept import keep, read_kept

MIN_SHADOWS, MAX_SHADOWS = 4, 16
FIRST_SEED = 9_000  # of shadow models, far from the target's own


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What is protected.

    Attributes:
        setting: the `Setting` of the classifier's training.
        data: its `Dataset`.
        split: its `MembershipSplit`, with reference records.
        seed: of weights and attacks.
        steps: folder of what is kept.
    """

    setting: Setting
    data: object
    split: object
    seed: int
    steps: Path

    def stamp(self, defence, strength):
        """What the figures of a training are of."""
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
        return {"made_by": f"mpreg {mpreg.__version__}", "digest": digest_of(*parts, self.seed)}

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
        seconds: of the training.
    """

    defence: str
    strength: float | None
    point: Point
    seconds: float

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
    """The `Trial` of a defence, from its file where that is there."""
    path, stamp = (
        job.steps / f"{named(defence, strength).replace(' ', '_')}.json",
        job.stamp(defence, strength),
    )
    kept = read_kept(path, stamp)
    if kept is None:
        split = validation_part(job.split)
        began = time.perf_counter()
        model = job.train(defence, strength, split)
        seconds = time.perf_counter() - began
        consumes = defence_of(defence).consumes_reference
        report = mpreg.evaluate(model, split, reference=consumes, seed=job.seed)
        kept = keep(path, {**report.to_dict(), "training_seconds": seconds}, stamp)
    cell = dataclasses.make_dataclass("Named", ["defence", "strength"])(defence, strength)
    return Trial(defence, strength, Point.read(cell, path), kept["training_seconds"])
