"""Shadow models of a defence trained together in a fleet, where all that it trains is one model."""

import dataclasses
import random

import keras
import numpy as np

from mpreg.catalogue import Task
from mpreg.data import map_arrays, take
from mpreg.fleet import Fleet
from mpreg.fleet.job import build

# Rows whose training is one fit that a fleet can take over. Others would be run in vain to find out.
OF_ONE_FIT = (
    "advreg",
    "advreg-l2",
    "ccl",
    "confidence-penalty",
    "dropout",
    "hamp",
    "l2",
    "label-smoothing",
    "mixup",
    "mixup-mmd",
    "mmd",
    "relaxloss",
)


class _Fitted(Exception):
    """Ends a defence where it would fit its model: holds that, compiled, and its epochs."""

    def __init__(self, model, epochs):
        super().__init__()
        self.model, self.epochs = model, epochs


class CannotTrainTogether(Exception):
    """Is raised for a defence whose shadow models a fleet does not train as the defence trains one."""


@dataclasses.dataclass(frozen=True)
class _UntilFit(Task):
    """A task that ends with `_Fitted`; `known` is the split that the defence was given."""

    known: object = None

    def fit(self, model, *, epochs=None, callbacks=(), **options):
        if callbacks or options or self.split is not self.known:
            raise CannotTrainTogether
        raise _Fitted(self.setting.compile(model), epochs or self.setting.epochs)

    def trained(self, wrap=None):
        if wrap is None:
            raise CannotTrainTogether  # it shares the undefended classifier with other defences
        return super().trained(wrap)


@dataclasses.dataclass(frozen=True)
class _AfterFit(Task):
    """A task whose first fit puts the weights of a trained replica into the model."""

    replicas: list = dataclasses.field(default_factory=list)

    def fit(self, model, **options):
        if not self.replicas:
            return super().fit(model, **options)
        replica = self.replicas.pop()
        self.setting.compile(model)
        _target(model).set_weights(_target(replica).get_weights())
        return model


class DefendedFleet:
    """Trains shadow models with a defence: for `KeptShadows(together=...)`.

    A defence qualifies if it is of `OF_ONE_FIT`, the model that it fits is fitted on the members as they are, without
    callbacks, and `mpreg.Fleet` takes it. What the defence does with the fitted model afterwards is done for each.
    Models are as those that `Defence.train` gives for the same records and seed, but for the order of the records.

    Args:
        defence: a `mpreg.catalogue.Defence`.
        setting, data: as for `Defence.train`.
        split_of: function `(x, y)` that returns the split of which these are the members.
        first_seed: added to the seeds of the shadow models.
        strength: of the defence; None is the usual one.

    Example:
    ```python
    together = DefendedFleet(defence_of("advreg"), setting, data, split_of, first_seed=7_000)
    for model in together(x, y, membership, seeds):
        ...
    ```
    """

    def __init__(self, defence, setting, data, split_of, *, first_seed, strength=None):
        self._defence, self._setting, self._data, self._split_of = defence, setting, data, split_of
        self._first_seed = first_seed
        self._strength = defence.strength_for(setting.dataset) if strength is None else strength

    def __call__(self, x, y, membership, seeds):
        """Yields one model after the other, trained where its row of `membership` is True.

        Args:
            x, y: all records.
            membership: bool (models, records).
            seeds: of the models.

        Raises:
            CannotTrainTogether: the defence does not qualify.
        """
        if self._defence.name not in OF_ONE_FIT:
            raise CannotTrainTogether
        first, count = seeds[0], len(seeds)
        # A fleet sets a seed ahead of each build, and says no more: a first draw tells which one it is.
        drawn = {build(_first_draw, first + replica): replica for replica in range(count)}

        def task(kind, replica, **options):
            split = self._split_of(*take((x, y), membership[replica]))
            return kind(self._setting, self._data, split, self._first_seed + seeds[replica], **options)

        def build_fn():
            return self._run(task(_UntilFit, drawn[_first_draw()])).model

        epochs = self._run(task(_UntilFit, 0)).epochs
        try:
            fleet = Fleet(build_fn, count, seed=first).fit(
                map_arrays(lambda array: np.asarray(array, np.float32), x),
                y,
                membership=membership,
                epochs=epochs,
                batch_size=self._setting.batch_size,
                verbose=0,
            )
        except ValueError as error:  # a fleet says at the door what it cannot train
            raise CannotTrainTogether from error
        for replica in range(count):
            after = task(_AfterFit, replica, replicas=[fleet.model(replica)])
            keras.utils.set_random_seed(after.seed)
            yield self._defence.build(after, self._strength)

    def _run(self, task):
        """The `_Fitted` of a defence."""
        keras.utils.set_random_seed(task.seed)
        task = dataclasses.replace(task, known=task.split)
        try:
            self._defence.build(task, self._strength)
        except _Fitted as fitted:
            return fitted
        raise CannotTrainTogether  # it fits nothing by itself


def _first_draw():
    return random.randrange(2**62)


def _target(model):
    return getattr(model, "target_model", model)
