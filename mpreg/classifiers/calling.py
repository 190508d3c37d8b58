"""Calls a target with a training mode if it takes one, or without side effects."""

import inspect

import keras


def takes_training_argument(target):
    """Returns whether a target's `call` takes a training mode."""
    return "training" in inspect.signature(target.call).parameters


def call_target(target, x, *, training):
    """Returns the target's predictions, passing the training mode only if its `call` takes one."""
    return target(x, training=training) if takes_training_argument(target) else target(x)


def predict_batch(model, x):
    """Returns a Keras model's predictions on one batch of records, NumPy (n, ...).

    Under a strategy each device predicts all of them, one's predictions below the other's: the first one's are taken.
    """
    return model.predict_on_batch(x)[: len(keras.tree.flatten(x)[0])]


class CallWithoutSideEffects(keras.layers.Layer):
    """Calls a target inside a layer, so that its added losses are kept apart."""

    def call(
        self, x, target, mode
    ):  # a mode named `training` would reach the layers of targets that take none
        return call_target(target, x, training=mode)


def predict_without_side_effects(target, x, *, training):
    """Returns the target's predictions without changing moving averages, seeds or added losses."""
    with keras.StatelessScope() as scope:
        outer = scope.original_scope
        if outer is not None:  # variables have the values of the scope around it
            scope.state_mapping.update(outer.state_mapping)
        return CallWithoutSideEffects(autocast=False)(x, target=target, mode=training)
