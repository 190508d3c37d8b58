"""Training on what screening keeps of the members and of the reference records."""

import dataclasses
import types

import mpreg
from mpreg.data import take


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """How records are screened ahead of a defence.

    Tables are scored by a logistic regression, images by the setting's own network, trained for few epochs.

    Attributes:
        share, least_probability: how many are left out, as for `mpreg.Screening`; 15 % where neither is given.
        most_of_a_class: bound of a class's share.
        folds: models that score, of tables and of images.
        epochs: share of the setting's epochs for which networks that score are trained.
    """

    share: float | None = None
    least_probability: float | None = None
    most_of_a_class: float = 0.5
    folds: tuple = (5, 2)
    epochs: float = 1 / 3

    def screening(self, task):
        """The `Screening` of a `Task`."""
        image = len(task.data.features.shape) == 4
        return mpreg.Screening(
            scorer=self._network(task) if image else None,
            share=USUAL_SHARE if self.share is None and self.least_probability is None else self.share,
            least_probability=self.least_probability,
            most_of_a_class=self.most_of_a_class,
            folds=self.folds[image],
            seed=task.seed,
        )

    def _network(self, task):
        epochs = max(1, round(self.epochs * task.setting.epochs))
        return mpreg.FleetScorer(
            task.build, epochs=epochs, batch_size=task.setting.batch_size, seed=task.seed
        )


USUAL_SHARE = 0.15


def train_on_kept(build, how, task, strength):
    """What `build` makes of a task whose members and reference records are screened first."""
    kept = {role: _kept(how, task, getattr(task.split, role)) for role in ("members", "reference")}
    split = types.SimpleNamespace(**kept, nonmembers=task.split.nonmembers)
    return build(dataclasses.replace(task, split=split), strength)


def _kept(how, task, pair):
    return None if pair is None else take(pair, how.screening(task).fit(*pair))
