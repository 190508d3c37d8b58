"""One cell of a table of defences: trained, attacked, and kept as a file, so that a run that was stopped goes on."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

import mpreg
from mpreg.attacks import suite
from mpreg.catalogue import SETTINGS, defence_of, setting_of
from mpreg.catalogue.networks import small_mlp
from mpreg.recipes.studies.adaptive import attack, read_canaries
from mpreg.recipes.studies.graphs import graphs_let_go
from mpreg.recipes.studies.kept import keep, read_kept, stamp_of


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
        epochs: of plain training, by which those of defences go; None as in the setting.
        validation: whether the half of the reference records stands for the non-members.
        attacks: keys of attacks beside those of the suite.
        shadows: number of shadow models, trained with the same defence, for the strong suite; 0 for the standard one.
        canaries: `"KIND:COUNT"` of those that are planted on either side (`mpreg.plant_canaries`); empty for none.
    """

    dataset: str
    defence: str
    seed: int = 0
    strength: float | None = None
    epochs: int | None = None
    validation: bool = False
    attacks: tuple = ()
    shadows: int = 0
    canaries: str = ""

    @property
    def name(self):
        """Unique among cells, and fit for a file."""
        return "_".join([self.shadows_name, *self.attacks])

    @property
    def shadows_name(self):
        """The same without the attacks: cells that differ in nothing else share their shadow models."""
        parts = [
            self.dataset,
            self.defence,
            None if self.strength is None else f"{self.strength:g}",
            f"seed{self.seed}",
            self.epochs and f"{self.epochs}epochs",
            "validation" if self.validation else None,
            self.shadows and f"{self.shadows}shadows",
            self.canaries.replace(":", ""),
        ]
        return "_".join(str(part) for part in parts if part)

    @property
    def setting(self):
        """The `Setting`, with the cell's own epochs."""
        return setting_of(SETTINGS, self.dataset).replace(epochs=self.epochs)

    @property
    def suite(self):
        """The attacks, as `mpreg.evaluate` takes them."""
        name = "strong" if self.shadows else "standard"
        return [name, *self.attacks] if self.attacks else name

    def draw(self):
        """The data and the split, canaries planted."""
        data, split = self.setting.draw(self.seed, validation=self.validation)
        if not self.canaries:
            return data, split
        kind, count = read_canaries(self.canaries)
        return data, mpreg.plant_canaries(split, count, kind, seed=self.seed)

    def stamp(self):
        """What the figures are of, as kept beside them."""
        return stamp_of(
            defence_of(self.defence), self.setting, strength=self.strength, attacks=suite(self.suite)
        )

    def kept(self, folder):
        """The figures in the folder; None where there are none, or none of today's defence, which it says."""
        return read_kept(self._path(folder), self.stamp())

    def make(self, folder):
        """The figures of the cell, from its file where that is there; it is written at once, or not at all."""
        kept = self.kept(folder)
        return self.make_anew(folder) if kept is None else kept

    def make_anew(self, folder, *, said=lambda words: None):
        """The figures of the cell, measured, and kept in its file.

        Args:
            folder: of the file; what shadow models answer is kept beneath it, in `shadows`.
            said: function that is told, in a few words, what is done.
        """
        stamp = self.stamp()
        with graphs_let_go():
            figures = (
                self._measure_adaptively(Path(folder) / "shadows", said) if self.shadows else self._measure()
            )
        return keep(self._path(folder), figures, stamp)

    def _path(self, folder):
        return Path(folder) / f"{self.name}.json"

    def _measure(self):
        return self._measure_adaptively(None, lambda words: None)

    def _measure_adaptively(self, folder, said):
        _warm_up()
        found = attack(self, folder, said=said)
        return {
            **dataclasses.asdict(self),
            "training_seconds": found.processor_seconds,
            "training_wall_seconds": found.wall_seconds,
            "report": found.report.to_dict(),
        }
