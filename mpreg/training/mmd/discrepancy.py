"""Discrepancy: a penalty on the distance between the target's answers on members and on reference records."""

import keras
import numpy as np
import tensorflow as tf

from mpreg._validate import check_count, check_number
from mpreg.classifiers.calling import answers_aside
from mpreg.classifiers.tensors import log_probabilities
from mpreg.training.core.batch import add_charge
from mpreg.training.core.part import DefencePart
from mpreg.training.core.reference import to_tensor
from mpreg.training.mmd.matched import MatchedReference

MEASURED = 4096  # records on which an accuracy is measured
AT_ONCE = 512  # of them in one pass


@keras.saving.register_keras_serializable("mpreg")
class Discrepancy(DefencePart):
    """Charges the target for the squared maximum mean discrepancy of its answers, within classes.

    Args: as `MixUpMMD`, and `classes`, the number of classes of the target.
    """

    consumes_reference = True
    private_reason = "compares the answers on whole batches"

    def __init__(self, *, classes, weight, gap=0.03, bandwidths=(1.0,), seed=0, **kwargs):
        super().__init__(**{"name": "discrepancy", **kwargs})
        check_number("mmd_weight", weight, least=0)
        check_number("gap", gap, least=0, most=1)
        check_count("seed", seed, 0)
        if not isinstance(bandwidths, tuple | list) or not bandwidths:
            raise ValueError(f"bandwidths must be a tuple of numbers. Received: bandwidths={bandwidths!r}")
        for bandwidth in bandwidths:
            check_number("bandwidths", bandwidth, above=0)
        self.classes, self.gap = classes, float(gap)
        self.bandwidths, self.seed = tuple(float(each) for each in bandwidths), int(seed)
        self.step = self.state("step", 0, dtype="int64")
        self.charging = self.state("charging", 0.0 if gap else 1.0)
        self.strength = self.state("strength", weight)  # behind what files of before hold
        self.discrepancy = keras.metrics.Mean(name="mmd")
        self.charged = keras.metrics.Mean(name="mmd_charged")

    def set_reference(self, reference):
        self._reference = MatchedReference(reference, self.classes)

    @property
    def trackers(self):
        return (self.discrepancy, self.charged)

    def control(self, members):
        return GapControl(self, members) if self.gap else None

    def charge(self, batch, loss):
        # Read ahead of the branch, as other parts read them too.
        one_hot, present, from_logits = batch.one_hot, batch.present, batch.from_logits
        classes = tf.argmax(one_hot, axis=-1, output_type=tf.int32)
        x, known = self.reference.match(classes, self.step.value, self.seed)
        self.step.assign_add(1)

        def compare():
            members, others = (
                tf.exp(
                    log_probabilities(
                        answers_aside(batch.target, records, training=False), from_logits=from_logits
                    )
                )
                for records in (batch.x, x)
            )
            return class_discrepancy(
                members, tf.stop_gradient(others), one_hot, present * known, self.bandwidths
            )

        charging = tf.convert_to_tensor(self.charging.value)
        discrepancy = tf.cond(charging > 0, compare, lambda: tf.constant(0.0))
        self.discrepancy.update_state(discrepancy, sample_weight=charging)
        self.charged.update_state(charging)
        return add_charge(loss, self.strength * discrepancy)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "weight": float(self.strength.numpy()),
            "gap": self.gap,
            "bandwidths": list(self.bandwidths),
            "seed": self.seed,
        }


def class_discrepancy(members, others, one_hot, present, bandwidths):
    """Squared maximum mean discrepancy within each class, biased, weighted by the class' share of the records.

    The kernel is a mean of Gaussians, exp(-d^2 / (2 bandwidth^2)), masked to pairs of one class.

    Args:
        members, others: answers, float32 (n, classes); row by row of one class.
        one_hot: the classes, float32 (n, classes).
        present: 1 for rows that take part, float32 (n,).
        bandwidths: sequence of numbers.
    """
    same = tf.matmul(one_hot * present[:, None], one_hot * present[:, None], transpose_b=True)
    weights = tf.math.divide_no_nan(same, tf.reduce_sum(same, axis=1, keepdims=True))
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(present))

    def kernel(a, b):
        squares = tf.reduce_sum(a * a, axis=1)[:, None] + tf.reduce_sum(b * b, axis=1)[None, :]
        distances = tf.maximum(squares - 2.0 * tf.matmul(a, b, transpose_b=True), 0.0)
        return tf.add_n([tf.exp(-distances / (2.0 * s * s)) for s in bandwidths]) / len(bandwidths)

    pairs = kernel(members, members) + kernel(others, others) - 2.0 * kernel(members, others)
    return tf.reduce_sum(weights * pairs)


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
