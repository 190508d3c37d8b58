"""The gap condition: a penalty that is charged only while the target overfits."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.training.core.reference import to_tensor

MEASURED = 4096  # records on which an accuracy is measured
AT_ONCE = 512  # of them in one pass


class GapControl(keras.callbacks.Callback):
    """Opens a part's penalty for the next epoch where the training accuracy is ahead of the reference accuracy.

    Args:
        part: has `gap`, `charging` and `reference`.
        members: function of a number: so many of the records in training.
    """

    def __init__(self, part, members):
        super().__init__()
        self.part, self._members = part, members
        self._records = None

    def on_train_begin(self, logs=None):
        x, y = self._members(MEASURED)
        x = keras.tree.map_structure(to_tensor, x)
        self._records = (x, y), self.part.reference.some(MEASURED)

    def on_epoch_end(self, epoch, logs=None):
        members, reference = (accuracy(self.model, x, y) for x, y in self._records)
        self.part.charging.assign(float(members - reference >= self.part.gap))


def accuracy(model, x, y):
    """Share of records that a training defence's target gets right; labels as fit is given them, or plain."""
    # Keras' predict sets up a pipeline each time, which takes longer than these passes.
    starts = range(0, len(y), AT_ONCE)
    parts = [keras.tree.map_structure(lambda a, at=at: a[at : at + AT_ONCE], x) for at in starts]
    answers = np.concatenate([model.predict_on_batch(part) for part in parts])
    batch = model.read(x, tf.convert_to_tensor(y), answers)
    right = np.argmax(batch.log_probabilities, axis=1) == np.argmax(batch.one_hot, axis=1)
    return float(np.mean(right))
