"""What shadow models take from a target that nobody describes."""

import keras
import numpy as np
import pytest
from keras import layers
from support import CLASSES, FEATURES, mlp, records

import mpreg


def fitted(model, *, epochs=4, callbacks=(), rate=0.1, batch_size=16):
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    model.fit(*records(), epochs=epochs, batch_size=batch_size, verbose=0, callbacks=list(callbacks))
    return model


def rates_of(fleet, steps=3):
    """The learning rate of the first step of each epoch."""
    schedule = fleet.build_fn().optimizer._learning_rate
    return [float(schedule(epoch * steps)) for epoch in range(fleet.epochs)]


def test_rates_that_a_callback_set_are_those_of_the_epochs():
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 2 else 0.01 / epoch)
    fleet = mpreg.ShadowFleet.like(fitted(mlp(), callbacks=[falling]), members=48)
    np.testing.assert_allclose(rates_of(fleet), [0.1, 0.1, 0.005, 0.01 / 3], rtol=1e-5)
    assert "0.1 at first and 0.00333 at last" in fleet.notes[0]


def test_a_compiled_schedule_is_the_targets_from_its_start():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.2, 3, 0.5)
    fleet = mpreg.ShadowFleet.like(fitted(mlp(), rate=schedule), members=48)
    np.testing.assert_allclose(rates_of(fleet), [0.2, 0.1, 0.05, 0.025], rtol=1e-5)
    assert "schedule ExponentialDecay" in fleet.notes[0]


def test_a_rate_that_may_have_been_changed_unseen_is_named():
    model = fitted(mlp())
    model.optimizer.learning_rate = 0.001
    assert "0.001, which may not be its first one" in mpreg.ShadowFleet.like(model, members=48).notes[0]


def test_a_target_whose_loss_was_scaled_is_refused_by_the_fleet_in_words():
    target = mlp()
    target.compile(
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), "sparse_categorical_crossentropy"
    )
    target.fit(*records(), epochs=1, verbose=0)
    fleet = mpreg.ShadowFleet.like(target, members=48)
    assert "at the learning rate that it has now, 0.1" in fleet.notes[0]
    x, y = records()
    with pytest.raises(ValueError, match="a fleet cannot train with LossScaleOptimizer"):
        fleet.train(x, y, membership=mpreg.attacks.draw_membership(16, 48, 24))


def test_a_target_that_was_compiled_anew_is_named():
    target = fitted(mlp())
    assert len(mpreg.ShadowFleet.like(target, members=48).notes) == 1
    target.compile("rmsprop", "sparse_categorical_crossentropy")
    fleet = mpreg.ShadowFleet.like(target, members=48)
    assert "The target was compiled anew after its last training" in fleet.notes[1] and fleet.epochs == 4


def test_a_target_that_played_the_game_in_fit_is_refused_whatever_comes_later():
    game = mpreg.callbacks.AdversarialTraining(records(seed=1), warmup_epochs=0)
    target = fitted(mlp(), callbacks=[game])
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"trained with AdversarialTraining among .*shadows=mpreg.ShadowTraining"
        ):
            mpreg.ShadowFleet.like(target, members=48)
        fitted(target)


def test_epochs_of_earlier_fits_count():
    model = fitted(mlp(), epochs=3)
    model.fit(*records(), epochs=2, batch_size=16, verbose=0)
    assert mpreg.ShadowFleet.like(model, members=48).epochs == 5


def test_frozen_weights_and_adapted_state_are_the_targets_and_the_rest_is_fresh():
    """A pretrained, frozen base inside; statistics of BatchNormalization are learned, so they start anew."""
    base = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(5), layers.Dense(4)])
    base.trainable = False
    normalization = layers.Normalization()
    normalization.adapt(records(seed=3)[0] * 7 + 2)
    head = [layers.BatchNormalization(momentum=0.5), layers.Dense(CLASSES, "softmax")]
    target = fitted(keras.Sequential([keras.Input((FEATURES,)), normalization, base, *head]))
    clone = mpreg.ShadowFleet.like(target, members=48).build_fn()
    x = records(seed=5)[0]
    inner = [keras.Sequential(model.layers[:2]) for model in (target, clone)]
    np.testing.assert_allclose(inner[1](x), inner[0](x), rtol=1e-6)
    assert len(clone.trainable_variables) == len(target.trainable_variables) == 4
    assert (clone.layers[-1].get_weights()[0] != target.layers[-1].get_weights()[0]).all()
    np.testing.assert_array_equal(clone.layers[2].moving_mean, np.zeros(4))


