"""One step on the discrepancy alone."""

import keras
import tensorflow as tf

from mpreg.classifiers.calling import predict_without_side_effects
from mpreg.classifiers.kind import trains_on_logits
from mpreg.classifiers.tensors import log_probabilities
from mpreg.training.core.replicas import replicas
from mpreg.training.mmd.kernel import squared_discrepancy


class MatchingStep:
    """Moves a target's predictions on members towards those on reference records of the same classes.

    Both are answered without Dropout and with the running batch statistics, and the answers on reference records are
    held fixed. The step is the compiled optimizer's; it does not count where the learning rate follows the count, for a
    schedule knows of training steps alone.

    Devices that share a batch in training take the same one here, each for its share of the gradient.

    Args:
        part: the `Discrepancy`.
        model: the compiled training defence that it is a part of.
    """

    def __init__(self, part, model):
        self._part, self._model = part, model
        self._made_for = _state_of(part, model)
        self._target, self._optimizer = model.target_model, model.optimizer
        self._from_logits = trains_on_logits(self._target, model.loss, from_logits=model.from_logits)
        strategy, step = model.distribute_strategy, self._step
        if model.run_eagerly:
            self._run = lambda *batch: strategy.run(step, args=batch)
        else:
            step = tf.function(step, jit_compile=True) if model.jit_compile else step
            self._run = tf.function(lambda *batch: strategy.run(step, args=batch))

    def is_of(self, model):
        """Whether it is this model's, compiled as it is now, with the reference records it has now."""
        return all(
            one is other for one, other in zip(self._made_for, _state_of(self._part, model), strict=True)
        )

    def __call__(self, x, classes, present):
        """One step.

        Args:
            x: features of members.
            classes: their classes, int32 (n,).
            present: 1 for members that take part, 0 for padding, float32 (n,).
        """
        self._run(x, classes, present)

    def _step(self, x, classes, present):
        part = self._part
        others, known = part.reference.match(classes, part.step.value, part.draws.value)
        part.step.assign_add(1)
        expected = tf.stop_gradient(self._probabilities(others))
        with tf.GradientTape() as tape:
            answers = self._probabilities(x)
            discrepancy = squared_discrepancy(answers, expected, present * known, part.bandwidths)
            charge = part.strength.value * discrepancy / replicas()
            charge = self._optimizer.scale_loss(charge)
        weights = self._model.trainable_variables
        before = tf.identity(self._optimizer.iterations.value)
        self._optimizer.apply(tape.gradient(charge, weights), weights)
        if _has_schedule(self._optimizer):
            self._optimizer.iterations.assign(before)
        part.discrepancy.update_state(discrepancy)

    def _probabilities(self, x):
        answers = predict_without_side_effects(self._target, x, training=False)
        return tf.exp(log_probabilities(answers, from_logits=self._from_logits))


def _state_of(part, model):
    return model, model.optimizer, model._compile_loss, part.reference


def _has_schedule(optimizer):
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
