"""Reference records drawn to match the classes of members."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.data import evenly_spaced, label_indices
from mpreg.training.core.reference import ArrayReference


class MatchedReference(ArrayReference):
    """Holds reference records as tensors, grouped by class.

    Args:
        reference: arrays `(x, y)` or a finite `tf.data.Dataset`, which is read into memory.
        classes: number of classes of the target.

    Raises:
        ValueError: records that are not `(x, y)`, or labels of other classes.
    """

    def __init__(self, reference, classes):
        super().__init__(reference, batch_size=1)
        self.check_classes(classes)
        labels = label_indices(self._labels)
        self._places = np.argsort(labels, kind="stable").astype(np.int32)
        self._counts = np.bincount(labels, minlength=classes).astype(np.int32)
        self._firsts = (np.cumsum(self._counts) - self._counts).astype(np.int32)

    def match(self, classes, step, seed):
        """Draws for each member a reference record of its class, with replacement.

        Args:
            classes: int32 (n,).
            step, seed: the same give the same records.

        Returns:
            `(x, known)`: features, and 1 where the class has records and 0 where `x` is of another, float32 (n,).
        """
        drawn = tf.random.stateless_uniform(tf.shape(classes), seed=[seed, tf.cast(step, tf.int32)])
        counts = tf.gather(self._counts, classes)
        offsets = tf.minimum(tf.cast(drawn * tf.cast(counts, tf.float32), tf.int32), counts - 1)
        places = tf.clip_by_value(tf.gather(self._firsts, classes) + offsets, 0, self._records - 1)
        rows = tf.gather(self._places, places)
        return keras.tree.map_structure(lambda x: tf.gather(x, rows), self._x), tf.cast(
            counts > 0, tf.float32
        )

    def some(self, count):
        """Returns at most `count` records `(x, y)`, evenly spread."""
        rows = evenly_spaced(self._records, count)
        return keras.tree.map_structure(lambda x: tf.gather(x, rows), self._x), self._labels[rows]
