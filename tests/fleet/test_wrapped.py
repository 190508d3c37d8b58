"""Fleets of training defences: each replica is what the same defence makes of the same records alone."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import CLASSES, FEATURES, assert_same_weights, records

import mpreg
from mpreg.fleet import Fleet
from mpreg.fleet.schedule import epoch_order

EPOCHS, BATCH, SIZE = 11, 8, 16  # epochs: the game puts its average in place from ten on
REFERENCE = records(20, seed=3)


def target(*extra):
    stack = [keras.Input((FEATURES,)), layers.Dense(8, "tanh"), *extra, layers.Dense(CLASSES, "softmax")]
    return keras.Sequential(stack)


def noisy():
    return target(layers.BatchNormalization(), layers.Dropout(0.3))


def game(model, **options):
    """A game whose reference draws and first inference network differ from replica to replica."""
    seed = random.randrange(99)
    return mpreg.AdversarialRegularization(model, REFERENCE, reference_batch_size=8, seed=seed, **options)


WRAPPED = {
    "RelaxLoss": lambda: mpreg.RelaxLoss(target(), alpha=0.9, flatten="wrong"),
    "MixUp and ConfidencePenalty": lambda: mpreg.MixUpMMD(
        mpreg.ConfidencePenalty(noisy(), weight=0.1), mmd_weight=0.0, seed=random.randrange(99)
    ),
    "game": lambda: game(noisy()),
    "published game": lambda: game(
        target(), penalty=2.0, reference_gain=False, warmup_epochs=1, attack_steps=2
    ),
}


def build(wrapped):
    model = wrapped()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def draw(count, size=SIZE):
    membership = np.zeros((count, 48), bool)
    for replica, own in enumerate(membership):
        own[np.random.default_rng(replica).choice(48, size, replace=False)] = True
    return membership


def trained(wrapped, membership, *, epochs=EPOCHS, batch_size=BATCH, **options):
    x, y = records()
    fleet = Fleet(lambda: build(wrapped), len(membership), seed=5, **options)
    return fleet.fit(x, y, membership=membership, epochs=epochs, batch_size=batch_size, verbose=0)


def fitted_alone(wrapped, own, replica, *, epochs=EPOCHS):
    """A replica trained by its own `fit` on the batches that the fleet takes; and its losses."""
    x, y = records()

    def batches():
        for epoch in range(epochs):
            order = epoch_order(np.flatnonzero(own), seed=5, replica=replica, epoch=epoch)
            for start in range(0, len(order), BATCH):
                yield x[order[start : start + BATCH]], y[order[start : start + BATCH]]

    kinds = tf.TensorSpec((None, FEATURES)), tf.TensorSpec((None,), tf.int32)
    keras.utils.set_random_seed(5 + replica)
    model = build(wrapped)
    steps = -(-int(own.sum()) // BATCH)
    data = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    history = model.fit(data, epochs=epochs, steps_per_epoch=steps, verbose=0, shuffle=False)
    return model, history.history["loss"]


@pytest.fixture
def one_stack(monkeypatch):
    """All replicas in one stack: a stack of one is not vectorized."""
    monkeypatch.setattr("mpreg.fleet.fleet.cores", lambda: 1)


@pytest.mark.usefixtures("one_stack")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "published game" else ()) for name in WRAPPED],
)
def test_replicas_equal_defences_fitted_alone(name):
    membership = draw(2)
    fleet = trained(WRAPPED[name], membership)
    assert fleet.how == "one program, waves of 2"
    alone, losses = fitted_alone(WRAPPED[name], membership[1], 1)
    assert_same_weights(fleet.model(1).target_model, alone.target_model, atol=5e-6)
    np.testing.assert_allclose(fleet.losses[1], losses, rtol=1e-4, atol=1e-6)
    answers = fleet.predict(records()[0])
    np.testing.assert_allclose(answers[1], alone.target_model(records()[0]), atol=1e-5)
    assert not np.allclose(answers[0], answers[1], atol=1e-2)


@pytest.mark.usefixtures("one_stack")
def test_a_replica_whose_optimizer_starts_afresh_is_steps_behind_the_others(monkeypatch):
    """The second of two is put back to its best epoch after three; the first goes on."""
    seeds = []

    def wrapped():
        seeds.append(random.randrange(99))
        return mpreg.AdversarialRegularization(target(), REFERENCE, reference_batch_size=8, seed=seeds[-1])

    monkeypatch.setattr(
        "mpreg.training.game.collapse.CollapseWatch._collapsed",
        lambda watch, fare: int(watch.game.draws.value) == seeds[1] and len(watch._since) == 3,
    )
    membership = draw(2)
    for replica in range(2):  # known before the fleet draws the same ones
        keras.utils.set_random_seed(5 + replica)
        wrapped()
    with pytest.warns(UserWarning, match="the classifier has collapsed"):
        fleet = trained(wrapped, membership, epochs=5)
        alone, _ = fitted_alone(wrapped, membership[1], 1, epochs=5)
    assert seeds[0] != seeds[1]
    assert_same_weights(fleet.model(1).target_model, alone.target_model, atol=5e-6)


def test_callbacks_of_a_defence_run_for_each_replica_and_later_waves_begin_afresh():
    """Passes of the discrepancy are steps of the compiled optimizer between epochs, by the replica's own records."""

    def mmd():
        return mpreg.MixUpMMD(target(), REFERENCE, alpha=0, gap=0.0, seed=random.randrange(99))

    membership, (x, y) = draw(2), records()
    # In one batch the order within it does not count, neither in an epoch nor in a pass.
    fleet = trained(mmd, membership, epochs=3, batch_size=SIZE, memory=1)
    assert fleet.how == "one program, waves of 1"
    for replica, own in enumerate(membership):
        keras.utils.set_random_seed(5 + replica)
        alone = build(mmd)
        alone.fit(x[own], y[own], batch_size=SIZE, epochs=3, verbose=0, shuffle=False)
        assert_same_weights(fleet.model(replica).target_model, alone.target_model, atol=5e-6)


