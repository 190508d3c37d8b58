"""Trains a fleet in other processes or on other machines, as configured in joblib."""

import re

import joblib
import numpy as np
from joblib.parallel import get_active_backend

from mpreg.fleet.step import step_of
from mpreg.fleet.training import Trained, train
from mpreg.fleet.waves import cores

TASKS_A_WORKER = 4  # where results are kept as they come


def workers():
    """Returns the number of processes of the caller's `joblib.parallel_config`, and its backend; 1 without one.

    Raises:
        ValueError: the backend forks, which TensorFlow does not survive.
    """
    backend, _ = get_active_backend()
    name = re.match("[A-Z][a-z]*", type(backend).__name__).group().lower()
    if getattr(backend, "supports_sharedmem", False) or joblib.effective_n_jobs(None) == 1:
        return 1, name
    if name == "multiprocessing":
        raise ValueError(
            "TensorFlow cannot be used in forked processes. Choose another backend: joblib.parallel_config('loky')"
        )
    return joblib.effective_n_jobs(None), name


def results_of(function, calls, *, n_jobs=None):
    """Yields what a function returns for each tuple of arguments, in order, computed where joblib is configured to.

    Results come as they are made; where a backend gives them at the end alone, as Ray's does, a call for each of its
    workers at a time, so that what is made can be kept.

    Args:
        function, calls: what is called with each of the tuples.
        n_jobs: calls at a time; None as joblib is configured.
    """
    (backend, configured), tasks = get_active_backend(), [joblib.delayed(function)(*call) for call in calls]
    if backend.supports_return_generator:
        yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
        return
    count = joblib.effective_n_jobs(n_jobs or configured)
    for first in range(0, len(tasks), count):
        yield from joblib.Parallel(n_jobs=n_jobs)(tasks[first : first + count])


def train_in_processes(job, trained, *, count, name, advance, keep=None):
    """Trains as `train` does, with the remaining replicas divided among `count` workers."""
    left = np.flatnonzero(~trained.done)
    tasks = count * (TASKS_A_WORKER if keep else 1)
    parts = [part.tolist() for part in np.array_split(left, min(tasks, len(left)))] if len(left) else []
    # Dask's and Ray's workers may sit on other machines, whose cores are theirs.
    threads = max(1, cores() // count) if name == "loky" else None
    results = results_of(_train_part, [(job, part, threads) for part in parts])
    for part, result in zip(parts, results, strict=True):
        result.how = f"processes: {name}, {result.how}"
        trained.put(part, result)
        advance(f"loss {result.losses[:, -1].mean():.3f}", len(part) * job.epochs)
        if keep is not None:
            keep()


def _train_part(job, replicas, threads):
    """What a worker does: some replicas of the fleet, as `Trained` of them alone."""
    trained = Trained.empty(step_of(job.model(0)), len(job.rows), job.epochs)
    trained.done[np.setdiff1d(np.arange(len(job.rows)), replicas)] = True
    train(job, trained, threads=threads or cores(), advance=lambda *_: None)
    weights = tuple([array[replicas] for array in part] for part in trained.weights)
    return Trained(weights, trained.losses[replicas], trained.done[replicas], trained.how)
