"""A layer that mixes records for some inputs only is found out on a real batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg.gradients.mixing import EVERY
from mpreg.gradients.plan import make_plan

STOPPED = pytest.raises(tf.errors.InvalidArgumentError, match="mixes the records of a batch")


class MixesLarge(layers.Layer):
    """Takes the mean of the batch off, from records with a large number alone."""

    def call(self, x):
        large = keras.ops.max(keras.ops.abs(x), axis=-1, keepdims=True) > 100
        return keras.ops.where(large, x - keras.ops.mean(x, axis=0, keepdims=True), x)


class SpreadsLarge(layers.Layer):
    """Adds the largest number of the batch to all records, if it is large."""

    def call(self, x):
        largest = keras.ops.max(x)
        return x + keras.ops.where(largest > 100, largest, 0.0)


def private(*parts, eagerly=False, shape=(6,), dtype=None):
    target = keras.Sequential([keras.Input(shape, dtype=dtype), *parts, layers.Dense(2, "softmax")])
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0)
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    return model


def batch(large=(), records=40):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(records, 6)).astype("float32")
    for row in large:
        x[row] *= 1000
    return x, rng.integers(0, 2, records)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("kind", [MixesLarge, SpreadsLarge])
def test_it_passes_the_trial_and_stops_at_the_first_batch(kind, eagerly):
    model = private(layers.Dense(6, kernel_initializer="identity"), kind(name="mixer"), eagerly=eagerly)
    assert model.clipping_plan().whole is None
    before = model.target_model.get_weights()
    with STOPPED as caught:
        model.train_on_batch(*batch([23]))
    assert "dense" in str(caught.value)
    for one, another in zip(before, model.target_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_it_stops_in_a_later_batch_that_is_looked_at():
    model = private(layers.Dense(6, kernel_initializer="identity"), MixesLarge())
    model.train_on_batch(*batch())
    model.train_on_batch(*batch([3]))  # not looked at
    with STOPPED:
        model.fit(*batch([3]), batch_size=40, verbose=0)  # the first of a fit
    model.clipping_plan()._mixing.seen.assign(7 * EVERY)
    with STOPPED:
        model.train_on_batch(*batch([3]))


def test_it_names_the_answers_where_the_last_layer_mixes():
    target = keras.Sequential(
        [keras.Input((6,)), layers.Dense(6, kernel_initializer="identity"), MixesLarge()]
    )
    plan = make_plan(target, tf.TensorSpec((None, 6)))
    assert plan.whole is None
    with pytest.raises(tf.errors.InvalidArgumentError, match="at"):
        plan.checked(batch([3])[0])


@pytest.mark.parametrize("rows", [1, 2, 3, 40])
def test_records_that_keep_apart_pass_whatever_their_size(rows):
    model = private(layers.Dense(8, "relu"), layers.Dropout(0.5), layers.LayerNormalization())
    x, y = batch(range(0, rows, 2), rows)
    model.train_on_batch(x, y)
    plan = model.clipping_plan()
    checked = plan._mixing.checked(tf.constant(x * 1e3))
    np.testing.assert_array_equal(checked, x * 1e3)


def test_records_with_nan_pass():
    model = private(layers.Dense(8, "relu"))
    x, _ = batch()
    x[3], x[7, 2] = np.nan, np.inf
    np.testing.assert_array_equal(model.clipping_plan().checked(tf.constant(x)), x)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_other_precisions_pass(dtype):
    model = private(layers.Dense(30, "relu", dtype=dtype), layers.Dense(30, "tanh", dtype=dtype))
    x, y = batch([5])
    model.train_on_batch(x, y)


def test_whole_numbers_and_several_inputs_are_looked_at():
    ids, x = keras.Input((4,), dtype="int32"), keras.Input((6,))
    hidden = layers.Concatenate()([layers.Flatten()(layers.Embedding(9, 3)(ids)), layers.Dense(6)(x)])
    target = keras.Model([ids, x], layers.Dense(2)(SpreadsLarge()(hidden)))
    plan = make_plan(target, [tf.TensorSpec((None, 4), tf.int32), tf.TensorSpec((None, 6))])
    rows = tf.constant(np.random.default_rng(0).integers(0, 9, (40, 4)), tf.int32)
    plan.checked([rows, tf.constant(batch()[0])])
    plan._mixing.seen.assign(0)
    with STOPPED:
        plan.checked([rows, tf.constant(batch([11])[0])])


def test_the_plan_says_what_no_trial_can_show():
    text = str(private().clipping_plan())
    assert f"every {EVERY}th are looked at too" in text and "no trial can show" in text
