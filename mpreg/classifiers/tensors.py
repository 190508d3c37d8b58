"""A classifier's answers as the min-max game reads them: log-probabilities and one-hot labels."""

import inspect

import keras
from keras import ops

from mpreg.classifiers.last_layer import DEFENCE, last_activation, loss_wants_logits

LOWEST_PROBABILITY = 1e-30  # float32 still has its logarithm and a finite gradient


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


def log_probabilities(outputs, *, from_logits):
    """Log-probabilities, float32 (n, classes), of logits or probabilities; one unit stands for two classes.

    Keras' softmax and sigmoid hand on the logits that they came from, for Keras' own cross-entropies. They serve
    here too: the gradient of log p through p vanishes, or overflows in float16, where an answer is sure.
    """
    logits = None if from_logits else getattr(outputs, "_keras_logits", None)
    if logits is not None:
        outputs, from_logits = logits, True
    outputs = ops.cast(outputs, "float32")
    if outputs.shape[-1] == 1:
        if from_logits:
            return ops.concatenate([ops.log_sigmoid(-outputs), ops.log_sigmoid(outputs)], axis=-1)
        outputs = ops.concatenate([1.0 - outputs, outputs], axis=-1)
    if from_logits:
        return ops.log_softmax(outputs, axis=-1)
    return ops.log(ops.maximum(outputs, LOWEST_PROBABILITY))


def label_distributions(labels, classes):
    """Distributions over the classes, float32 (n, classes), of labels as a compiled cross-entropy takes them.

    Labels are integers (n,) or (n, 1), one-hot, or distributions (n, classes); where there are two classes, one column
    of floats is the probability of class 1. As Keras does, a list or dict of a single array is taken for that array.
    """
    (labels,) = keras.tree.flatten(labels)
    if len(labels.shape) == 2 and labels.shape[-1] == classes:
        return ops.cast(labels, "float32")
    labels = ops.reshape(labels, (-1,))
    if classes == 2 and keras.backend.is_float_dtype(keras.backend.standardize_dtype(labels.dtype)):
        labels = ops.cast(labels, "float32")
        return ops.stack([1.0 - labels, labels], axis=-1)
    return ops.one_hot(ops.cast(labels, "int32"), classes, dtype="float32")


def one_hot_labels(labels, classes):
    """One-hot labels, float32 (n, classes), of labels as `label_distributions` takes them: their largest class."""
    return ops.one_hot(ops.argmax(label_distributions(labels, classes), axis=-1), classes, dtype="float32")


def count_classes(outputs):
    """Number of classes that answers tell apart: their columns, or 2 for a single one.

    Raises:
        ValueError: there are several outputs, or one that is not (n, classes).
    """
    shape = getattr(outputs, "shape", None)
    if shape is None:
        raise ValueError(
            f"the target must have one output, the class scores. Received {len(outputs)} outputs: {outputs!r}"
        )
    if len(shape) != 2:
        raise ValueError(
            "the target must be a classifier that answers with one row of class scores a record, shape "
            f"(n, classes). Received an output of shape {tuple(shape)}"
        )
    return max(shape[-1], 2)


def answers_are_logits(target, loss):
    """Whether a target answers with logits, from its last activation and its compiled loss.

    Raises:
        ValueError: activation and loss contradict each other, the loss is one of regression, or neither tells.
    """
    activation, _ = last_activation(target)
    wants_logits = loss_wants_logits(loss)
    if activation in ("softmax", "sigmoid", DEFENCE):
        if wants_logits:
            raise ValueError(
                f"the target ends in {activation}, so it answers with probabilities, but its loss expects logits. "
                f"Remove from_logits=True from the loss, or the activation. Received: loss={loss!r}"
            )
        return False
    if activation == "linear":
        if wants_logits is None:
            raise ValueError(
                "the target is not a classifier that mpreg can read: its last layer has no activation and its "
                f"loss is not a cross-entropy. Received: loss={loss!r}. If it answers with logits, say from_logits=True"
            )
        if not wants_logits:
            raise ValueError(
                "the target answers with logits (its last layer has no activation), but its loss takes them for "
                f"probabilities. Use a loss with from_logits=True, or end in softmax. Received: loss={loss!r}"
            )
        return True
    if wants_logits is None:
        raise ValueError(
            "cannot tell whether the target answers with logits or probabilities: "
            f"say from_logits=True or from_logits=False. Received: loss={loss!r}"
        )
    return wants_logits
