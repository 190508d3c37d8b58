"""Sources of reference records: arrays on the device, or a `tf.data` pipeline."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.data import check_pair, is_batched, label_indices


def open_reference(reference, batch_size):
    """Returns the source for arrays `(x, y)` or a `tf.data.Dataset`, drawn `batch_size` records at a time."""
    if isinstance(reference, tf.data.Dataset):
        return DatasetReference(reference, batch_size)
    return ArrayReference(reference, batch_size)


class ArrayReference:
    """Holds reference records as tensors; each step draws a batch with replacement."""

    def __init__(self, reference, batch_size):
        x, y = check_pair(reference, "reference")
        self._size = min(batch_size, len(y))
        self._records = len(y)
        self._x = keras.tree.map_structure(to_tensor, x)
        self._y = tf.convert_to_tensor(y)
        self._labels = y

    def check_classes(self, classes):
        """Raises a `ValueError` where a label names a class that the target does not have."""
        _check_label_width(self._labels.shape, classes)
        label_indices(self._labels, classes=classes, role="reference")

    def first(self):
        """Returns one record's features, with a batch axis of 1."""
        return keras.tree.map_structure(lambda x: x[:1], self._x)

    def batch(self, step, seed):
        """Returns the batch `(x, y)` numbered `step`: the same number and seed give the same records."""
        rows = tf.random.stateless_uniform(
            (self._size,), seed=[seed, tf.cast(step, tf.int32)], maxval=self._records, dtype=tf.int32
        )
        return keras.tree.map_structure(lambda x: tf.gather(x, rows), self._x), tf.gather(self._y, rows)

    @property
    def records(self):
        """Returns all records, a pair `(x, y)` of arrays."""
        return keras.tree.map_structure(lambda x: x.numpy(), self._x), self._labels

    def refill(self, batches):
        """Does nothing: all records are on the device."""


class DatasetReference:
    """Reads reference records from a pipeline, such as augmented images, repeating and batching it.

    A compiled step cannot pull from an iterator (XLA refuses), so batches wait in variables, one row for each
    draw of the next execution, and are refilled from Python between executions.
    """

    def __init__(self, dataset, batch_size):
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) != 2:
            raise ValueError(f"a reference dataset must yield pairs (x, y). Received elements: {spec}")
        if dataset.cardinality() == 0:
            raise ValueError("reference is empty: the dataset yields no record")
        repeated = dataset.repeat()
        repeated = repeated.rebatch(batch_size) if is_batched(dataset) else repeated.batch(batch_size)
        self._iterator = iter(repeated.prefetch(tf.data.AUTOTUNE))
        self._rows = None
        try:
            self.refill(1)
        except StopIteration:  # a filter, for example, hides from the cardinality that nothing is left
            raise ValueError("reference is empty: the dataset yields no record") from None

    def check_classes(self, classes):
        """Raises a `ValueError` where the first batch names a class that the target does not have."""
        labels = self._rows[1][0].numpy()
        _check_label_width(labels.shape, classes)
        label_indices(labels, classes=classes, role="reference")

    def first(self):
        """Returns one record's features, with a batch axis of 1."""
        return keras.tree.map_structure(lambda rows: rows[0, :1], self._rows[0])

    def batch(self, step, seed):
        """Returns the batch `(x, y)` of one draw; the pipeline has its own order and seed."""
        del seed
        row = tf.cast(step, tf.int32) % tf.shape(self._rows[1])[0]
        return keras.tree.map_structure(lambda rows: rows[row], self._rows)

    def refill(self, batches):
        """Fetches the batches of the next execution."""
        drawn = [next(self._iterator) for _ in range(batches)]
        stacked = keras.tree.map_structure(lambda *parts: tf.stack(parts), *drawn)
        if self._rows is None or self._rows[1].shape[0] != batches:
            self._rows = keras.tree.map_structure(tf.Variable, stacked)
        else:
            keras.tree.map_structure(lambda variable, value: variable.assign(value), self._rows, stacked)


def _check_label_width(shape, classes):
    if len(shape) == 2 and shape[1] not in (1, classes):
        raise ValueError(f"reference labels have {shape[1]} columns, but the target has {classes} classes")


def to_tensor(array):
    """Returns an array of records as a tensor: floats in Keras' default type, others unchanged."""
    if np.issubdtype(array.dtype, np.floating):
        array = np.asarray(array, keras.config.floatx())
    return tf.convert_to_tensor(array)
