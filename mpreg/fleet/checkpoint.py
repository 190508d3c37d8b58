"""Checkpoints of a fleet in one file of arrays and text; loading it runs no code."""

import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from mpreg.data import flatten
from mpreg.datasets.archives import most_bytes, read_npz
from mpreg.fleet.configuration import configuration
from mpreg.fleet.job import build, values
from mpreg.fleet.step import step_of
from mpreg.fleet.training import Wave

SECONDS_BETWEEN = 30  # between two writings, but for the end of a wave


class Checkpoint:
    """Saves and restores the trained part of a fleet.

    Args:
        path: the file, `.npz`.
        facts: what must agree between the fleet that wrote it and the one that reads it, by name.
    """

    def __init__(self, path, facts):
        self._path, self._facts, self._written = Path(path), facts, time.monotonic()
        if not self._path.parent.is_dir():
            raise ValueError(
                f"the folder of the checkpoint does not exist. Received: checkpoint={str(path)!r}"
            )

    def read(self, trained):
        """Fills `trained` from the file, if there is one; returns the wave in progress, or None.

        Raises:
            ValueError: it is no checkpoint, or that of another fleet.
        """
        if not self._path.exists():
            return None
        try:
            held = read_npz(self._path, max_bytes=most_bytes())
            facts = json.loads(str(held["facts"]))
            missing = {"losses", "done", "how"} - set(held)
            if missing or not isinstance(facts, dict):
                raise ValueError(f"it lacks {', '.join(sorted(missing)) or 'facts'}")
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self._path} is not a checkpoint of a fleet. Name a new file, or delete it"
            ) from error
        other = sorted(name for name in {*facts, *self._facts} if facts.get(name) != self._facts.get(name))
        if other:
            raise ValueError(
                f"{self._path} is the checkpoint of another fleet: {', '.join(other)} differ. Name a new file, or "
                "delete it to start anew"
            )
        trained.losses[:], trained.done[:], trained.how = held["losses"], held["done"], str(held["how"])
        _fill(trained.weights, held, "weights")
        if "wave" not in held:
            return None
        count = 0
        while f"state_{count}" in held:
            count += 1
        return Wave(held["wave"].tolist(), int(held["epoch"]), [held[f"state_{at}"] for at in range(count)])

    def keep(self, trained, wave=None, gather=None):
        """Saves, unless it has recently; `gather()` returns the state of a wave in progress."""
        if wave is not None and time.monotonic() - self._written < SECONDS_BETWEEN:
            return
        held = {
            "facts": json.dumps(self._facts),
            "losses": trained.losses,
            "done": trained.done,
            "how": trained.how,
            **{f"weights_{at}": array for at, array in enumerate(tf.nest.flatten(trained.weights))},
        }
        if wave is not None:
            state = tf.nest.flatten(gather())
            held |= {"wave": np.array(wave.replicas), "epoch": wave.epoch}
            held |= {f"state_{at}": array for at, array in enumerate(state)}
        self._write(held)
        self._written = time.monotonic()

    def _write(self, held):
        # A file is replaced whole, so that a cut in power leaves the last one.
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=".part", delete=False) as file:
            try:
                np.savez(file, **held)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                os.unlink(file.name)
                raise
        os.replace(file.name, self._path)


def facts_of(job, step, membership):
    """Returns the facts in which a checkpoint must agree with the job, whose models have this `Step`."""
    return {
        "number of replicas": len(job.rows),
        "seed": job.seed,
        "epochs": job.epochs,
        "batch_size": job.schedule.batch,
        "membership": _digest([np.packbits(membership)]),
        "records": _digest([*flatten(job.x), job.y]),
        "model": _digest([np.frombuffer(configuration(step.model).encode(), np.uint8)]),
        "first weights": _digest(_first_values(job)),
        **({"reference records": _digest(step.records)} if step.records else {}),
    }


def _first_values(job):
    step = step_of(build(job.build_fn, 0))  # another seed is named among the facts
    return values([*step.trainable, *step.others])


def _digest(arrays):
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _fill(weights, held, name):
    for at, array in enumerate(tf.nest.flatten(weights)):
        array[:] = held[f"{name}_{at}"]
