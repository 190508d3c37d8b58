"""One batch of DP-SGD: augmented copies, microbatches, clipped sums and the logged loss."""

import math

import keras
import tensorflow as tf

from mpreg.classifiers.calling import call_target
from mpreg.gradients.mapped import answer_specs, grouped, model_rows
from mpreg.gradients.shapes import exact_dtype
from mpreg.private.clipping import clipped_sums
from mpreg.private.guards import check_added, check_mask
from mpreg.private.losses import batch_loss, loss_reduction, signed_labels
from mpreg.training.core.replicas import replicas, summed

STORED = 1 << 25  # numbers of whole per-example gradients at once: 128 MiB


class PrivateBatch:
    """Computes the clipped gradients of one batch of a `DPSGD` model.

    Args:
        model: the `DPSGD`.
        plan: its `ClippingPlan`.
        x, y: records and labels, nested tensors.
        weights: sample weights (rows,) or (rows, 1), or None.

    Raises:
        ValueError: sample weights of another shape.
    """

    def __init__(self, model, plan, x, y, weights):
        self.model, self.plan, self.x, self.y = model, plan, x, y
        self.rows = tf.shape(keras.tree.flatten(x)[0])[0]
        self.weights = None if weights is None else _flat_weights(weights)
        self._divisor = 1.0

    def expected_size(self, sampling):
        """Returns the expected number of records, since under Poisson sampling the actual one is private."""
        if sampling.kind == "poisson":
            return tf.constant(float(sampling.batch_size))
        return summed(tf.cast(self.rows, tf.float32))

    def clipped(self, divisor):
        """Returns clipped gradient sums over the divisor, predictions, and how many norms are within the clip.

        Returns:
            `(sums, answers, below)`: a tensor for each variable; the answers in training mode, of each record's first
            copy; the sum over records of 1/2 where the norm is within the clip and -1/2 where it is above.
        """
        size, self._divisor = self._size(), divisor
        self.x = self.plan.checked(self.x)
        weights = tf.ones((self.rows,)) if self.weights is None else self.weights
        if size is None:
            return self._part(self.x, self.y, weights)
        return self._in_microbatches(size, weights)

    def _size(self):
        size = self.model.microbatch_size
        if self.plan.whole:
            parameters = sum(math.prod(v.shape) for v in self.model.trainable_variables)
            most = max(1, STORED // parameters)
            size = most if size is None else min(size, most)
        static = keras.tree.flatten(self.x)[0].shape[0]
        return None if size is None or (static is not None and static <= size) else size

    def _in_microbatches(self, size, weights):
        count = -(-self.rows // size)
        # The last one is filled up with repetitions of weight 0.
        indices = tf.range(count * size)
        weights = tf.where(indices < self.rows, tf.gather(weights, tf.minimum(indices, self.rows - 1)), 0.0)
        indices = tf.minimum(indices, self.rows - 1)
        specs = keras.tree.flatten(answer_specs(self.model.target_model, self.x, size))
        arrays = [tf.TensorArray(spec.dtype, size=count, element_shape=spec.shape) for spec in specs]
        sums = [tf.zeros(v.shape, exact_dtype(v)) for v in self.model.trainable_variables]

        def body(at, sums, below, arrays):
            taken = indices[at * size : (at + 1) * size]
            taken = tf.ensure_shape(taken, (size,))
            part = keras.tree.map_structure(lambda tensor: tf.gather(tensor, taken), (self.x, self.y))
            more, answers, counted = self._part(
                *part, tf.ensure_shape(weights[at * size : (at + 1) * size], (size,))
            )
            arrays = [a.write(at, t) for a, t in zip(arrays, keras.tree.flatten(answers), strict=True)]
            return at + 1, [a + b for a, b in zip(sums, more, strict=True)], below + counted, arrays

        _, sums, below, arrays = tf.while_loop(
            lambda at, *_: at < count, body, (0, sums, tf.constant(0.0), arrays), parallel_iterations=1
        )
        flat = [
            tf.reshape(a.stack(), tf.concat([(-1,), tf.shape(a.stack())[2:]], axis=0))[: self.rows]
            for a in arrays
        ]
        flat = [tf.ensure_shape(t, (None, *spec.shape[1:])) for t, spec in zip(flat, specs, strict=True)]
        answers = answer_specs(self.model.target_model, self.x, size)
        return sums, keras.tree.pack_sequence_as(answers, flat), below

    def _part(self, x, y, weights):
        copies = self.model.augmentations
        if copies > 1:
            x, y = keras.tree.map_structure(lambda tensor: tf.repeat(tensor, copies, axis=0), (x, y))
            x = self.model.augment(x)
        clipped, answers = self._clip(x, y, weights, copies)
        self.plan.count_left_out(clipped.left_out)
        clip = self.model.clip_norm.value
        sides = tf.where(clipped.norms <= tf.cast(clip, clipped.norms.dtype), 0.5, -0.5)
        if copies > 1:
            answers = keras.tree.map_structure(lambda tensor: tensor[::copies], answers)
        return clipped.sums, answers, tf.reduce_sum(tf.where(weights != 0, sides, 0.0))

    def norms(self):
        """Returns the gradient norms of the records without augmentation, (rows,), before clipping."""
        return self._clip(self.x, self.y, tf.ones((self.rows,)), 1)[0].norms

    def _clip(self, x, y, weights, copies):
        """`(Clipped, answers)` of `copies` rows in a row for each record."""
        summed = loss_reduction(self.model.loss) == "sum"
        if self.plan.whole:
            answers, pieces = self._each_alone(x, y, copies)
            scale = 1.0
        else:
            answers, _, pieces = self.plan.backward(lambda: self._forward(x, y), copies)
            scale = tf.cast(tf.shape(weights)[0], tf.float32)
        if summed:
            scale = 1.0
        scales = weights * scale / (copies if summed else 1)
        model = self.model
        rule = model.clip_rule
        clipped = clipped_sums(
            model.trainable_variables,
            pieces,
            scales,
            model.clip_norm.value,
            self._divisor,
            stability=rule.stability,
        )
        return clipped, answers

    def _forward(self, x, y):
        answers = call_target(self.model.target_model, x, training=True)
        if not self.plan.whole:
            check_mask(answers)
            check_added(self.model.target_model)
        return answers, batch_loss(self.model, y, answers)

    def _each_alone(self, x, y, copies):
        elements = keras.tree.map_structure(lambda tensor: grouped(tensor, copies), (x, y))
        pieces, answers = model_rows(
            self.model.trainable_variables,
            lambda element: self._forward(*element),
            elements,
            self.plan.seeds,
            answer_specs(self.model.target_model, x, copies),
            self.plan.whole,
        )
        return keras.tree.map_structure(lambda t: tf.reshape(t, (-1, *t.shape[2:])), answers), pieces

    def present(self, answers, sampling):
        """Returns `(x, y, answers, weights)` for the log, without the padding of Poisson batches."""
        parts = self.x, self.y, answers, self.weights
        if sampling.kind != "poisson":
            return parts
        return keras.tree.map_structure(lambda part: tf.boolean_mask(part, self.weights != 0), parts)

    def logged_loss(self, present):
        """Returns `(loss, rows)` for the log over the records present; 0 if none is."""
        x, y, answers, weights = present
        rows = tf.shape(keras.tree.flatten(answers)[0])[0]
        kind = keras.config.floatx()  # as Keras' compiled losses have it

        def loss():
            loss = self.model.data_loss(x, signed_labels(self.model.loss, y), answers, weights)
            return tf.cast(loss, kind) * replicas()  # Keras takes each device's share

        return tf.cond(rows > 0, loss, lambda: tf.zeros((), kind)), rows


def _flat_weights(weights):
    flat = keras.tree.flatten(weights)
    if len(flat) != 1 or flat[0].shape.rank > 2 or flat[0].shape[1:].num_elements() != 1:
        raise ValueError(
            "sample_weight must be one number a record, shape (n,). "
            f"Received: {[tuple(part.shape) for part in flat]}"
        )
    return tf.cast(tf.reshape(flat[0], (-1,)), tf.float32)
