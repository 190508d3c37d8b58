"""The ledger of noisy steps: append-only, and saved with the model beside its weights."""

import contextlib
import dataclasses
import hashlib
import json
import secrets
import weakref

import numpy as np
import tensorflow as tf

from mpreg.private.accounting import Sampling, Segment
from mpreg.private.repeats import RepeatCounter

OUTSIDE = Sampling("arbitrary")  # a step outside of fit may see any record
_OF_TARGET: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class Ledger(tf.train.experimental.PythonState):
    """Records the noisy steps of a target by how their batches were drawn.

    No weight is part of it, so nothing that sets weights lowers it. Its entries are `Segment`s under random names, and
    only the ledger that opened an entry adds steps to it. What a file or a configuration holds can therefore be taken
    over as a union in which the larger number of steps counts: an earlier state of the same training adds nothing, and
    another training adds all of its steps. A copy goes on under names of its own.

    A file knows the steps up to when it was written. Training that a kill has ended counts up to the last backup: the
    steps since are lost together with the weights that they made.

    All ledgers of one target share what they know, so that wrapping it anew goes on with its history. TensorFlow's
    checkpoints hold it too.

    Args:
        noise_multiplier: of all steps that this ledger counts.
        target: the model whose weights they change.
    """

    def __init__(self, noise_multiplier, *, target):
        super().__init__()
        self.noise_multiplier = noise_multiplier
        self.sampling = OUTSIDE  # as it was opened; `charged` holds what was seen of repeats since
        self._entries, self._name, self._idle = {}, _new_name(), {}
        self._repeats = RepeatCounter()
        self._relatives = _OF_TARGET.setdefault(target, [])
        self._relatives.append(self)
        # Neither Keras nor a checkpoint tracks it here, so that nothing can set it back.
        with tf.init_scope():
            self._count = tf.Variable(0, dtype=tf.int64, trainable=False, name="noisy_steps")
        self._settled = 0

    def count(self):
        """Counts a step, inside the step and before anything is released.

        Returns:
            An int64 scalar tensor: a number that no other step of this ledger has.
        """
        return tf.identity(self._count.assign_add(1))

    def see(self, record, weights):
        """Counts equal rows in the batch of a step where nothing else reports them."""
        if self.sampling.repeats_unseen:
            self._repeats.see(record, weights)

    @contextlib.contextmanager
    def drawn(self, sampling):
        """Counts steps in the context as drawn by a sampling; contexts may be nested."""
        self._settle()
        outer, key = (self.sampling, self._name), (sampling, sampling.unit)
        self.sampling, self._name = sampling, self._idle.pop(key, None) or _new_name()
        self._repeats.clear()
        try:
            yield
        finally:
            self._settle()
            entry = self._entries.get(self._name)
            # Where it costs nothing, later steps go on in the same entry, or a thousand fits would make a thousand.
            whole = entry is None or entry.steps % (sampling.passes_in or 1) == 0
            if whole and not sampling.repeats_unseen:
                self._idle[key] = self._name
            self.sampling, self._name = outer
            self._repeats.clear()

    def drawn_outside(self):
        """Counts steps in the context as drawn outside of `fit`."""
        return contextlib.nullcontext() if self.sampling == OUTSIDE else self.drawn(OUTSIDE)

    @property
    def charged(self):
        """The current sampling, with the repeats seen so far."""
        self._settle()
        entry = self._entries.get(self._name)
        return self.sampling if entry is None else entry.sampling

    def history(self):
        """All noisy steps so far, a list of `Segment`s."""
        return list(self._known().values())

    @property
    def steps(self):
        """The number of noisy steps so far."""
        return sum(segment.steps for segment in self.history())

    @property
    def elsewhere(self):
        """Steps of other fits, files, wrappers and nested calls, which count separately from those in progress."""
        return sum(segment.steps for name, segment in self._known().items() if name != self._name)

    def _known(self):
        known = {}
        for relative in self._relatives:
            relative._settle()
            _unite(known, relative._entries)
        return known

    def _settle(self):
        """Books the steps since it was last called into the open entry."""
        count = int(self._count.numpy())
        if count > self._settled:
            sampling = self._repeats.charged(self.sampling)
            before = self._entries.get(self._name, Segment(sampling, self.noise_multiplier, 0))
            if before.sampling.copies > sampling.copies:
                sampling = before.sampling
            steps = before.steps + count - self._settled
            self._entries[self._name] = Segment(sampling, self.noise_multiplier, steps)
            self._settled = count

    def to_rows(self):
        """Returns the history as a list of dicts of plain values, for a configuration."""
        return [{"name": name, **dataclasses.asdict(segment)} for name, segment in self._known().items()]

    def take_over(self, rows):
        """Adds the rows of another ledger's `to_rows` that are not known yet."""
        self._settle()
        before = sum(segment.steps for segment in self._entries.values())
        _unite(self._entries, {row["name"]: _segment(row) for row in rows if row["steps"] > 0})
        gained = sum(segment.steps for segment in self._entries.values()) - before
        # With a seed, training that goes on from a file goes on in its noise too.
        self._count.assign_add(gained)
        self._settled += gained

    def serialize(self):
        """Returns the history as bytes."""
        return json.dumps({"steps": self.steps, "segments": self.to_rows()}).encode()

    def deserialize(self, saved):
        """Adds the history that `serialize` returned.

        Files from before entries had names get some that follow from all that they hold.
        """
        rows = json.loads(saved)["segments"]
        origin = hashlib.sha256(saved).hexdigest()[:16]
        self.take_over([{"name": f"{origin}-{at}", **row} for at, row in enumerate(rows)])

    def to_array(self):
        """Returns the history as an array for Keras to save beside the weights, uint8 (bytes,)."""
        return np.frombuffer(self.serialize(), dtype=np.uint8)

    def restore(self, array):
        """Adds the history that `to_array` returned."""
        self.deserialize(np.asarray(array, dtype=np.uint8).tobytes())


def _new_name():
    return secrets.token_hex(8)


def _segment(row):
    return Segment(Sampling(**row["sampling"]), row["noise_multiplier"], row["steps"])


def _unite(entries, more):
    for name, segment in more.items():
        if name not in entries or _extent(segment) > _extent(entries[name]):
            entries[name] = segment


def _extent(segment):
    return segment.steps, segment.sampling.copies  # neither ever falls
