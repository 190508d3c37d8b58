"""Calls of a target: with a training mode where it takes one, and aside, without a trace in it."""

import inspect

import keras


def takes_training_argument(target):
    """Whether a target's `call` takes a training mode."""
    return "training" in inspect.signature(target.call).parameters


def call_target(target, x, *, training):
    """The target's answers; a model whose `call` knows no training mode is called without one."""
    return target(x, training=training) if takes_training_argument(target) else target(x)


class CallWithoutSideEffects(keras.layers.Layer):
    """Calls a target from within a layer: one that is called from no other forgets its added losses first."""

    def call(
        self, x, target, mode
    ):  # a mode named `training` would reach the layers of targets that take none
        return call_target(target, x, training=mode)


def predict_without_side_effects(target, x, *, training):
    """The target's answers in a pass that leaves no trace in it: no moving averages, seeds, added losses."""
    with keras.StatelessScope():
        return CallWithoutSideEffects(autocast=False)(x, target=target, mode=training)
