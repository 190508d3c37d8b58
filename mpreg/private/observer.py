"""An adversary who sees every noisy gradient and scores canaries by them."""

import math

import numpy as np
import tensorflow as tf
from scipy import stats

from mpreg.classifiers.calling import call_target
from mpreg.private import losses
from mpreg.private.batches import PrivateBatch

ERROR = 1e-6  # that noise as claimed is taken for too little: so small that the confidence of a whole audit is kept


class GradientObserver:
    """Scores canaries by the projection of noisy gradients onto their clipped gradients, summed over steps.

    It is the adversary that the accounting of DP-SGD grants: one who sees every step and knows all records but not
    the coins. What all records, and canaries by halves, add on average is therefore taken off each noisy gradient.
    Gradients of single canaries are not stored: their inner products with a gradient are the derivatives, by the
    weights of a weighted loss, of that gradient's inner product with the loss's own.

    Source: Nasr et al., "Tight Auditing of Differentially Private Machine Learning", USENIX Security 2023, section 4.

    Args:
        canaries: `(x, y)`, nested arrays of one length.
        records: `(x, y)`, the other records that are trained on.
        count: number of canaries.
        sampling: the Poisson `Sampling` of the batches.
    """

    def __init__(self, canaries, records, count, sampling):
        self._canaries, self._records = tf.nest.map_structure(tf.convert_to_tensor, (canaries, records))
        self._sampling = sampling
        with tf.init_scope():
            self._scores = tf.Variable(tf.zeros((count,)), trainable=False, name="canary_scores")
            self._least = tf.Variable(float("inf"), trainable=False, name="least_square")

    @property
    def scores(self):
        """Returns scores, float32 (count,); higher means more likely trained on."""
        return self._scores.numpy()

    def noise_limit(self, model, steps):
        """Returns an upper limit on the noise multiplier of the least noisy step, wrong once in a million audits.

        Measured as the difference that noise made to the clipped sums: it shows noise that is too small or was left out
        at some steps, whatever canaries tell, and nothing about the clipping.
        """
        numbers = sum(math.prod(variable.shape) for variable in model.trainable_variables)
        largest = np.sqrt(numbers * float(self._least.numpy()) / stats.chi2.ppf(ERROR / steps, numbers))
        return float(model.noise_multiplier * largest)

    def see(self, model, plan, gradients, sums, stddev):
        """Adds a step's evidence; the weights must still be those before it.

        Args:
            model, plan: the `DPSGD` and its `ClippingPlan`.
            gradients, sums: with noise and without, a tensor for each variable.
            stddev: standard deviation that the noise is claimed to have.
        """
        if model.noise_multiplier > 0:
            self._measure(gradients, sums, stddev)
        norms = PrivateBatch(model, plan, *self._canaries, None).norms()
        along = self._along(model, self._unexpected(model, plan, gradients))
        # Of canaries that the clip shortens, all weigh the same; smaller ones, and all without a clip, count for what
        # they are.
        clip = tf.cast(model.clip_norm.value, along.dtype)
        norms = tf.where(tf.math.is_finite(clip), tf.maximum(tf.cast(norms, along.dtype), clip), 1.0)
        self._scores.assign_add(-tf.cast(along / norms, tf.float32))

    def _measure(self, gradients, sums, stddev):
        squares = [
            tf.reduce_sum(tf.square((tf.cast(a, tf.float32) - tf.cast(b, tf.float32)) / stddev))
            for a, b in zip(gradients, sums, strict=True)
        ]
        numbers = tf.add_n([tf.cast(tf.size(part), tf.float32) for part in gradients])
        self._least.assign(tf.minimum(self._least, tf.add_n(squares) / numbers))

    def _unexpected(self, model, plan, gradients):
        """The gradients less what batches add on average, were each canary in by half."""
        parts = [
            (self._records, self._sampling.probability),
            (self._canaries, self._sampling.probability / 2),
        ]
        size = 1.0 if losses.loss_reduction(model.loss) == "sum" else float(self._sampling.batch_size)
        for (x, y), share in parts:
            sums, _, _ = PrivateBatch(model, plan, x, y, None).clipped(size / share)
            gradients = [a - tf.cast(b, a.dtype) for a, b in zip(gradients, sums, strict=True)]
        return gradients

    def _along(self, model, gradients):
        """Minus the inner products of the gradients with those of each canary's loss, (count,)."""
        (x, y), count = self._canaries, self._scores.shape[0]
        weights = tf.ones((count,))
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                answers = call_target(model.target_model, x, training=False)
                loss = losses.batch_loss(model, y, answers, weights)
            own = inner.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            product = tf.add_n(
                [
                    -tf.reduce_sum(tf.cast(a * tf.cast(b, a.dtype), tf.float32))
                    for a, b in zip(map(tf.convert_to_tensor, own), gradients, strict=True)
                ]
            )
        scale = 1.0 if losses.loss_reduction(model.loss) == "sum" else float(count)
        return scale * outer.gradient(product, weights)
