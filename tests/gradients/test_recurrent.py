"""Recurrent layers: clipped by a rule of their own, with the dropout, masks and states that Keras gives them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg.gradients.plan import make_plan
from mpreg.gradients.registry import find_rule
from mpreg.gradients.scan import scan
from mpreg.private.clipping import clipped_sums

RECORDS, STEPS, WIDTH = 4, 5, 3


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(1)


def stack(*parts, shape=(STEPS, WIDTH), dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts, layers.Dense(2)])


def biased(**options):
    return {"bias_initializer": "normal", **options}


def encoder_decoder():
    """States go from one layer to the next, and answers of several kinds come out."""
    inputs = keras.Input((STEPS, WIDTH))
    outputs, hidden, carry = layers.LSTM(4, return_sequences=True, return_state=True, **biased())(inputs)
    decoded, state = layers.GRU(4, return_state=True, **biased())(outputs, initial_state=carry)
    mask = keras.ops.any(inputs[..., :1] > 0, axis=-1)
    masked = layers.LSTM(4, return_sequences=True)(outputs, initial_state=[hidden, carry], mask=mask)
    joined = layers.Concatenate()([decoded, state, hidden, layers.Flatten()(masked)])
    return keras.Model(inputs, layers.Dense(2)(joined))


def shared():
    layer, inputs = layers.LSTM(3, return_sequences=True, recurrent_dropout=0.3), keras.Input((STEPS, WIDTH))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layer(layer(inputs)))))


def frozen():
    model = stack(layers.LSTM(3, **biased()))
    model.layers[0].cell.recurrent_kernel.trainable = False
    return model


def cell_twice():
    cell = layers.LSTMCell(WIDTH, **biased())
    return stack(layers.RNN([cell, layers.GRUCell(WIDTH), cell]))


def masked(*parts):
    return stack(layers.Embedding(4, WIDTH, mask_zero=True), *parts, shape=(STEPS,), dtype="int32")


MODELS = {
    "lstm": lambda: stack(layers.LSTM(4, **biased())),
    "gru": lambda: stack(layers.GRU(4, **biased())),
    "gru, reset before": lambda: stack(layers.GRU(4, reset_after=False, **biased())),
    "simple": lambda: stack(layers.SimpleRNN(4, **biased())),
    "no bias": lambda: stack(
        layers.LSTM(4, use_bias=False, return_sequences=True),
        layers.GRU(3, use_bias=False, return_sequences=True),
        layers.GRU(3, use_bias=False, reset_after=False, return_sequences=True),
        layers.SimpleRNN(2, use_bias=False),
    ),
    "activations": lambda: stack(
        layers.LSTM(4, activation="softmax", recurrent_activation="hard_sigmoid", return_sequences=True),
        layers.GRU(4, activation="elu", recurrent_activation="tanh", return_sequences=True),
        layers.SimpleRNN(3, activation=None),
    ),
    "backwards and unrolled": lambda: stack(
        layers.LSTM(4, go_backwards=True, return_sequences=True), layers.GRU(4, unroll=True)
    ),
    "bidirectional": lambda: stack(
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="mul"),
        layers.Bidirectional(layers.GRU(3), backward_layer=layers.SimpleRNN(3, go_backwards=True)),
    ),
    "any number of steps": lambda: stack(layers.GRU(4), shape=(None, WIDTH)),
    "one step": lambda: stack(layers.LSTM(4), shape=(1, WIDTH)),
    "many steps": lambda: stack(layers.LSTM(2, return_sequences=True), layers.GRU(2), shape=(15, WIDTH)),
    "cells": lambda: stack(
        layers.RNN(layers.LSTMCell(4), return_sequences=True),
        layers.RNN([layers.GRUCell(4), layers.LSTMCell(3), layers.SimpleRNNCell(2)], go_backwards=True),
    ),
    "a cell twice": cell_twice,
    "masks": lambda: masked(
        layers.LSTM(4, return_sequences=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True)),
        layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)], return_sequences=True, zero_output_for_mask=True),
        layers.SimpleRNN(3, go_backwards=True),
    ),
    "states": encoder_decoder,
    "shared": shared,
    "frozen": frozen,
}
DROPOUT = {"dropout": 0.3, "recurrent_dropout": 0.4}
RANDOM = {
    "lstm": lambda: stack(layers.LSTM(4, **DROPOUT)),
    "gru": lambda: stack(layers.GRU(4, **DROPOUT)),
    "gru, reset before": lambda: stack(layers.GRU(4, reset_after=False, **DROPOUT)),
    "simple": lambda: stack(layers.SimpleRNN(4, **DROPOUT)),
    "inputs alone": lambda: stack(
        layers.LSTM(4, dropout=0.5, return_sequences=True), layers.GRU(4, dropout=0.5)
    ),
    "state alone": lambda: stack(layers.LSTM(4, recurrent_dropout=0.5), layers.Dropout(0.5)),
    "cells": lambda: stack(layers.RNN([layers.GRUCell(4, **DROPOUT), layers.LSTMCell(3, **DROPOUT)])),
    "masks, both ways": lambda: masked(
        layers.Bidirectional(layers.LSTM(4, return_sequences=True, **DROPOUT)), layers.GRU(3, **DROPOUT)
    ),
    "shared": shared,
}


def batch_for(model, rows=RECORDS):
    rng = np.random.default_rng(0)
    shape = (rows, *(6 if size is None else size for size in model.input_shape[1:]))
    if model.inputs[0].dtype == "int32":
        ids = rng.integers(0, 4, shape)
        ids[0] = 0  # a record without a step
        return tf.constant(ids, tf.int32)
    return tf.constant(rng.normal(size=shape), tf.float32)


def plan_for(model):
    plan = make_plan(model, tf.TensorSpec(model.input_shape, model.inputs[0].dtype))
    assert plan.whole is None and {row["how"] for row in plan.rows} == {"ghost"}, plan
    return plan


def losses_of(model, x, training):
    answers = model(x, training=training)
    return answers, tf.reduce_sum(tf.square(tf.cast(answers, tf.float32) - 0.3), axis=-1)


def seeds_of(model):
    weights = {id(weight) for weight in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def assert_clips(model, *, training, rtol=1e-5):
    """Asserts that norms and clipped sums are those of the gradient of each record's loss, by Keras' own layers."""
    x, plan, variables = batch_for(model), plan_for(model), model.trainable_variables
    before = [seed.numpy() for seed in seeds_of(model)]
    with tf.GradientTape(persistent=True) as tape:
        answers, losses = losses_of(model, x, training)
        each = tf.unstack(losses)
    sources = [variable.value for variable in variables]
    gradients = [tape.gradient(loss, sources, unconnected_gradients="zero") for loss in each]
    gradients = [[tf.cast(tf.convert_to_tensor(g), tf.float32).numpy() for g in parts] for parts in gradients]
    after = [seed.numpy() for seed in seeds_of(model)]
    for seed, value in zip(seeds_of(model), before, strict=True):
        seed.assign(value)

    def run():
        answers, losses = losses_of(model, x, training)
        return answers, tf.reduce_sum(losses)

    found_answers, _, pieces = plan.backward(run, 1)
    found_answers, answers = (tf.cast(part, tf.float32) for part in (found_answers, answers))
    np.testing.assert_allclose(found_answers, answers, rtol=100 * rtol, atol=rtol)
    for seed, value in zip(seeds_of(model), after, strict=True):
        np.testing.assert_array_equal(seed, value)  # the same random numbers were drawn, no more and no less
    norms = np.array([np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in parts)) for parts in gradients])
    clip = float(np.median(norms))
    found = clipped_sums(variables, pieces, tf.ones(RECORDS), clip)
    np.testing.assert_allclose(found.norms, norms, rtol=rtol)
    factors = np.minimum(1, clip / norms)
    expected = [
        sum(f * g for f, g in zip(factors, parts, strict=True)) for parts in zip(*gradients, strict=True)
    ]
    largest = max(np.max(np.abs(part)) for part in expected)
    for one, another in zip(found.sums, expected, strict=True):
        np.testing.assert_allclose(one, another, rtol=rtol, atol=rtol * largest)


@pytest.mark.parametrize("name", MODELS)
def test_clipping_is_that_of_each_record(name):
    assert_clips(MODELS[name](), training=False)


@pytest.mark.parametrize("name", RANDOM)
def test_clipping_sees_the_dropout_of_the_forward_pass(name):
    assert_clips(RANDOM[name](), training=True)


def test_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = stack(layers.LSTM(4, return_sequences=True), layers.Bidirectional(layers.GRU(3)))
    finally:
        keras.config.set_dtype_policy("float32")
    assert_clips(model, training=False, rtol=0.05)


@pytest.mark.parametrize(
    "name",
    ["lstm", *(pytest.param(name, marks=pytest.mark.slow) for name in ("masks, both ways", "cells"))],
)
def test_training_without_clip_and_noise_is_sgd_with_the_same_dropout(name):
    trained = []
    for private in (False, True):
        keras.utils.set_random_seed(1)
        target = model = RANDOM[name]()
        if private:
            model = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=float("inf"))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = batch_for(target, 10).numpy()
        model.fit(x, np.arange(20).reshape(10, 2) / 10, batch_size=4, epochs=2, shuffle=False, verbose=0)
        trained.append(target.get_weights())
    for one, another in zip(*trained, strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_steps_in_microbatches_and_copies_of_a_record():
    model = stack(layers.LSTM(3), layers.Dense(3))
    x, y = batch_for(model, 7).numpy(), np.zeros((7, 2))
    moved = []
    for options in ({}, {"microbatch_size": 3}, {"augment": layers.Identity(), "augmentations": 2}):
        before = model.get_weights()
        private = mpreg.DPSGD(model, noise_multiplier=0.0, l2_norm_clip=0.1, **options)
        private.compile(keras.optimizers.SGD(1.0), "mse")
        private.train_on_batch(x, y)
        moved.append([a - b for a, b in zip(model.get_weights(), before, strict=True)])
        model.set_weights(before)
    for others in moved[1:]:
        for one, another in zip(moved[0], others, strict=True):
            np.testing.assert_allclose(one, another, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional])
def test_a_stateful_layer_is_refused_by_name(wrap):
    inputs = keras.Input(batch_shape=(RECORDS, STEPS, WIDTH))
    target = keras.Model(inputs, layers.Dense(2)(wrap(layers.LSTM(3, stateful=True, name="memory"))(inputs)))
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0)
    with pytest.raises(ValueError, match=r"layer '(forward_)?memory' \(LSTM\) is stateful"):
        model.clipping_plan()


class Loud(layers.LSTMCell):
    def call(self, inputs, states, training=False):
        return super().call(2 * inputs, states, training=training)


class Minimal(layers.Layer):
    """A cell of a stranger."""

    state_size = 3

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))

    def call(self, inputs, states):
        state = keras.ops.tanh(inputs @ self.kernel + states[0])
        return state, [state]


@pytest.mark.parametrize(
    ("cell", "why"),
    [(lambda: Loud(3), "its cell is a LSTMCell with a call of its own"), (Minimal, "its cell is a Minimal")],
)
def test_the_cell_of_a_stranger_gets_no_rule(cell, why):
    layer = layers.RNN(cell())
    model = stack(layer)
    assert why in find_rule(layer)[1]
    plan = make_plan(model, tf.TensorSpec(model.input_shape))
    assert plan.whole is None and plan.rows[0]["how"] == "map_fn"


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ConvLSTM1D(2, 2, dropout=0.2, name="looped"),
        lambda: layers.TimeDistributed(layers.LSTM(2, recurrent_dropout=0.3, name="looped")),
    ],
)
def test_dropout_in_a_loop_without_a_rule_is_refused_by_name(make):
    """It would not end: TensorFlow spends minutes on such a program."""
    target = stack(make(), layers.Flatten(), shape=(3, 4, 2))
    with pytest.raises(ValueError, match=r"layer 'looped' .* draws dropout in its loop.*Set dropout"):
        make_plan(target, tf.TensorSpec(target.input_shape))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_scan_and_its_gradient_are_those_of_the_steps_written_out(compiled):
    rng = np.random.default_rng(0)
    x, h, c, kernel, pull = (
        tf.constant(rng.normal(size=shape), tf.float32)
        for shape in ((2, 4, 3), (2, 3), (2, 3), (3, 3), (2, 4, 3))
    )
    mask = tf.constant([[True, False, True, True], [False, True, True, False]])

    def step(x, states):
        hidden, carry = states
        carry = carry * tf.sigmoid(x) + hidden @ kernel
        return [tf.tanh(carry + x), carry]

    def written_out(x, h, c, mask):
        states, found = [h, c], []
        for at in range(4):
            after = step(x[:, at], states)
            states = [tf.where(mask[:, at, None], a, b) for a, b in zip(after, states, strict=True)]
            found.append(states)
        return [tf.stack(parts, axis=1) for parts in zip(*found, strict=True)]

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch([x, h, c])
            hidden, carry = function()
            loss = tf.reduce_sum(hidden * pull) + tf.reduce_sum(carry**2)
        return hidden, carry, *tape.gradient(loss, [x, h, c])

    def both():
        return gradients(lambda: scan(step, x, [h, c], mask)), gradients(lambda: written_out(x, h, c, mask))

    for one, another in zip(*(tf.function(both) if compiled else both)(), strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-5, atol=1e-6)