@pytest.mark.parametrize("frozen", ["all", "first"])
def test_what_was_frozen_once_it_was_trained_is_trained_anew(frozen):
    target = fitted(mlp())
    (target if frozen == "all" else target.layers[0]).trainable = False
    fleet = mpreg.ShadowFleet.like(target, members=48)
    clone = fleet.build_fn()
    assert len(clone.trainable_variables) == len(target.weights) == 4
    assert (clone.layers[0].get_weights()[0] != target.layers[0].get_weights()[0]).any()
    assert len(target.trainable_variables) == (0 if frozen == "all" else 2)  # it stays as it was


def test_what_was_frozen_in_training_is_the_targets_though_it_was_thawed_since():
    target = mlp()
    target.layers[0].trainable = False
    fitted(target, epochs=1)
    target.layers[0].trainable = True
    clone = mpreg.ShadowFleet.like(target, members=48).build_fn()
    np.testing.assert_array_equal(clone.layers[0].get_weights()[0], target.layers[0].get_weights()[0])
    assert len(clone.trainable_variables) == 2


def test_layers_within_a_frozen_layer_are_the_targets_too():
    within = layers.Bidirectional(layers.LSTM(2))
    within.trainable = False
    stack = [keras.Input((FEATURES,)), layers.Reshape((FEATURES, 1)), within]
    target = fitted(keras.Sequential([*stack, layers.Dense(CLASSES, "softmax")]), epochs=1)
    clone = mpreg.ShadowFleet.like(target, members=48).build_fn()
    for own, copied in zip(within.get_weights(), clone.layers[1].get_weights(), strict=True):
        np.testing.assert_array_equal(own, copied)


def test_a_model_that_cannot_be_trained_is_refused():
    target = fitted(mlp())
    target.trainable = False
    target.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="all of whose layers are frozen. Set model.trainable = True"):
        mpreg.ShadowFleet.like(target, members=48)


def test_a_report_repeats_what_could_not_be_read():
    x, y = records(80)
    split = mpreg.MembershipSplit((x[:40], y[:40]), None, (x[40:], y[40:]))
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=1, verbose=0)
    attack = mpreg.attacks.LikelihoodRatioAttack()
    told = mpreg.evaluate(model, split, attacks=[attack])
    assert any("callbacks that stopped it" in note for note in told.notes)
    unasked = mpreg.evaluate(model, split, attacks="fast", shadows=mpreg.ShadowFleet.like(model, members=40))
    assert unasked.notes == () and "shadow_models" not in unasked.cost  # none was trained
    described = mpreg.ShadowFleet(lambda: fitted(mlp(), epochs=1), count=4, epochs=1)
    assert described.notes == ()


def test_a_vocabulary_is_copied():
    lookup = layers.IntegerLookup(output_mode="one_hot")
    lookup.adapt(np.array([[3], [5], [9]]))
    target = keras.Sequential([keras.Input((1,), dtype="int64"), lookup, layers.Dense(CLASSES, "softmax")])
    target.compile("sgd", "sparse_categorical_crossentropy")
    x = np.array([[3], [5], [9], [9]])
    target.fit(x, np.array([0, 1, 2, 0]), epochs=1, verbose=0)
    clone = mpreg.ShadowFleet.like(target, members=4).build_fn()
    np.testing.assert_array_equal(clone.layers[0](x), lookup(x))


@pytest.mark.parametrize("broken", [None, object()])
def test_a_model_without_history_is_refused(broken):
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.history = broken
    with pytest.raises(ValueError, match="does not tell how it was trained"):
        mpreg.ShadowFleet.like(model, members=40)
