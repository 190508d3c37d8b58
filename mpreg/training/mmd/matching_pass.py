"""A pass over the members between two epochs that only reduces the discrepancy, and its condition."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.classifiers.calling import predict_batch, predict_without_side_effects
from mpreg.classifiers.tensors import one_hot_labels
from mpreg.data import map_arrays, take
from mpreg.training.core.reference import to_tensor

MEASURED = 4096  # records on which an accuracy is measured
AT_ONCE = 512  # of them in one pass


class MatchingPass(keras.callbacks.Callback):
    """Runs a pass at the start of an epoch if the condition held at the end of the one before.

    At the beginning, not at the end: what validates, saves or stops at the end of an epoch sees the weights that it
    keeps, and no pass follows the last epoch, as in the authors' code.

    Args:
        part: the `Discrepancy`.
        members: the `Members` given to fit.
    """

    def __init__(self, part, members):
        super().__init__()
        self.part, self._members = part, members
        self._measured = self._batches = None

    def on_train_begin(self, logs=None):
        x, y = self._members(MEASURED if self.part.gap else 1)
        self._measured = keras.tree.map_structure(to_tensor, x), y

    def on_epoch_begin(self, epoch, logs=None):
        part = self.part
        charged = float(part.charging.numpy()) * float(part.strength.numpy()) > 0
        part.charged.update_state(float(charged))
        if not charged:
            return
        if self._batches is None:
            self._batches = SortedBatches(self.model, part.classes, *self._members.all())
        step = part.step_of(self.model)
        for batch in self._batches:
            step(*batch)

    def on_epoch_end(self, epoch, logs=None):
        part = self.part
        apart = 0.0
        if part.gap:
            sides = self._measured, part.reference.some(MEASURED)
            members, reference = (accuracy(self.model, *records) for records in sides)
            apart = abs(members - reference)
        part.charging.assign(float(apart >= part.gap))


class SortedBatches:
    """Yields batches of members sorted by class, so that most batches hold few classes.

    Args:
        model: the training defence.
        classes: number of classes.
        records: the members, `(x, y)`.
        size: records a batch; the last one is filled up with records that are not present.
    """

    def __init__(self, model, classes, records, size):
        x, y = records
        self._x, self._size = x, min(size, len(y))
        self._classes = _classes_of(model, classes, x, y)
        self._order = np.argsort(self._classes, kind="stable")

    def __iter__(self):
        """Yields `(x, classes, present)`, as a `MatchingStep` takes them."""
        for start in range(0, len(self._order), self._size):
            rows = self._order[start : start + self._size]
            present = np.float32(np.arange(self._size) < len(rows))
            rows = np.resize(rows, self._size)
            x = keras.tree.map_structure(to_tensor, map_arrays(lambda array, rows=rows: array[rows], self._x))
            yield x, tf.constant(self._classes[rows]), tf.constant(present)


def _classes_of(model, classes, x, y):
    """The class of each record, int32 (n,), of labels as fit is given them."""
    first, _ = take((x, y), slice(1))
    answers = predict_without_side_effects(
        model.target_model, keras.tree.map_structure(to_tensor, first), training=False
    )
    labels = model.true_labels(tf.convert_to_tensor(y), answers)
    return np.argmax(one_hot_labels(labels, classes), axis=1).astype(np.int32)


def accuracy(model, x, y):
    """Returns the accuracy of a training defence's target, with labels as passed to fit or plain ones."""
    # Keras' predict sets up a pipeline each time, which takes longer than these passes.
    starts = range(0, len(y), AT_ONCE)
    parts = [keras.tree.map_structure(lambda a, at=at: a[at : at + AT_ONCE], x) for at in starts]
    answers = np.concatenate([predict_batch(model, part) for part in parts])
    batch = model.read(x, tf.convert_to_tensor(y), answers)
    right = np.argmax(batch.log_probabilities, axis=1) == np.argmax(batch.one_hot, axis=1)
    return float(np.mean(right))
