"""Many replicas of one Keras model, trained on many subsets of one data set."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from mpreg._deprecated import renamed_arguments
from mpreg._validate import check_count
from mpreg.data import flatten
from mpreg.fleet.answers import answer_all
from mpreg.fleet.checkpoint import Checkpoint, facts_of
from mpreg.fleet.checks import check_asked, check_features, check_membership, check_model, check_records
from mpreg.fleet.job import Job, build
from mpreg.fleet.processes import train_in_processes, workers
from mpreg.fleet.schedule import Schedule
from mpreg.fleet.step import step_of
from mpreg.fleet.training import Trained, train
from mpreg.fleet.waves import cores
from mpreg.progress import progress_bar

GIB = 2**30


class Fleet:
    """Trains replicas of one model, each on its own part of one data set, in one program.

    Each replica is trained as its own `fit` would train it: its initial weights and its dropout are those of
    `keras.utils.set_random_seed(seed + i)`, its records are shuffled anew each epoch, and its moving statistics and
    its optimizer's slots are its own. Where an operation of the model has no form for many replicas at once, they are
    trained one after the other by one program, and `how` names the operation. Inside
    `joblib.parallel_config(backend)` the replicas are dealt out to the workers of that backend.

    Where the replicas train on unequal numbers of records, a last batch that is not full is filled up with records of
    the same replica that count 0 in the loss: only what is taken over a batch, as in `BatchNormalization`, sees them.

    Args:
        build_fn: function without arguments that builds and compiles a Keras classifier, or a training defence around
            one: anew at each call, in a process whose Python, NumPy and Keras random seeds have just been set. An
            initializer with a seed of its own draws the same weights for all replicas.
        n: number of replicas.
        seed: non-negative integer. The same seed gives the same fleet.
        memory: bytes that training may take, about. Replicas beyond it wait for a later wave.

    Example:
    ```python
    membership = np.random.default_rng(0).random((16, len(x))) < 0.5
    fleet = mpreg.Fleet(build_and_compile, 16).fit(x, y, membership=membership, epochs=30)
    answers = fleet.predict(x)        # (16, records, classes)
    fleet.model(3).save("replica.keras")
    ```
    """

    @renamed_arguments(model_fn="build_fn")
    def __init__(self, build_fn: Callable[..., Any], n: int, *, seed: int = 0, memory: int = 2 * GIB):
        if not callable(build_fn) or isinstance(build_fn, keras.Model):
            raise TypeError(
                f"build_fn must be a function that returns a compiled model. Received: {build_fn!r}"
            )
        check_count("n", n, 1)
        check_count("seed", seed, 0)
        check_count("memory", memory, 1)
        self._build_fn, self._n, self._seed, self._memory = build_fn, int(n), int(seed), int(memory)
        self._trained = None

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        membership: Any,
        epochs: int,
        batch_size: int = 128,
        verbose: str | int = "auto",
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "Fleet":
        """Trains all replicas from their initial weights; returns the fleet.

        Args:
            x: records, one array or a dict, list or tuple of arrays, as the model takes them.
            y: labels, integer (records,) or one-hot (records, classes), as the model's loss takes them.
            membership: bool (n, records), which records each replica trains on.
            epochs: how often each replica sees its records.
            batch_size: records of a step.
            verbose: "auto" shows a progress bar where there is a terminal; 0 or False shows none.
            checkpoint: path of an `.npz` file, written every half minute and after each wave. If it is there, training
                goes on from it, and ends as if it had never stopped.

        Raises:
            TypeError: `build_fn` returns something other than a Keras model.
            ValueError: a replica without records, NaN or text features, labels out of the model's range, a model that
                is not compiled or not the same each time, an optimizer that cannot be run for each replica, a training
                step that is not Keras' own or a defence's (`DPSGD` has one), or a checkpoint of another fleet.
        """
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        x, y = check_records(x, y)
        membership = check_membership(membership, self._n, len(y))
        model = build(self._build_fn, self._seed)
        step = check_model(model, y)
        rows = [np.flatnonzero(own).astype(np.int32) for own in membership]
        schedule = Schedule.of([len(own) for own in rows], batch_size)
        job = Job(self._build_fn, self._seed, x, y, rows, schedule, int(epochs), self._memory)
        trained = Trained.empty(step, self._n, epochs)
        file = None if checkpoint is None else Checkpoint(checkpoint, facts_of(job, step, membership))
        wave = None if file is None else file.read(trained)
        if not trained.done.all():
            with progress_bar(
                f"fleet of {self._n}", self._n * epochs, hidden=verbose in (0, False)
            ) as advance:
                done = int(trained.done.sum()) * epochs + (len(wave.replicas) * wave.epoch if wave else 0)
                advance(steps=done)
                _train(job, trained, wave, file, advance)
        self._step, self._trained = step, trained
        return self

    @property
    def how(self) -> str:
        """How the replicas were trained: in one program, one by one and why, or in processes."""
        return self._require().how

    @property
    def losses(self) -> np.ndarray:
        """Mean loss of each replica in each epoch over its records, as in Keras' `History`, (n, epochs)."""
        return self._require().losses.copy()

    def predict(self, x: Any, *, asked: Any = None, batch_size: int = 512) -> np.ndarray:
        """Returns each replica's predictions for all records, float32 (n, records, outputs).

        Args:
            x: records, as `fit` takes them.
            asked: bool (n, records), which replica answers to which records, such as those that it was not trained
                on; all other answers are 0, and take no time. None asks all replicas about all records.
            batch_size: records at a time.

        Raises:
            ValueError: an `asked` of another shape or type.
        """
        trained = self._require()
        check_count("batch_size", batch_size, 1)
        x = check_features(x)
        if asked is not None:
            asked = check_asked(asked, self._n, len(flatten(x)[0]))
        options = {"asked": asked, "batch_size": batch_size, "memory": self._memory}
        return answer_all(self._step, trained.weights, x, **options)

    def model(self, i: int):
        """Returns replica `i` as a separate Keras model, compiled as `build_fn` compiles it.

        Raises:
            ValueError: there is no such replica.
        """
        trained = self._require()
        check_count("i", i, 0)
        if i >= self._n:
            raise ValueError(f"i must be below the number of replicas, {self._n}. Received: i={i}")
        model = build(self._build_fn, self._seed + i)
        step = step_of(model)
        for variables, arrays in zip((step.trainable, step.others), trained.weights, strict=True):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array[i])
        return model

    def _require(self):
        if self._trained is None:
            raise RuntimeError("the fleet is not trained yet: call fit first")
        return self._trained


def _train(job, trained, wave, file, advance):
    """Trains what is left, where the caller's joblib configuration says."""
    count, name = workers()
    if count > 1:
        keep = None if file is None else lambda: file.keep(trained)
        train_in_processes(job, trained, count=count, name=name, advance=advance, keep=keep)
    else:
        keep = None if file is None else lambda *under_way: file.keep(trained, *under_way)
        train(job, trained, threads=cores(), advance=advance, wave=wave, keep=keep)
