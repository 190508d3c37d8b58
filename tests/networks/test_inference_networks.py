"""Inference networks: what they read, their sizes, their seeds, and what is let in."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from mpreg.networks import inference

NETWORKS = inference.NETWORKS


def answers(count=5, classes=7, seed=0):
    """Log-probabilities and one-hot labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, classes)).astype("float32")
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return [log_probabilities, np.eye(classes, dtype="float32")[rng.integers(0, classes, count)]]


@pytest.mark.parametrize("classes", [2, 3, 100])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_gives_one_logit_a_record(name, classes):
    network = NETWORKS[name](classes)
    assert network(answers(classes=classes)).shape == (5, 1)
    assert network.layers[-1].activation is keras.activations.linear


def test_published_and_compact_sizes_at_a_hundred_classes():
    dense = [(100, 1024), (1024, 512), (512, 64), (100, 128), (128, 64), (128, 512)]
    dense += [(512, 256), (256, 128), (128, 64), (64, 1)]
    assert NETWORKS["nasr2018"](100).count_params() == sum(a * b + b for a, b in dense)
    assert NETWORKS["compact"](100).count_params() == 100 * 8 + (12 + 8) * 64 + 64 + 64 * 64 + 64 + 64 + 1


def test_published_weights_are_drawn_with_a_hundredth_of_a_deviation():
    network = NETWORKS["nasr2018"](100)
    kernels = np.concatenate([w.numpy().ravel() for w in network.weights if len(w.shape) > 1])
    assert kernels.std() == pytest.approx(0.01, rel=0.02)
    assert abs(kernels.mean()) < 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_follow_the_seed_and_nothing_else(name):
    keras.utils.set_random_seed(1)
    first = NETWORKS[name](4, seed=3)
    keras.utils.set_random_seed(2)
    same, other = NETWORKS[name](4, seed=3), NETWORKS[name](4, seed=4)
    for a, b, c in zip(first.get_weights(), same.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or np.any(a != c)


def test_no_two_layers_start_alike():
    kernels = [w.numpy() for w in NETWORKS["compact"](64).weights if w.shape == (64, 64)]
    kernels += [w.numpy()[:64] for w in NETWORKS["nasr2018"](64).weights if w.shape == (64, 1)]
    hidden = [w.numpy() for w in NETWORKS["nasr2018"](128).weights if w.shape == (128, 64)]
    assert len(hidden) == 2 and np.any(hidden[0] != hidden[1])
    assert len(kernels) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_policies_do_not_reach_them(name):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = NETWORKS[name](4)
        logits = network(answers(classes=4))
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    np.testing.assert_array_equal(logits, NETWORKS[name](4)(answers(classes=4)))


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_reloaded_they_answer_the_same(name, tmp_path):
    network = NETWORKS[name](4)
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(network(answers(classes=4)), again(answers(classes=4)))


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_the_summary_is_ranked_answers_the_true_class_and_the_entropy(classes):
    log_probabilities, labels = answers(classes=classes)
    summary = inference.ConfidenceSummary()([log_probabilities, labels]).numpy()
    ranked = -np.sort(-log_probabilities, axis=1)[:, :10]
    probabilities = np.exp(log_probabilities)
    assert summary.shape == (5, min(classes, 10) + 2)
    np.testing.assert_allclose(summary[:, :-2], ranked, rtol=1e-6)
    np.testing.assert_allclose(summary[:, -2], log_probabilities[labels == 1], rtol=1e-6)
    np.testing.assert_allclose(summary[:, -1], -(probabilities * log_probabilities).sum(axis=1), rtol=1e-5)


def test_the_summary_does_not_depend_on_the_order_of_the_classes():
    log_probabilities, labels = answers()
    order = np.random.default_rng(1).permutation(7)
    layer = inference.ConfidenceSummary()
    plain = layer([log_probabilities, labels])
    np.testing.assert_allclose(plain, layer([log_probabilities[:, order], labels[:, order]]), rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_answer_that_is_sure_beyond_float32_does_not_destroy_them(name):
    log_probabilities = np.array([[0.0, -np.inf if name == "compact" else -1e4, -1e4, -1e4]], "float32")
    labels = np.eye(4, dtype="float32")[[1]]
    assert np.isfinite(NETWORKS[name](4)([log_probabilities, labels]).numpy()).all()


# What is let in.


class Odd(keras.Model):
    def __init__(self, shape):
        super().__init__()
        self.wanted = shape

    def call(self, inputs):
        return ops.zeros(self.wanted)


def test_a_model_of_the_users_is_taken_as_it_is():
    inputs = [keras.Input((3,)), keras.Input((3,))]
    network = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))
    assert inference.build_inference_network(network, 3) is network


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.unit = layers.Dense(1)

    def call(self, inputs):
        return self.unit(ops.concatenate(inputs, axis=-1))


def test_a_model_that_is_not_built_is_built():
    network = inference.build_inference_network(Unbuilt(), 3)
    assert len(network.trainable_variables) == 2


@pytest.mark.parametrize(
    ("network", "quoted"),
    [
        ("compakt", "'compakt'"),
        (None, "None"),
        (inference.compact, "function compact"),
        (inference.compact(4), r"\(n, 3\)"),
        (Odd((2,)), r"\(2,\)"),
        (Odd((2, 2)), r"\(2, 2\)"),
    ],
)
def test_anything_else_is_refused_with_what_it_was(network, quoted):
    with pytest.raises(ValueError, match=quoted):
        inference.build_inference_network(network, 3)