class Own(mpreg.RelaxLoss):
    def train_step(self, data):
        return super().train_step(data)


def of_one_network():
    network = keras.Sequential([layers.Concatenate(), layers.Dense(1)])
    return lambda: game(target(), inference_network=network)


STREAM = tf.data.Dataset.from_tensor_slices(REFERENCE)
REFUSED = {
    "MembershipGame, which streams its reference records": lambda: mpreg.AdversarialRegularization(
        target(), STREAM
    ),
    "train a Own, which has a train_step of its own": lambda: Own(target(), alpha=0.5),
    "train a DPSGD, which has a train_step of its own": lambda: mpreg.DPSGD(
        target(), noise_multiplier=1.0, l2_norm_clip=1.0
    ),
    "wraps other optimizers": lambda: game(
        target(), attack_optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    ),
    "new model each time, with networks and optimizers of its own": of_one_network(),
}


@pytest.mark.parametrize("message", REFUSED)
def test_defences_that_a_fleet_cannot_train_are_refused_by_name(message):
    with pytest.raises(ValueError, match=message):
        trained(REFUSED[message], draw(2), epochs=1)


def test_a_checkpoint_of_other_reference_records_is_refused(tmp_path):
    x, y = records()

    def train(shift):
        def wrapped():
            return mpreg.MixUpMMD(target(), records(20, shift=shift), alpha=0)

        fleet = Fleet(lambda: build(wrapped), 1)
        return fleet.fit(
            x, y, membership=draw(1), epochs=1, batch_size=SIZE, checkpoint=tmp_path / "fleet.npz"
        )

    first, again = train(0.0), train(0.0)
    assert_same_weights(first.model(0), again.model(0))
    with pytest.raises(ValueError, match="another fleet: reference records differ"):
        train(1.0)
