"""Checks on real batches that a layer does not mix records, by running some together and separately."""

import keras
import tensorflow as tf

from mpreg.classifiers.calling import call_target
from mpreg.gradients.leaves import all_layers
from mpreg.gradients.taps import tapped
from mpreg.gradients.trial import readout

EVERY = 1000  # steps from one look to the next
LARGEST, OTHERS = 4, 12  # records in a look: those of the largest numbers are the likeliest to mix
TOLERANCE = 1e-2  # rounding differs with the size of a batch
HALF_TOLERANCE = 0.25
NOTHING = 1e-9  # of what the records together have


class MixingCheck:
    """Stops a step if a layer mixes the records of its batch.

    At the first step of each `fit` and every thousandth, up to 16 records, those of the largest numbers among them, run
    through the model together; the first and the last of them run alone too. What goes into each layer with weights,
    what comes out and what comes back must be the same.

    Args:
        target: a Keras model.
        steps: of its plan, each a layer and how it is clipped.
        training: whether to run in training mode; not where it draws random numbers.
    """

    def __init__(self, target, steps, *, training):
        self.target, self.steps, self.training = target, steps, training
        half = any(layer.compute_dtype == "bfloat16" for layer in all_layers(target))
        self.tolerance = HALF_TOLERANCE if half else TOLERANCE
        with tf.init_scope():
            self.seen = tf.Variable(0, dtype=tf.int64, trainable=False, name="batches_seen")

    def check_again(self):
        """Checks the next batch."""
        self.seen.assign((self.seen + EVERY - 1) // EVERY * EVERY)

    def checked(self, x):
        """Returns the records after a check; the step fails if they are mixed."""
        x = keras.tree.map_structure(tf.convert_to_tensor, x)
        seen = self.seen.read_value()
        self.seen.assign_add(1)
        names = ["", *(step.layer.name for step in self.steps), "the answers"]
        first = tf.cond(seen % EVERY == 0, lambda: self._first_mixed(x, seen // EVERY), lambda: 0)
        apart = tf.debugging.Assert(
            tf.equal(first, 0),
            [
                "a layer of the target mixes the records of a batch, for these inputs if not for others: the gradient "
                "of one depends on the others, and no clipping makes that private. It shows first at",
                tf.gather(tf.constant(names), first),
            ],
        )
        with tf.control_dependencies([] if apart is None else [apart]):
            return keras.tree.map_structure(tf.identity, x)

    def _first_mixed(self, x, turn):
        """Number, from 1, of the first step of the plan at which records mix, or 0."""
        rows = _choose(x, turn)
        company = keras.tree.map_structure(lambda part: tf.gather(part, rows), x)
        seen = tf.function(self._seen, autograph=False)  # two traces serve three calls
        together, last = seen(company), tf.shape(rows)[0] - 1
        mixed = [self._differ(together, seen(_row(company, at)), at) for at in (tf.constant(0), last)]
        mixed = tf.reduce_any(tf.stack(mixed), axis=0)
        return tf.where(tf.reduce_any(mixed), tf.argmax(mixed, output_type=tf.int32) + 1, 0)

    def _seen(self, x):
        """For each step of the plan, and for the answers, what was there: a list of tensors, records first."""
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape, tapped(self.steps, tape) as calls, keras.StatelessScope():
            answers = call_target(self.target, x, training=self.training)
            loss = tf.reduce_sum(readout(answers))
        outputs = [[call.output for call in noted] for noted in calls]
        back = tape.gradient(loss, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        inputs = [[call.inputs for call in noted] for noted in calls]
        return [*zip(inputs, outputs, back, strict=True), keras.tree.flatten(answers)]

    def _differ(self, together, alone, at):
        """For each part of what was seen, whether a record's row is another in company."""
        return tf.stack(
            [
                tf.reduce_any([self._differs(*pair, at) for pair in _pairs(*parts)])
                for parts in zip(together, alone, strict=True)
            ]
        )

    def _differs(self, together, alone, at):
        one, another = tf.gather(together, at), alone[0]
        if not one.dtype.is_floating:
            return tf.reduce_any(one != another)
        # A unit at the kink of its activation may fall to either side of it: few do, so the whole row counts.
        finite = tf.where(tf.math.is_finite(together), together, tf.zeros_like(together))
        difference, size, all_sizes = (_size(part) for part in (one - another, another, finite))
        apart = difference <= self.tolerance * size + NOTHING * all_sizes
        # A record that is not finite itself has nothing to compare.
        return tf.math.is_finite(size) & ~apart


def _pairs(one, another):
    return zip(keras.tree.flatten(one), keras.tree.flatten(another), strict=True)


def _size(values):
    return tf.sqrt(tf.reduce_sum(tf.square(tf.cast(values, tf.float64))))


def _choose(x, turn):
    """Indices of the records of the largest numbers, and of others, which change with each turn."""
    parts = [part for part in keras.tree.flatten(x) if part.dtype.is_floating]
    count = tf.shape(keras.tree.flatten(x)[0])[0]
    others = tf.range(tf.minimum(count, OTHERS)) + tf.cast(turn, tf.int32) * OTHERS
    others = others % tf.maximum(count, 1)
    if not parts:
        return others
    sizes = [
        tf.reduce_max(tf.abs(tf.cast(part, tf.float32)), axis=range(1, part.shape.rank)) for part in parts
    ]
    sizes = tf.reduce_max(tf.stack(sizes), axis=0)
    sizes = tf.where(tf.math.is_finite(sizes), sizes, -1.0)
    largest = tf.math.top_k(sizes, tf.minimum(count, LARGEST)).indices
    return tf.concat([largest, others], axis=0)


def _row(x, at):
    return keras.tree.map_structure(lambda part: tf.gather(part, at[None]), x)
