"""Calls of a target: with a training mode where it takes one, and aside, without a trace in it."""

import inspect

import keras


def knows_training(target):
    """Whether a target's `call` takes a training mode."""
    return "training" in inspect.signature(target.call).parameters


def call_target(target, x, *, training):
    """The target's answers; a model whose `call` knows no training mode is called without one."""
    return target(x, training=training) if knows_training(target) else target(x)


class Aside(keras.layers.Layer):
    """Calls a target from within a layer: one that is called from no other forgets its added losses first."""

    def call(
        self, x, target, mode
    ):  # a mode named `training` would reach the layers of targets that take none
        return call_target(target, x, training=mode)


def answers_aside(target, x, *, training):
    """The target's answers in a pass that leaves no trace in it: no moving averages, seeds, added losses."""
    with keras.StatelessScope():
        return Aside(autocast=False)(x, target=target, mode=training)
