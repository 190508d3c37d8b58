"""A classifier's outputs and labels in TensorFlow graphs: log-probabilities, distributions, one-hot labels."""

import keras
from keras import ops

from mpreg.classifiers.arrays import only_output
from mpreg.classifiers.floors import LOWEST_IN_GRAPHS


def log_probabilities(outputs, *, from_logits):
    """Returns log-probabilities, float32 (n, classes), of logits or probabilities; one unit means two classes."""
    outputs = only_output(outputs)
    logits = None if from_logits else logits_behind(outputs)
    if logits is not None:
        outputs, from_logits = logits, True
    outputs = ops.cast(outputs, "float32")
    if outputs.shape[-1] == 1:
        if from_logits:
            return ops.concatenate([ops.log_sigmoid(-outputs), ops.log_sigmoid(outputs)], axis=-1)
        outputs = ops.concatenate([1.0 - outputs, outputs], axis=-1)
    if from_logits:
        return ops.log_softmax(outputs, axis=-1)
    return ops.log(ops.maximum(outputs, LOWEST_IN_GRAPHS))


def logits_behind(probabilities):
    """The logits that Keras' softmax and sigmoid hand on for Keras' own cross-entropies; None where there are none.

    The gradient of log p through p vanishes, or overflows in float16, where an answer is sure: that through them
    does not.
    """
    return getattr(probabilities, "_keras_logits", None)


def label_distributions(labels, classes):
    """Returns distributions, float32 (n, classes), of labels as a compiled cross-entropy takes them.

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
    """Returns one-hot labels, float32 (n, classes), of the largest class of `label_distributions`."""
    return ops.one_hot(ops.argmax(label_distributions(labels, classes), axis=-1), classes, dtype="float32")


def count_classes(outputs):
    """Returns the number of classes of predictions: their columns, or 2 for a single one.

    Raises:
        ValueError: there are several outputs, or one that is not (n, classes).
    """
    scores = only_output(outputs)
    if scores is None:
        raise ValueError(
            f"the target must have one output, the class scores. Received {len(outputs)} outputs: {outputs!r}"
        )
    shape = scores.shape
    if len(shape) != 2:
        raise ValueError(
            "the target must be a classifier that answers with one row of class scores a record, shape "
            f"(n, classes). Received an output of shape {tuple(shape)}. If it answers at many positions, "
            'MembershipSplit(..., decisions="positions") measures it; of the defences, DP-SGD trains such a model'
        )
    return max(shape[-1], 2)
