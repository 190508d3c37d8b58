"""One cell of a table of defences: trained, attacked, and kept as a file, so that a run that was stopped goes on."""

import dataclasses
import functools
import json
import os
import time
from pathlib import Path

import numpy as np

import mpreg
from mpreg.catalogue import DEFENCES, SETTINGS, setting_of
from mpreg.catalogue.networks import small_mlp


@functools.cache
def _warm_up():
    """Trains something, once a process, so that no cell pays for what a first training sets up."""
    model = small_mlp(features=2, classes=2, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.zeros((8, 2), np.float32), np.zeros(8, int), verbose=0)


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is trained and attacked.

    Attributes:
        dataset: a name in `SETTINGS`.
        defence: a name in `DEFENCES`.
        seed: seed of the split, the weights and the attacks.
        strength: of the defence; None is the usual one.
        epochs: of the training; None as in the setting.
        validation: whether the half of the reference records stands for the non-members.
    """

    dataset: str
    defence: str
    seed: int = 0
    strength: float | None = None
    epochs: int | None = None
    validation: bool = False

    @property
    def name(self):
        """Unique among cells, and fit for a file."""
        parts = [self.dataset, self.defence, None if self.strength is None else f"{self.strength:g}"]
        parts += [
            f"seed{self.seed}",
            self.epochs and f"{self.epochs}epochs",
            "validation" if self.validation else None,
        ]
        return "_".join(str(part) for part in parts if part)

    def make(self, folder):
        """The figures of the cell, from its file where that is there; it is written at once, or not at all."""
        path = Path(folder) / f"{self.name}.json"
        if path.exists():
            return json.loads(path.read_text("utf-8"))
        figures = self._measure()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(figures, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        unfinished.replace(path)
        return figures

    def _measure(self):
        defence = DEFENCES[self.defence]
        setting = setting_of(SETTINGS, self.dataset).but(epochs=self.epochs)
        data, split = setting.draw(self.seed, validation=self.validation)
        _warm_up()
        began = time.process_time()
        model = defence.train(setting, data, split, seed=self.seed, strength=self.strength)
        spent = time.process_time() - began
        report = mpreg.evaluate(model, split, reference=defence.consumes_reference, seed=self.seed)
        return {**dataclasses.asdict(self), "training_seconds": spent, "report": report.to_dict()}
