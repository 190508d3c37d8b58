"""Membership-invariant training against a transcription of its rounds in NumPy."""

import keras
import numpy as np
import pytest

import mpreg
from mpreg.ensembles.membership_invariant import deal

RATE, CLASSES = 0.5, 3


def linear(rate=RATE):
    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(CLASSES, activation="softmax")])
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        return model

    return build


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 4)).astype(np.float32), rng.integers(CLASSES, size=24)


def softmax(x, weights):
    scores = x @ weights[0] + weights[1]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def step(x, slopes, weights):
    """A step of gradient descent, from the loss's slopes by the scores of each record, (n, classes)."""
    return [weights[0] - RATE * x.T @ slopes, weights[1] - RATE * slopes.sum(axis=0)]


def test_rounds_are_those_of_the_paper(records):
    """Full batches, plain gradient descent: each round as the definition has it."""
    x, y = records
    found = mpreg.MembershipInvariantTraining(
        linear(), submodels=3, local_epochs=2, match_epochs=2, weight=5.0, seed=3
    ).fit(x, y, epochs=4, batch_size=24, verbose=0)

    keras.utils.set_random_seed(3)
    weights = linear()().get_weights()
    rng = np.random.default_rng(3)
    for _ in range(2):
        parts = deal(np.arange(24), 3, rng)
        models = []
        for part in parts:
            own = weights
            for _ in range(2):
                slopes = (softmax(x[part], own) - np.eye(CLASSES)[y[part]]) / len(part)
                own = step(x[part], slopes, own)
            models.append(own)
        for part in (*parts, *parts):  # what the batches of both phases draw, in full batches without effect
            for _ in range(2):
                rng.permutation(part)
        for at, part in enumerate(parts):
            others = np.mean([softmax(x[part], m) for j, m in enumerate(models[:3]) if j != at], axis=0)
            own = models[at]
            for _ in range(2):
                answers = softmax(x[part], own)
                apart = np.sign(answers - others) * 5.0 / (CLASSES * len(part))
                slopes = answers * (apart - (answers * apart).sum(axis=1, keepdims=True))
                own = step(x[part], slopes, own)
            models.append(own)
        weights = [np.mean(values, axis=0) for values in zip(*models[3:], strict=True)]
    for value, expected in zip(found.target_model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(value, expected, atol=2e-5)


def test_matching_brings_members_towards_others(records):
    """What a record's own sub-model knows and the others do not is undone: a smaller gap than by averaging alone."""
    rng = np.random.default_rng(1)
    x, y = (
        rng.normal(size=(60, 30)).astype(np.float32),
        rng.integers(2, size=60),
    )  # nothing can be known but by heart

    def build():
        model = keras.Sequential(
            [keras.Input((30,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(2, "softmax")]
        )
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        return model

    def accuracy(match_epochs):
        model = mpreg.MembershipInvariantTraining(
            build, submodels=3, local_epochs=4, match_epochs=match_epochs
        )
        model.fit(x, y, epochs=16, batch_size=20, verbose=0)
        return np.mean(model.predict(x, verbose=0).argmax(axis=1) == y)

    assert accuracy(12) < accuracy(1) - 0.1


def test_parts_hold_all_records_once_and_equal_ones_together():
    groups = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5])
    parts = deal(groups, 3, np.random.default_rng(0))
    assert sorted(np.concatenate(parts)) == list(range(9))
    assert all(
        len({at for at, part in enumerate(parts) if np.isin(np.flatnonzero(groups == one), part).any()}) == 1
        for one in range(6)
    )


def test_history_and_the_served_model(records, tmp_path):
    x, y = records
    model = mpreg.MembershipInvariantTraining(linear(), submodels=2, local_epochs=1, match_epochs=1).fit(
        x, y, epochs=3, batch_size=4, verbose=0
    )
    assert [len(values) for values in model.history.values()] == [3, 3]
    assert np.isfinite(list(model.history.values())).all()
    path = tmp_path / "classifier.keras"
    model.target_model.save(path)
    np.testing.assert_allclose(
        keras.saving.load_model(path).predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    assert not model.consumes_reference


def test_the_same_seed_gives_the_same_classifier(records):
    def weights(seed):
        model = mpreg.MembershipInvariantTraining(linear(), submodels=2, seed=seed)
        return model.fit(*records, epochs=1, batch_size=8, verbose=0).target_model.get_weights()[0]

    first = weights(1)
    np.testing.assert_array_equal(first, weights(1))
    assert not np.array_equal(first, weights(2))


def test_what_it_refuses(records):
    x, y = records
    make = mpreg.MembershipInvariantTraining
    for options, words in (
        ({"submodels": 1}, "submodels=1"),
        ({"local_epochs": 0}, "local_epochs=0"),
        ({"match_epochs": 0}, "match_epochs=0"),
        ({"weight": 0}, "weight=0"),
        ({"seed": -1}, "seed=-1"),
    ):
        with pytest.raises(ValueError, match=words):
            make(linear(), **options)
    with pytest.raises(TypeError, match="build_fn"):
        make(linear()())
    with pytest.raises(RuntimeError, match="call fit first"):
        make(linear()).predict(x)
    with pytest.raises(ValueError, match="at least as many different records as sub-models, 5. Received: 2"):
        make(linear()).fit(np.repeat(x[:2], 8, axis=0), np.zeros(16, int), epochs=1)
    with pytest.raises(ValueError, match="follows a schedule"):
        make(linear(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))).fit(x, y, epochs=1)
