"""Training on what screening keeps of the members and of the reference records.

How the usual ways were chosen: on tables, the regression, its threshold and the bound of a class by canaries (wrong
labels, twins, out of distribution) planted among the members of location30's splits 0 and 1: 87 to 93 % are left
out, and 8 % of clean members. Looks at digits and purchase100-like, split 0, agree (90 % or more, and 4 % of clean
ones). Of images a share, because no probability of a network that saw few records for few epochs is sure of much.

A defence with a guarantee is screened by reference records alone. The same threshold then leaves out 86 to 98 % of such
canaries on location30's splits 13 and 14, and 6 to 9 % of the others. Of images, a network that reference records have
taught leaves out 63 % of wrong labels and 18 % of the others at half the probability of a guess (cifar10, split 13).
"""

import dataclasses
import functools
import types

import numpy as np

import mpreg
from mpreg.data import group_records, label_indices, map_arrays, take

TIMES_CHANCE = 2.0  # records less plausible than so many times a guess are left out,
MAX_PROBABILITY = 0.25  # of two or three classes, those below this
SHARE_OF_IMAGES = 0.15
TIMES_CHANCE_OF_IMAGES = 0.5  # where reference records alone score them


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScreeningOptions:
    """How records are screened ahead of a defence.

    Tables are scored by a logistic regression, images by the setting's own network, trained for few epochs. Classes
    with fewer records than folds are kept whole, for no model can tell what is plausible in them.

    Attributes:
        share, least_probability: which are left out, as for `mpreg.Screening`. Where neither is given: on tables, those
            of less than twice the probability of a guess, at most .25; of images, 15 %.
        most_of_a_class: bound of a class's share.
        folds: models that score tables, and images.
        epochs: share of the setting's epochs for which networks that score are trained.
    """

    share: float | None = None
    least_probability: float | None = None
    most_of_a_class: float = 0.3
    folds: tuple = (5, 2)
    epochs: float = 1 / 3

    def screening(self, task):
        """The `Screening` of a `Task`."""
        image, share, least = _is_image(task), self.share, self.least_probability
        if share is None and least is None:
            share = SHARE_OF_IMAGES if image else None
            least = None if image else _times_chance(task, TIMES_CHANCE)
        return mpreg.Screening(
            scorer=self._network(task) if image else None,
            share=share,
            least_probability=least,
            most_of_a_class=self.most_of_a_class,
            folds=self.folds[image],
            seed=task.seed,
        )

    def screened_split(self, task):
        """What is kept of the members and of the reference records of a `Task`, each screened by themselves."""
        split = task.split
        kept = {role: _kept(self.screening(task), getattr(split, role)) for role in ("members", "reference")}
        return types.SimpleNamespace(**kept, nonmembers=split.nonmembers)

    def _network(self, task):
        epochs = max(1, round(self.epochs * task.setting.epochs))
        return mpreg.FleetScorer(
            task.build, epochs=epochs, batch_size=task.setting.batch_size, seed=task.seed
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicScreeningOptions:
    """How members are screened by reference records, ahead of a defence with a guarantee, which survives that.

    Attributes:
        least_probability: as for `mpreg.PublicScreening`. Where it is not given: on tables, twice the probability of a
            guess, at most .25; of images, half of it, by the setting's own network.
        epochs: share of the setting's epochs for which reference records teach that network.
    """

    least_probability: float | None = None
    epochs: float = 1 / 3

    def screening(self, task):
        """The `PublicScreening` of a `Task`."""
        image = _is_image(task)
        least, scorer = self.least_probability, None
        if least is None:
            least = _times_chance(task, TIMES_CHANCE_OF_IMAGES if image else TIMES_CHANCE)
        if image:
            scorer = functools.partial(taught_by_reference(task, epochs=self.epochs).predict, verbose=0)
        return mpreg.PublicScreening(task.split.reference, least_probability=least, scorer=scorer)

    def screened_split(self, task):
        """What is kept of the members of a `Task`, beside all its reference records."""
        split = task.split
        members = take(split.members, self.screening(task).fit(*split.members))
        return types.SimpleNamespace(members=members, reference=split.reference, nonmembers=split.nonmembers)


def taught_by_reference(task, *, epochs):
    """The setting's classifier, trained on the reference records for a share of the setting's epochs."""
    public = types.SimpleNamespace(members=task.split.reference)
    return dataclasses.replace(task, split=public).fit(
        task.build_model(), epochs=max(1, round(epochs * task.setting.epochs))
    )


def train_on_kept(build, how, task, strength):
    """What `build` makes of a task whose records are screened first; `how` are the options of either screening."""
    return build(dataclasses.replace(task, split=how.screened_split(task)), strength)


def screened_rows(screening, pair, *, left_out=False):
    """The rows of records `(x, y)` that are kept, or those that are not, int64, ascending."""
    x, y = pair
    labels = label_indices(y)
    different = labels[np.unique(group_records(x), return_index=True)[1]]
    common = np.bincount(different, minlength=labels.max() + 1)[labels] >= screening.folds
    kept = np.ones(len(labels), bool)
    if len(np.unique(labels[common])) > 1:
        rows = np.flatnonzero(common)
        screening.fit(map_arrays(lambda array: array[rows], x), y[rows])
        kept[rows[screening.left_out_]] = False
    return np.flatnonzero(~kept if left_out else kept)


def _kept(screening, pair):
    return None if pair is None else take(pair, screened_rows(screening, pair))


def _is_image(task):
    return len(task.data.features.shape) == 4


def _times_chance(task, times):
    return min(times / task.data.classes, MAX_PROBABILITY)
