"""Plan, guards and traced steps follow the model: what changes in it is seen before the next step, and nothing else."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import CLASSES, FEATURES, LOSS, Spy, assert_same_weights, compiled, mlp, records

import mpreg

X, Y = records(24)
FREE = {"noise_multiplier": 0.0, "l2_norm_clip": float("inf")}
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
QUIET = {"verbose": 0, "shuffle": False}


def private(target, *, loss=LOSS, eager=True, **options):
    model = mpreg.DPSGD(target, **{"noise_multiplier": 1.0, "l2_norm_clip": 1.0, "seed": 0, **options})
    return compiled(model, loss=loss, run_eagerly=eager)


def batch_norm(model):
    return next(layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))


# What changes.


def unfreeze(model):
    model.layers[0].trainable = True


def freeze(model):
    model.layers[0].trainable = False


def adapt(model):
    model.layers[0].enable_lora(2, a_initializer=keras.initializers.GlorotUniform(5))


def grow(model):
    model.pop()
    model.add(layers.Dense(CLASSES, "softmax", kernel_initializer=keras.initializers.GlorotUniform(6)))


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize(
    ("frozen", "change"), [(True, unfreeze), (False, freeze), (False, adapt), (False, grow)]
)
def test_a_changed_model_trains_as_without_privacy(frozen, change, eager):
    theirs, ours = mlp(), mlp()
    for model in (theirs, ours):
        model.layers[0].trainable = not frozen
    model = private(ours, **FREE, eager=eager)
    for each in (compiled(theirs, run_eagerly=eager), model):
        each.fit(X, Y, batch_size=12, **QUIET)
    for each in (theirs, ours):
        change(each)
    for each in (compiled(theirs, run_eagerly=eager), compiled(model, run_eagerly=eager)):
        each.fit(X, Y, batch_size=12, **QUIET)
    assert_same_weights(theirs, ours, **CLOSE)


def test_the_plan_is_that_of_the_model_as_it_is():
    target = mlp()
    target.layers[0].trainable = False
    model = private(target)
    assert len(model.clipping_plan().rows) == 1 and model.clipping_plan() is model.clipping_plan()
    unfreeze(target)
    assert len(model.clipping_plan().rows) == 2


def regularize(layer):
    layer.activity_regularizer = keras.regularizers.L2(0.1)


def halve(layer):
    layer.dtype_policy = "mixed_float16"


def thaw(layer):
    layer.trainable = True


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("anew", [True, False], ids=["compiled anew", "not compiled anew"])
@pytest.mark.parametrize(
    ("change", "words"),
    [(thaw, "BatchNormalization"), (regularize, "activity regularizer"), (halve, "float16")],
)
def test_a_model_that_cannot_be_private_any_more_is_refused_before_the_next_step(change, words, anew, eager):
    target = mlp(normalize=True)
    batch_norm(target).trainable = False
    model = private(target, eager=eager)
    model.fit(X, Y, verbose=0)
    change(batch_norm(target))
    if anew:
        compiled(model, run_eagerly=eager)
    before, steps = model.get_weights(), model.noisy_steps
    for train in (lambda: model.fit(X, Y, verbose=0), lambda: model.train_on_batch(X, Y)):
        for _ in range(2):
            with pytest.raises(ValueError, match=words):
                train()
    assert model.noisy_steps == steps
    for value, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, was)


@pytest.mark.parametrize("eager", [True, False])
def test_a_layer_unfrozen_within_fit_publishes_nothing(eager):
    target = mlp(normalize=True)
    batch_norm(target).trainable = False
    model, mean = private(target, eager=eager), batch_norm(target).moving_mean.numpy()
    change = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: thaw(batch_norm(target)))
    drawn = mpreg.poisson_batches(
        X, Y, batch_size=6
    )  # whose sizes differ, so that steps are traced in between
    try:
        model.fit(drawn, epochs=4, verbose=0, callbacks=[change])
    except ValueError as error:
        assert "BatchNormalization" in str(error)
    np.testing.assert_array_equal(batch_norm(target).moving_mean.numpy(), mean)


def contrast(y, answers):
    """Compares the records of a batch."""
    return keras.ops.square(answers[:, 0] - keras.ops.mean(answers[:, 0]))


class Distance(keras.losses.Loss):
    """Keeps records apart only if labels have the shape of answers: others are broadcast."""

    def call(self, y, answers):
        return keras.ops.mean(keras.ops.square(answers - keras.ops.cast(y, "float32")), axis=-1)


def test_another_loss_is_tried_out_each_time():
    model = private(mlp())
    for loss in (contrast, contrast, LOSS, contrast):
        compiled(model, loss=loss)
        if loss is LOSS:
            model.train_on_batch(X, Y)
            continue
        with pytest.raises(ValueError, match="mixes the records"):
            model.train_on_batch(X, Y)
    assert model.noisy_steps == 1


def test_a_loss_is_tried_out_anew_on_labels_of_another_shape():
    target = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(1)])
    model = private(target, loss=Distance())
    model.train_on_batch(X, Y[:, None])
    with pytest.raises(ValueError, match="mixes the records"):
        model.train_on_batch(X, Y)


# What does not change.


def spied(seen, *, built=True):
    stack = [keras.Input((FEATURES,))] if built else []
    return keras.Sequential([*stack, layers.Dense(4), Spy(seen), layers.Dense(CLASSES, "softmax")])


@pytest.mark.parametrize("built", [pytest.param(True, marks=pytest.mark.slow), False])
def test_nothing_is_traced_anew_where_nothing_has_changed(built):
    seen = []
    model = private(spied(seen, built=built), eager=False)
    drawn = mpreg.poisson_batches(X, Y, batch_size=8, seed=1)
    source = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    trainings = (
        lambda: model.fit(X, Y, batch_size=8, verbose=0),
        lambda: model.fit(drawn, verbose=0),
        lambda: model.fit(source, verbose=0),
        lambda: model.train_on_batch(X[:8], Y[:8]),
    )
    for train in trainings:
        train()
    traced = len(seen)
    for _ in range(2):
        for train in trainings:
            train()
    assert len(seen) == traced
    compiled(model, run_eagerly=False)
    trainings[0]()
    assert len(seen) > traced


def test_a_training_within_another_keeps_both_programs():
    seen = []
    model = private(spied(seen), eager=False)
    more = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.train_on_batch(X[:8], Y[:8]))
    model.fit(mpreg.poisson_batches(X, Y, batch_size=8, seed=1), epochs=2, verbose=0, callbacks=[more])
    traced = len(seen)
    model.fit(mpreg.poisson_batches(X, Y, batch_size=8, seed=1), epochs=2, verbose=0, callbacks=[more])
    assert len(seen) == traced and model.noisy_steps == 2 * (2 * 3 + 2)
