"""Checks on real batches that the loss does not mix records, beyond what the trials cover."""

import keras
import tensorflow as tf

from mpreg.gradients.mixing import EVERY

RECORDS = 16  # in a look
TOLERANCE = 1e-3


class LossCheck:
    """Stops a step if the loss mixes the records of its batch.

    At the first step of each `fit` and every thousandth, of up to 16 records the first and the last must have the same
    gradient with respect to their answers as among as many copies of themselves. What is rarer than that goes unseen.
    """

    def __init__(self):
        with tf.init_scope():
            self._seen = tf.Variable(0, dtype=tf.int64, trainable=False, name="losses_seen")

    def check_again(self):
        """Checks the next batch, whatever was checked before."""
        with tf.init_scope():
            self._seen.assign((self._seen + EVERY - 1) // EVERY * EVERY)

    def at(self, loss, y, answers):
        """Runs the check if one is due, and returns operations on which the step must wait.

        Args:
            loss: function of labels and answers, of which gradients are taken.
            y, answers: of a batch, nested tensors.
        """
        seen = self._seen.read_value()
        self._seen.assign_add(1)
        mixed = tf.cond(
            seen % EVERY == 0, lambda: _mixes(loss, (y, answers), seen // EVERY), lambda: tf.constant(False)
        )
        apart = tf.debugging.Assert(
            ~mixed,
            [
                "the compiled loss mixes the records of a batch, for these labels if not for others: the gradient of "
                "one depends on the others, so that clipping each bounds nothing. Use a loss that is a mean or a sum "
                "over records of what each record's labels and answers alone say"
            ],
        )
        return [] if apart is None else [apart]


def _mixes(loss, batch, turn):
    """Whether the gradient of a record is another one beside others than beside copies of itself."""
    rows = tf.shape(keras.tree.flatten(batch)[0])[0]
    company = tf.range(tf.minimum(rows, RECORDS)) + tf.cast(turn, tf.int32) * RECORDS
    company %= tf.maximum(rows, 1)
    gradients = _gradients(loss, batch, company)
    differ = []
    for place in (0, -1):
        copies = _gradients(loss, batch, tf.fill(tf.shape(company), company[place]))
        for one, other in zip(gradients, copies, strict=True):
            one, other = one[place], other[place]
            # A record whose own gradient is not finite has nothing to compare.
            finite = tf.reduce_all(tf.math.is_finite(other))
            close = tf.abs(one - other) <= TOLERANCE * tf.reduce_max(tf.abs(other))
            differ.append(finite & ~tf.reduce_all(close))
    return tf.reduce_any(tf.stack(differ))


def _gradients(loss, batch, rows):
    """Gradients of the loss of some rows with respect to their answers, a list of tensors."""
    y, answers = keras.tree.map_structure(lambda part: tf.gather(part, rows), batch)
    flat = [part for part in keras.tree.flatten(answers) if part.dtype.is_floating]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(flat)
        value = loss(y, answers)
    found = tape.gradient(value, flat, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in found]
