"""Inference networks, which classify a prediction and its true label as member or non-member.

An inference network is a `keras.Model` called on `[log_probabilities, labels]`, float tensors of shape
(n, classes) and one-hot (n, classes), that returns one logit a record, shape (n, 1): above zero means member.
"""

from typing import Any

import keras
from keras import layers, ops

MAX_RANKED = 10
LOWEST_LOG_PROBABILITY = -30.0


@keras.saving.register_keras_serializable("mpreg")
class ConfidenceSummary(layers.Layer):
    """Computes ranked log-probabilities, that of the true class, and the entropy.

    Call arguments: `[log_probabilities, labels]`, both (n, classes); `labels` one-hot.
    Returns (n, min(classes, 10) + 2). Log-probabilities are cut off at -30: an attacker gains nothing
    below it and one infinite value would destroy the network.
    """

    def call(self, inputs):
        log_probabilities, labels = inputs
        log_probabilities = ops.maximum(log_probabilities, LOWEST_LOG_PROBABILITY)
        ranked, _ = ops.top_k(log_probabilities, min(MAX_RANKED, log_probabilities.shape[-1]))
        true_class = ops.sum(log_probabilities * labels, axis=-1, keepdims=True)
        entropy = -ops.sum(ops.exp(log_probabilities) * log_probabilities, axis=-1, keepdims=True)
        return ops.concatenate([ranked, true_class, entropy], axis=-1)

    def compute_output_shape(self, input_shape):
        shape, _ = input_shape
        return (*shape[:-1], min(MAX_RANKED, shape[-1]) + 2)


def compact(classes: int, *, seed: int = 0):
    """Builds the default inference network: a summary of the prediction and a label embedding, 64-64-1.

    A few thousand parameters where the published network has 0.9 million; it reads the same answer and label.

    Args:
        classes: number of classes, at least 2.
        seed: seed of the initial weights.

    Example:
    ```python
    model = mpreg.AdversarialRegularization(target, reference, inference_network="compact")
    ```
    """
    log_probabilities, labels = _inputs(classes)
    seeds = iter(range(seed * 16, seed * 16 + 16))

    def dense(tensor, units, activation=None, use_bias=True):
        initializer = keras.initializers.GlorotUniform(seed=next(seeds))
        layer = layers.Dense(
            units, activation, use_bias=use_bias, kernel_initializer=initializer, dtype="float32"
        )
        return layer(tensor)

    summary = ConfidenceSummary(dtype="float32")([log_probabilities, labels])
    embedding = dense(labels, 8, use_bias=False)
    hidden = layers.Concatenate(dtype="float32")([summary, embedding])
    for units in (64, 64):
        hidden = dense(hidden, units, "relu")
    return keras.Model([log_probabilities, labels], dense(hidden, 1), name="compact_inference_network")


def nasr2018(classes: int, *, seed: int = 0):
    """Builds the published inference network: about 0.9 million parameters, all weights from N(0, 0.01).

    The answer passes 1024-512-64, the label 128-64, and the two together 512-256-128-64-1, all ReLU: the
    layers of the authors' Purchase100 code.

    Source: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, section 3.3.

    Args:
        classes: number of classes, at least 2.
        seed: seed of the initial weights.

    Example:
    ```python
    model = mpreg.AdversarialRegularization(target, reference, inference_network="nasr2018")
    ```
    """
    return _published(
        classes, seed, "nasr2018", answer=(1024, 512, 64), label=(128, 64), both=(512, 256, 128, 64)
    )


def nasr2018_texas100(classes, *, seed=0):
    """Builds the inference network of the authors' Texas100 code: 512-64 for the prediction, 64 for the label.

    The two together pass 64-1. All else is as in `nasr2018`.
    """
    widths = {"answer": (512, 64), "label": (64,), "both": (64,)}
    return _published(classes, seed, "nasr2018_texas100", **widths, label_activation=None)


def nasr2018_cifar100(classes, *, seed=0):
    """Builds the inference network of the authors' CIFAR-100 code: as `nasr2018`, with a last part 256-128-64-1.

    It reads labels as 1 for the class and -1 for all others.
    """
    widths = {"answer": (1024, 512, 64), "label": (128, 64), "both": (256, 128, 64)}
    return _published(classes, seed, "nasr2018_cifar100", **widths, signed_labels=True)


def _published(classes, seed, name, *, answer, label, both, label_activation="relu", signed_labels=False):
    """Dense layers by their widths, all weights from N(0, 0.01), and one logit."""
    inputs = log_probabilities, labels = _inputs(classes)
    seeds = iter(range(seed * 16, seed * 16 + 16))

    def stack(tensor, widths, activation="relu"):
        for units in widths:
            initializer = keras.initializers.RandomNormal(stddev=0.01, seed=next(seeds))
            tensor = layers.Dense(units, activation, kernel_initializer=initializer, dtype="float32")(tensor)
        return tensor

    answer = stack(log_probabilities, answer)
    if signed_labels:
        labels = layers.Rescaling(2.0, -1.0, dtype="float32")(labels)
    label = stack(labels, label, label_activation)
    joined = layers.Concatenate(dtype="float32")([answer, label])
    logit = stack(stack(joined, both), (1,), None)
    return keras.Model(list(inputs), logit, name=f"{name}_inference_network")


NETWORKS = {
    "compact": compact,
    "nasr2018": nasr2018,
    "nasr2018_texas100": nasr2018_texas100,
    "nasr2018_cifar100": nasr2018_cifar100,
}


def build_inference_network(network: Any, classes: int, *, seed: int = 0):
    """Returns the inference network of a name, or checks and returns a `keras.Model`.

    Args:
        network: a name in `NETWORKS` or a `keras.Model` called on `[log_probabilities, labels]`, both (n, classes),
            that returns one logit a record.
        classes: number of classes.
        seed: seed of the initial weights, where the network is made here.

    Raises:
        ValueError: an unknown name, or a model whose output is not one logit a record.
    """
    if isinstance(network, str):
        if network not in NETWORKS:
            raise ValueError(
                f"inference_network must be one of {sorted(NETWORKS)} or a keras.Model. Received: {network!r}"
            )
        return NETWORKS[network](classes, seed=seed)
    if not isinstance(network, keras.Model):
        raise ValueError(
            f"inference_network must be one of {sorted(NETWORKS)} or a keras.Model called on "
            f"[log_probabilities, labels]. Received: {network!r}"
        )
    try:
        output = network([ops.zeros((2, classes)), ops.zeros((2, classes))])
    except Exception as error:
        raise ValueError(
            f"inference_network must accept [log_probabilities, labels], both of shape (n, {classes}). "
            f"Calling it failed: {error}"
        ) from error
    if tuple(output.shape) != (2, 1):
        raise ValueError(
            "inference_network must return one logit a record, shape (n, 1). "
            f"Received an output of shape {tuple(output.shape)} for 2 records."
        )
    return network


def _inputs(classes):
    return (
        keras.Input((classes,), dtype="float32", name="log_probabilities"),
        keras.Input((classes,), dtype="float32", name="labels"),
    )
