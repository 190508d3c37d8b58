"""Many replicas of one Keras model, trained on many subsets of one data set."""

import numpy as np

from mpreg.data import check_count
from mpreg.fleet.answers import answer_all
from mpreg.fleet.checks import check_features, check_membership, check_model, check_records
from mpreg.fleet.job import Job, build
from mpreg.fleet.schedule import Schedule
from mpreg.fleet.training import Trained, train
from mpreg.fleet.waves import cores
from mpreg.progress import progress_bar

GIB = 2**30


class Fleet:
    def __init__(self, model_fn, n, *, seed=0, memory=2 * GIB):
        if not callable(model_fn):
            raise TypeError(f"model_fn must be a function that returns a compiled model. Received: {model_fn!r}")
        check_count("n", n, 1)
        check_count("seed", seed, 0)
        check_count("memory", memory, 1)
        self._model_fn, self._n, self._seed, self._memory = model_fn, int(n), int(seed), int(memory)
        self._trained = None

    def fit(self, x, y, *, membership, epochs, batch_size=128, verbose="auto", checkpoint=None):
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        x, y = check_records(x, y)
        membership = check_membership(membership, self._n, len(y))
        model = build(self._model_fn, self._seed)
        check_model(model, y)
        rows = [np.flatnonzero(own).astype(np.int32) for own in membership]
        schedule = Schedule.of([len(own) for own in rows], batch_size)
        job = Job(self._model_fn, self._seed, x, y, rows, schedule, epochs, self._memory)
        trained = Trained.empty(model, self._n, epochs)
        with progress_bar(f"fleet of {self._n}", self._n * epochs, hidden=verbose in (0, False)) as advance:
            train(job, trained, threads=cores(), advance=advance)
        self._model, self._trained = model, trained
        return self

    @property
    def how(self):
        return self._require().how

    @property
    def losses(self):
        return self._require().losses.copy()

    def predict(self, x, *, batch_size=512):
        trained = self._require()
        check_count("batch_size", batch_size, 1)
        return answer_all(self._model, trained.weights, check_features(x), batch_size=batch_size, memory=self._memory)

    def model(self, i):
        trained = self._require()
        model = build(self._model_fn, self._seed + i)
        for variables, arrays in zip(
            (model.trainable_variables, model.non_trainable_variables), trained.weights, strict=True
        ):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array[i])
        return model

    def _require(self):
        if self._trained is None:
            raise RuntimeError("the fleet is not trained yet: call fit first")
        return self._trained
