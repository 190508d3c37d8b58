"""Adam's step on a stack of replicas in place: one pass over weights and moments, where Keras' takes a dozen."""

import keras
import numpy as np
import tensorflow as tf

# TensorFlow's operation subtracts the decay rates from 1 in float32, Keras in float64. Above this difference, relative,
# Keras' own step is taken.
CLOSE = 2e-5


class FusedAdam:
    """Takes the steps of a Keras Adam on stacks of replicas that take equally many.

    Weights and moments are `tf.Variable`s, stacked, and `step` is given their handles; what else the optimizer
    remembers is a tensor.

    Args:
        optimizer: the optimizer, built, for which `can_fuse` holds.
        trainable: the variables that it trains.
    """

    def __init__(self, optimizer, trainable):
        places = {id(variable): at for at, variable in enumerate(optimizer.variables)}
        self._steps, self._rate = places[id(optimizer.iterations)], places[id(optimizer._learning_rate)]
        indices = [optimizer._get_variable_index(variable) for variable in trainable]
        self._means = [places[id(optimizer._momentums[at])] for at in indices]
        self._squares = [places[id(optimizer._velocities[at])] for at in indices]
        self._betas, self._epsilon = (optimizer.beta_1, optimizer.beta_2), optimizer.epsilon
        self._shapes = [variable.shape for variable in trainable]

    def hold(self, trainable, others, slots):
        """Returns a state of arrays as tensors, and as variables where steps are taken in place."""
        moments = {*self._means, *self._squares}
        return (
            [tf.Variable(value) for value in trainable],
            [tf.convert_to_tensor(value) for value in others],
            [
                tf.Variable(value) if at in moments else tf.convert_to_tensor(value)
                for at, value in enumerate(slots)
            ],
        )

    def specs(self, trainable, others, slots):
        """Returns the types of a state of `tf.TensorSpec`s with handles for the variables."""
        handle, moments = tf.TensorSpec((), tf.resource), {*self._means, *self._squares}
        slots = [handle if at in moments else spec for at, spec in enumerate(slots)]
        return [handle] * len(trainable), others, slots

    def read(self, handles, replicas):
        """Returns the weights, or the means or squares of their gradients, of a number of replicas behind handles."""
        reads = [tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32) for handle in handles]
        return [
            tf.ensure_shape(value, (replicas, *shape))
            for value, shape in zip(reads, self._shapes, strict=True)
        ]

    def step(self, trainable, slots, gradients):
        """Moves weights and moments, given handles; returns what the optimizer remembers afterwards."""
        count, rates = slots[self._steps] + 1, self._corrected(slots[self._rate], slots[self._steps] + 1)
        powers = [tf.pow(tf.constant(beta, tf.float32), tf.cast(count, tf.float32)) for beta in self._betas]
        # Replicas differ where one has been given a fresh optimizer between epochs.
        alike = tf.reduce_all(count == count[0]) & tf.reduce_all(rates == rates[0])
        moved = []
        # Where a weight is still being read, the operation would copy it.
        with tf.control_dependencies(gradients):
            for at, (handle, gradient) in enumerate(zip(trainable, gradients, strict=True)):
                done = tf.raw_ops.ResourceApplyAdam(
                    var=handle,
                    m=slots[self._means[at]],
                    v=slots[self._squares[at]],
                    beta1_power=powers[0][0],
                    beta2_power=powers[1][0],
                    lr=tf.where(alike, rates[0], 0.0),
                    beta1=self._betas[0],
                    beta2=self._betas[1],
                    epsilon=self._epsilon,
                    grad=gradient,
                )
                moved.append(done)
        with tf.control_dependencies(moved):
            strides = rates * tf.sqrt(1 - powers[1]) / (1 - powers[0])
            tf.cond(alike, lambda: 0, lambda: self._stride(trainable, slots, strides))
        return [value + 1 if at == self._steps else value for at, value in enumerate(slots)]

    def _stride(self, trainable, slots, strides):
        """Moves the weights alone, each replica's by a stride of its own."""
        means, squares = (
            self.read([slots[at] for at in places], strides.shape[0])
            for places in (self._means, self._squares)
        )
        for handle, mean, square in zip(trainable, means, squares, strict=True):
            stride = tf.reshape(strides, (-1, *[1] * (len(mean.shape) - 1)))
            tf.raw_ops.AssignSubVariableOp(
                resource=handle, value=stride * mean / (tf.sqrt(square) + self._epsilon)
            )
        return 0

    def _corrected(self, rates, count):
        """The rates that make up for squares that rise by the decay rate in float32 from 1, not in float64."""
        beta, count = np.float32(self._betas[1]), tf.cast(count, tf.float64)
        risen = 1 - tf.pow(tf.constant(beta, tf.float64), count)
        keras_has = 1 - tf.pow(tf.constant(self._betas[1], tf.float64), count)
        return rates * tf.cast(tf.sqrt(risen / keras_has), tf.float32)


def can_fuse(optimizer, trainable):
    """Whether `FusedAdam` takes the steps of an optimizer as it would itself, to rounding."""
    if type(optimizer) is not keras.optimizers.Adam or optimizer.amsgrad:
        return False
    extras = (
        optimizer.weight_decay,
        optimizer.clipnorm,
        optimizer.clipvalue,
        optimizer.global_clipnorm,
        optimizer.loss_scale_factor,
    )
    if any(extras) or not isinstance(optimizer._learning_rate, keras.Variable):
        return False
    for beta in (optimizer.beta_1, optimizer.beta_2):
        if abs((1 - float(np.float32(beta))) / (1 - beta) - 1) > CLOSE:
            return False
    return all(
        variable.dtype == "float32"
        and variable.constraint is None
        and not getattr(variable, "overwrite_with_gradient", False)
        for variable in trainable
    )
