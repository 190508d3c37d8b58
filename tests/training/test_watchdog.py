"""The watchdog: it tells a collapsed inference network from a young, a beaten or a working one, and revives it."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import CLASSES, LOSS, linear_attacker, mlp, records, weights_of

import mpreg
from mpreg.training.game import watchdog


def evidence_of(steps, advantage, auc):
    evidence = watchdog.BatchEvidence(lambda name, value: tf.Variable(value))
    for total, value in ((evidence.steps, 1.0), (evidence.advantage, advantage), (evidence.auc, auc)):
        total.assign(value * steps)
    return evidence


@pytest.mark.parametrize(
    ("steps", "advantage", "auc", "verdict"),
    [
        (100, 0.0, 0.7, True),  # blind, while one threshold sees
        (100, -0.1, 0.7, True),
        (20, 0.0, 0.7, False),  # young
        (100, 0.0, 0.52, False),  # there is nothing to see
        (100, 0.2, 0.7, False),  # sees
    ],
)
def test_collapsed_is_blind_where_a_threshold_sees(steps, advantage, auc, verdict):
    assert watchdog.collapsed(evidence_of(steps, advantage, auc)) == verdict


def test_the_evidence_is_the_auc_of_the_true_class_over_present_records():
    evidence = evidence_of(0, 0, 0)
    labels = tf.one_hot([0, 1, 0], CLASSES)
    member = tf.constant([[-0.1, -9, -9], [-9, -0.2, -9], [-7.0, -9, -9]])  # true class: -.1, -.2, -7
    other = tf.constant([[-0.2, -9, -9], [-9, -3.0, -9], [-0.05, -9, -9]])  # true class: -.2, -3, -.05
    evidence.update(0.25, (member, labels), tf.constant([1.0, 1.0, 0.0]), (other, labels))
    assert float(evidence.auc.numpy()) == pytest.approx((2 / 3 + 1.5 / 3) / 2)
    assert float(evidence.advantage.numpy()) == 0.25
    evidence.reset()
    assert [float(total.numpy()) for total in (evidence.steps, evidence.auc)] == [0, 0]


def telltale_target():
    """A target at rest that is surer of what has a large first feature: members, in `collapsing`."""
    target = mlp()
    kernel, bias, last, _ = weights_of(target)
    target.set_weights([0 * kernel, 0 * bias, 0 * last, np.zeros(CLASSES, "float32")])
    kernel[0, 0] = 5.0
    last[0] = [5.0, 0, 0]
    target.set_weights([kernel * (np.arange(len(kernel)) == 0)[:, None], bias, last, np.zeros(CLASSES)])
    return target


def collapsing(network=None, **options):
    """A model whose inference network is dead, and its members, whom a threshold tells apart."""
    x, _ = records(64)
    x[:, 0] = 1.0
    other, _ = records(64, seed=9)
    other[:, 0] = -1.0
    y = np.zeros(64, int)
    if network is None:
        network = linear_attacker()
        network.set_weights([0 * w for w in weights_of(network)])
    options = {"penalty": 0.0, "warmup_epochs": 0, "attack_optimizer": keras.optimizers.SGD(0.0), **options}
    model = mpreg.AdversarialRegularization(
        telltale_target(), (other, y), inference_network=network, **options
    )
    model.compile(keras.optimizers.SGD(0.0), LOSS)
    return model, (x, y)


def test_a_collapse_is_reported_once_and_the_network_starts_again():
    model, members = collapsing()
    with pytest.warns(UserWarning, match="collapsed") as caught:
        model.fit(*members, batch_size=1, epochs=1, verbose=0)
    assert len([w for w in caught if "collapsed" in str(w.message)]) == 1
    assert np.abs(weights_of(model.game.inference_network)[0]).max() > 0
    assert int(model.game.warmup_left.numpy()) == 1
    model.game.inference_network.set_weights([0 * w for w in weights_of(model.game.inference_network)])
    with warnings.catch_warnings():  # collapsed again, in another fit: it starts again without another word
        warnings.simplefilter("error")
        model.fit(*members, batch_size=1, epochs=1, verbose=0)
    assert np.abs(weights_of(model.game.inference_network)[0]).max() > 0


def test_the_epoch_after_a_collapse_charges_nothing_and_the_next_one_does():
    model, members = collapsing(attack_optimizer="adam")
    charges = []
    seen = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: charges.append(float(model.game.charging.numpy()))
    )
    with pytest.warns(UserWarning, match="collapsed"):
        model.game.evidence.steps.assign(1000.0)  # as if it had been blind for long
        model.game.evidence.auc.assign(900.0)
        model.fit(*members, batch_size=32, epochs=3, verbose=0, callbacks=[seen])
    assert charges == [1, 1, 0, 0, 1, 1]


def test_a_network_that_works_is_left_alone():
    model, members = collapsing(linear_attacker(), attack_optimizer=keras.optimizers.SGD(0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(*members, batch_size=1, epochs=2, verbose=0).history
    assert history["inference_accuracy"][-1] > 0.9


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "rmsprop"])
def test_a_fresh_start_is_that_of_a_new_optimizer_at_the_rate_set_by_hand(optimizer):
    model, members = collapsing(attack_optimizer=optimizer)
    game = model.game
    fresh = [slot.numpy() for slot in game.attack_optimizer.variables]
    model.compile("sgd", LOSS, run_eagerly=True)
    model.fit(*members, batch_size=32, verbose=0)
    assert any(np.any(a.numpy() != b) for a, b in zip(game.attack_optimizer.variables, fresh, strict=True))
    game.attack_optimizer.learning_rate = 0.125
    watchdog.rewarm(game)
    assert float(game.attack_optimizer.learning_rate) == 0.125
    for slot, value in zip(game.attack_optimizer.variables, fresh, strict=True):
        if slot.name != "learning_rate":
            np.testing.assert_array_equal(slot, value)


def test_a_fresh_start_leaves_scales_alive():
    inputs = [keras.Input((CLASSES,)), keras.Input((CLASSES,))]
    hidden = layers.LayerNormalization()(layers.Dense(4)(layers.Concatenate()(inputs)))
    network = keras.Model(inputs, layers.Dense(1)(hidden))
    model, _ = collapsing(network)
    for weight in network.trainable_variables:
        weight.assign(weight * 0)
    watchdog.rewarm(model.game)
    gamma = next(w for w in network.trainable_variables if w.name == "gamma")
    np.testing.assert_array_equal(gamma, np.ones(4))
    assert all(np.abs(w.numpy()).max() > 0 for w in network.trainable_variables if len(w.shape) > 1)
