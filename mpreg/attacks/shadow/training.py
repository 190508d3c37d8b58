"""Trains shadow models as a fleet or one by one, and draws the records of each."""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mpreg import signals
from mpreg._deprecated import RenamedAttribute, renamed_arguments
from mpreg._validate import check_count, short_repr
from mpreg.attacks.shadow.models import ShadowModels
from mpreg.classifiers.like_target import read_recipe
from mpreg.data import label_indices, map_arrays
from mpreg.data.frames import TakesFrames, names_of, wants_frames

MIN_TURNS = 2  # shadow models that a record is in, and out of: one alone does not tell how models differ


class ShadowFleet:
    """Trains shadow models as replicas of one Keras model, in one program (`mpreg.Fleet`).

    Args:
        build_fn: function without arguments that returns a fresh compiled classifier, trained like the target: in its
            training defence, if it has one.
        count: number of shadow models, at least 2; 16 is where likelihood-ratio attacks begin to be strong.
        epochs, batch_size: of their training; use the target's.

    Attributes:
        notes: what readers of an attack's figures must know of it.

    Raises:
        ValueError: `count` below 2, `epochs` or `batch_size` below 1.

    Example:
    ```python
    shadows = mpreg.ShadowFleet(build_and_compile, count=16, epochs=30, batch_size=128)
    mpreg.evaluate(model, split, attacks="strong", shadows=shadows)
    ```
    """

    model_fn = RenamedAttribute("build_fn")

    @renamed_arguments(model_fn="build_fn")
    def __init__(self, build_fn: Callable[..., Any], *, count: int = 16, epochs: int, batch_size: int = 32):
        if not callable(build_fn):
            raise ValueError(
                f"build_fn must be a function that returns a compiled model. Received: {short_repr(build_fn)}"
            )
        check_count("count", count, 2)
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        self.build_fn, self.count, self.epochs, self.batch_size = build_fn, count, epochs, batch_size
        self.notes = ()

    @classmethod
    def like(cls, model: Any, *, members: Any, count: int = 16) -> "ShadowFleet":
        """Returns a `ShadowFleet` configured like a Keras model that was compiled and fitted in this process.

        Layers, optimizer, loss, epochs, batch size and the learning rates of the epochs are the target's, and so are
        the weights of frozen layers and the state of adapted ones; other first weights are not, nor are callbacks. The
        fleet's `notes` say what could not be read, and reports repeat them.

        Args:
            model: the target.
            members: number of records it was fitted on.
            count: number of shadow models.

        Raises:
            ValueError: the model does not tell how it was trained, or was trained with `AdversarialTraining`: attack
                that by a `ShadowTraining`.
        """
        recipe = read_recipe(model, members)
        fleet = cls(recipe.build_fn, count=count, epochs=recipe.epochs, batch_size=recipe.batch_size)
        fleet.notes = recipe.notes
        return fleet

    def train(self, x: Any, y: Any, *, membership: Any, seed: int = 0) -> ShadowModels:
        """Trains and returns `ShadowModels` on the records `x`, `y`, model i where `membership[i]` is True."""
        from mpreg.fleet import Fleet  # not needed, and not imported, for attacks without shadow models

        started = time.perf_counter()
        fleet = Fleet(self.build_fn, self.count, seed=seed)
        fleet.fit(x, y, membership=membership, epochs=self.epochs, batch_size=self.batch_size)
        seconds = time.perf_counter() - started
        return ShadowModels(
            membership, fleet.predict(x), y, query=fleet.predict, seconds=seconds, how=str(fleet.how)
        )


class ShadowTraining:
    """Trains shadow models one by one with a function, which may apply the target's defence.

    Args:
        train: function `(x, y, seed)` that returns a model fitted on these records as the target was, defence
            included; anything that `evaluate` takes.
        count: number of shadow models, at least 2.

    Raises:
        ValueError: `count` below 2, or `train` is no function.

    Example:
    ```python
    def train(x, y, seed):
        model = mpreg.AdversarialRegularization(build(seed), split.reference, seed=seed)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=30, verbose=0)
        return model

    mpreg.evaluate(model, split, attacks="strong", shadows=mpreg.ShadowTraining(train, count=16))
    ```
    """

    def __init__(self, train: Any, *, count: int = 16):
        if not callable(train):
            raise ValueError(f"train must be a function (x, y, seed) -> model. Received: {short_repr(train)}")
        check_count("count", count, 2)
        self._train, self.count = train, count

    def train(self, x: Any, y: Any, *, membership: Any, seed: int = 0) -> ShadowModels:
        """Trains and returns `ShadowModels` on the records `x`, `y`, model i where `membership[i]` is True."""
        started = time.perf_counter()
        classes = 1 + int(label_indices(y).max())
        models = []
        for index, chosen in enumerate(membership):
            part = map_arrays(lambda array, rows=chosen: array[rows], x)
            model, names = self._train(part, y[chosen], seed + index), names_of(x)
            models.append(TakesFrames(model, names) if wants_frames(model, names, x) else model)
        seconds = time.perf_counter() - started

        def query(records):
            return np.stack(
                [np.asarray(signals.predict(model, records, classes=classes)) for model in models]
            )

        return ShadowModels(membership, query(x), y, query=query, seconds=seconds, how="one by one")


def draw_membership(count: int, records: Any, members: Any, *, seed: int = 0) -> np.ndarray:
    """Draws which records each shadow model is trained on, bool (count, records).

    All are trained on as many records as the target, where every record is then in two of them and out of two: with 16
    models, from an eighth of the pool to seven eighths, and with 4, on half. Each record is in as many as any other,
    give or take one: the balanced draw that the online likelihood-ratio attack wants (Carlini et al., S&P 2022,
    section V-A, where it is half of the pool).

    The target's size counts for more than many turns. 400 members of 4,000 records of location30, 16 shadow models of
    400 (one or two turns a record), 500 and 1,000 records, AUC: relative likelihood .998 each, threshold per record
    .997, .997 and .993, likelihood ratio .996, .997 and .997, offline .993, .990 and .971.

    Args:
        count: number of shadow models, at least 2; with fewer than 4, a record is in one of them or out of one.
        records: size of the pool, at least 2.
        members: records that the target was trained on.
        seed: of the draw.

    Raises:
        ValueError: `count` or `records` below 2.

    Example:
    ```python
    draw_membership(16, len(x), len(split.members[1])).mean(axis=0)
    ```
    """
    check_count("count", count, 2)
    check_count("records", records, 2)
    # Rounded up, so that no record is left out by all.
    low = math.ceil(min(0.5, MIN_TURNS / count) * records)
    size = min(max(members, low), max(low, records - low))
    rng = np.random.default_rng(seed)
    membership = np.zeros((count, records), bool)
    waiting = rng.permutation(records)
    for row in membership:
        row[waiting[:size]] = True
        waiting = waiting[size:]
        missing = size - row.sum()
        if missing:
            fresh = rng.permutation(records)
            fresh = np.concatenate([fresh[~row[fresh]], fresh[row[fresh]]])  # no record twice in one model
            row[fresh[:missing]] = True
            waiting = fresh[missing:]
    membership[-1, membership.all(axis=0)] = False  # two models cannot share an odd number of records evenly
    return membership
