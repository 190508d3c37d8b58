"""The work of a fleet, in a form that can be sent to other processes."""

import dataclasses
import random
from collections.abc import Callable

import keras
import numpy as np

from mpreg.fleet.schedule import Schedule, epoch_order, lay_out


@dataclasses.dataclass(frozen=True)
class Job:
    """Describes the replicas of a model, and the records that each trains on.

    Attributes:
        build_fn: function without arguments that returns a compiled model.
        seed: replica i draws from `seed + i`.
        x, y: all records.
        rows: for each replica the indices of its records.
        schedule: the shapes of an epoch.
        epochs: how often each replica sees its records.
        memory: bytes that may be taken at once.
    """

    build_fn: Callable
    seed: int
    x: object
    y: np.ndarray
    rows: list
    schedule: Schedule
    epochs: int
    memory: int

    def model(self, replica):
        """Returns a replica's untrained model."""
        return build(self.build_fn, self.seed + replica)

    def batches(self, replicas, epoch):
        """Returns the batches of an epoch of some replicas, as `lay_out` does."""
        orders = [
            epoch_order(self.rows[replica], seed=self.seed, replica=replica, epoch=epoch)
            for replica in replicas
        ]
        return lay_out(self.schedule, orders)


def build(build_fn, seed):
    """Builds a model under a seed, without affecting Python's and NumPy's random state."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        keras.utils.set_random_seed(seed)
        return build_fn()
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def values(variables):
    """Returns the values of variables as arrays."""
    return [np.array(variable) for variable in variables]
