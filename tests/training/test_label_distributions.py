"""Labels that are distributions stay distributions, in every wrapper that relabels."""

import keras
import numpy as np
import pytest
from support import CLASSES, assert_same_weights, mlp, records

import mpreg
from mpreg.classifiers.tensors import label_distributions, one_hot_labels

SOFT = np.random.default_rng(1).dirichlet([1.0] * CLASSES, 48).astype("float32")


def fitted(wrap, *, target=None, labels=SOFT, loss="categorical_crossentropy"):
    target = target or mlp()
    model = wrap(target)
    model.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=True)
    model.fit(records()[0], labels, epochs=3, batch_size=16, shuffle=False, verbose=0)
    return target


@pytest.mark.parametrize(
    "wrap",
    [
        lambda target: mpreg.LabelSmoothing(target, smoothing=1e-7),
        lambda target: mpreg.MixUpMMD(target, alpha=1e-6, mmd_weight=0),
    ],
    ids=["label smoothing", "mixup"],
)
def test_a_relabelling_of_nothing_is_plain_training_on_the_distributions(wrap):
    assert_same_weights(fitted(wrap), fitted(lambda target: target), atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothing_mixes_the_distributions_with_the_even_one(smoothing):
    """Against Keras trained on labels that NumPy smoothed."""
    by_hand = fitted(lambda target: target, labels=(1 - smoothing) * SOFT + smoothing / CLASSES)
    assert_same_weights(fitted(lambda t: mpreg.LabelSmoothing(t, smoothing=smoothing)), by_hand, atol=1e-5)


def test_one_unit_takes_the_probability_of_class_one():
    soft = np.random.default_rng(2).uniform(size=(48, 1)).astype("float32")
    options = {"labels": soft, "loss": "binary_crossentropy"}
    plain = fitted(lambda t: t, target=mlp(units=1, activation="sigmoid"), **options)
    smoothed = fitted(
        lambda t: mpreg.LabelSmoothing(t, smoothing=1e-7),
        target=mlp(units=1, activation="sigmoid"),
        **options,
    )
    assert_same_weights(smoothed, plain, atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([2, 0], 3, [[0, 0, 1], [1, 0, 0]]),
        ([[2.0], [0.0]], 3, [[0, 0, 1], [1, 0, 0]]),
        ([[0.2, 0.5, 0.3]], 3, [[0.2, 0.5, 0.3]]),
        ([[0.25], [1.0]], 2, [[0.75, 0.25], [0, 1]]),
        ([0, 1], 2, [[1, 0], [0, 1]]),
        ([[False], [True]], 2, [[1, 0], [0, 1]]),
    ],
)
def test_labels_are_read_as_keras_cross_entropies_read_them(labels, classes, expected):
    labels = np.array(labels)
    read = label_distributions(labels, classes)
    np.testing.assert_allclose(read, expected, atol=1e-7)
    np.testing.assert_array_equal(
        one_hot_labels(labels, classes), np.eye(classes)[np.argmax(expected, axis=1)]
    )
