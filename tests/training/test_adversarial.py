"""AdversarialRegularization: the formula, equality with plain training, and every way to run a Keras model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import (
    CLASSES,
    FEATURES,
    LOSS,
    Spy,
    assert_same_weights,
    linear_attacker,
    mlp,
    records,
    weights_of,
)

import mpreg
from mpreg.classifiers.tensors import log_probabilities

SMALL_GAME = {
    "penalty": 2.0,
    "warmup_epochs": 0,
    "reference_batch_size": 16,
    "attack_optimizer": keras.optimizers.SGD(0.1),
}
EAGER = {"run_eagerly": True}
INFERENCE_LOGS = {"inference_accuracy", "inference_loss", "membership_gain"}
QUIET = {"verbose": 0, "shuffle": False}
pytestmark = pytest.mark.usefixtures("seeded")


def wrap(target=None, reference=None, *, optimizer=None, loss=LOSS, compiled=None, **options):
    """A compiled wrapper, without warm-up unless asked."""
    options = {**SMALL_GAME, **options}
    if "inference_network" not in options:
        options["inference_network"] = linear_attacker()
    model = mpreg.AdversarialRegularization(target or mlp(), reference or records(seed=9), **options)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, **(compiled or {}))
    return model


def history_of(model, *data, **options):
    return model.fit(*data, **{**QUIET, **options}).history


def step_of(model, *data, **options):
    """The logs of one training step: without the machinery of fit, hence without warm-up."""
    return model.train_on_batch(*data, return_dict=True, **options)


# The published step.


def published_step(f, h, members, reference, *, penalty, rate, attack_rate, attack_steps, both):
    """One step of algorithm 1 written out: f = softmax(xW + b), h = sigmoid([log f(x), y]V + c), both linear."""
    (weights, bias), (kernel, offset) = ([tf.Variable(w) for w in part] for part in (f, h))

    def log_h(pair, sign):
        x, y = pair
        answer = tf.nn.log_softmax(x @ weights + bias)
        logit = tf.concat([answer, tf.one_hot(y, CLASSES)], axis=1) @ kernel + offset
        return tf.reduce_mean(tf.math.log(tf.sigmoid(sign * logit)))

    for _ in range(attack_steps):
        with tf.GradientTape() as tape:
            gain = 0.5 * log_h(members, 1.0) + 0.5 * log_h(reference, -1.0)
        for variable, slope in zip((kernel, offset), tape.gradient(gain, [kernel, offset]), strict=True):
            variable.assign_add(attack_rate * slope)
    with tf.GradientTape() as tape:
        x, y = members
        true_class = tf.reduce_sum(tf.nn.log_softmax(x @ weights + bias) * tf.one_hot(y, CLASSES), axis=1)
        gain = log_h(members, 1.0)
        if both:
            gain = 0.5 * gain + 0.5 * log_h(reference, -1.0)
        cost = -tf.reduce_mean(true_class) + penalty * gain
    for variable, slope in zip((weights, bias), tape.gradient(cost, [weights, bias]), strict=True):
        variable.assign_sub(rate * slope)
    return [weights, bias], [kernel, offset]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("attack_steps", [1, 3])
def test_a_step_is_the_published_one(both, attack_steps):
    target = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(CLASSES, "softmax")])
    attacker = linear_attacker()
    x, y = records(8)
    outsider = tuple(np.repeat(part[:1], 5, axis=0) for part in records(seed=9))  # every draw is the same
    expected = published_step(
        weights_of(target),
        weights_of(attacker),
        (x, y),
        outsider,
        penalty=3.0,
        rate=0.1,
        attack_rate=0.5,
        attack_steps=attack_steps,
        both=both,
    )
    model = wrap(
        target,
        outsider,
        penalty=3.0,
        inference_network=attacker,
        attack_optimizer=keras.optimizers.SGD(0.5),
        attack_steps=attack_steps,
        reference_gain=both,
        compiled=EAGER,
    )
    step_of(model, x, y)
    for part, values in zip((target, attacker), expected, strict=True):
        for found, value in zip(weights_of(part), values, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def test_zero_penalty_is_plain_training_bit_for_bit():
    plain, target = (mlp(dropout=0.3, normalize=True) for _ in range(2))
    plain.compile("adam", LOSS)
    plain.fit(*records(), epochs=2, batch_size=24, **QUIET)
    model = wrap(target, penalty=0.0, optimizer="adam")
    history_of(model, *records(), epochs=2, batch_size=24)
    assert_same_weights(plain, target)


def test_warmup_is_plain_training_and_happens_once():
    plain, target = mlp(), mlp()
    plain.compile(keras.optimizers.SGD(0.1), LOSS, **EAGER)
    model = wrap(target, penalty=50.0, warmup_epochs=2, compiled=EAGER)
    before = weights_of(model.game.inference_network)
    for _ in range(2):  # counted over calls of fit, or a loop of one-epoch fits would never charge the target
        plain.fit(*records(), batch_size=24, **QUIET)
        history_of(model, *records(), batch_size=24)
        assert_same_weights(plain, target)
    assert any(np.any(a != b) for a, b in zip(before, weights_of(model.game.inference_network), strict=True))
    plain.fit(*records(), batch_size=24, **QUIET)
    history_of(model, *records(), batch_size=24)
    assert np.abs(weights_of(plain)[0] - weights_of(target)[0]).max() > 1e-4


def test_a_penalty_set_during_training_counts_from_the_next_step_without_a_new_trace():
    seen = []
    target = keras.Sequential([keras.Input((FEATURES,)), Spy(seen), layers.Dense(CLASSES, "softmax")])
    model = wrap(target, penalty=0.0)
    step_of(model, *records())
    traced, plain_start = len(seen), weights_of(target)
    model.penalty = 30.0
    assert model.penalty == 30.0
    step_of(model, *records())
    charged = weights_of(target)
    target.set_weights(plain_start)
    model.penalty = 0
    step_of(model, *records())
    assert len(seen) == traced > 0
    assert np.abs(charged[0] - weights_of(target)[0]).max() > 1e-4


# Members and reference in the same mode.


def watch(target, reference):
    """A game in which the target stands still and the inference network learns fast."""
    return wrap(
        target,
        reference,
        optimizer=keras.optimizers.SGD(0.0),
        inference_network="compact",
        attack_optimizer=keras.optimizers.Adam(0.01),
        reference_batch_size=64,
    )


def test_the_inference_network_does_not_learn_the_training_mode():
    target = mlp(hidden=16, dropout=0.5, normalize=True)
    target.layers[1].set_weights([np.full(16, v, "float32") for v in (1, 0, 0.5, 9)])  # unlike any batch
    model = watch(target, records(2000, seed=1))
    accuracies = history_of(model, *records(2000, seed=2), epochs=6, batch_size=64, shuffle=True)
    assert np.mean(accuracies["inference_accuracy"][2:]) == pytest.approx(0.5, abs=0.03)


@pytest.mark.slow
def test_the_inference_network_learns_where_there_is_something_to_learn():
    """The control of the test above: the same set-up, but members and reference records differ."""
    model = watch(mlp(hidden=16, dropout=0.5), records(2000, seed=1, shift=2.0))
    accuracies = history_of(model, *records(2000, seed=2), epochs=6, batch_size=64)
    assert accuracies["inference_accuracy"][-1] > 0.6


class Meddler(layers.Layer):
    """Counts its training calls in a weight, adds a loss and draws from a seed: all that a pass can leave behind."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.generator = keras.random.SeedGenerator(5)

    def call(self, x, training=None):
        if training:
            self.calls.assign_add(1.0)
        keras.random.uniform((), seed=self.generator)
        self.add_loss(keras.ops.mean(x) * 0.1)
        return x


def test_the_reference_pass_leaves_no_trace_in_the_target():
    def build():
        meddler = Meddler()
        return meddler, keras.Sequential(
            [keras.Input((FEATURES,)), meddler, layers.Dense(CLASSES, "softmax", kernel_initializer="ones")]
        )

    x, y = records(16)
    (plain_meddler, plain), (meddler, target) = build(), build()
    plain.compile("sgd", LOSS, **EAGER)
    plain.train_on_batch(x, y)
    wrapped = wrap(target, records(seed=9, shift=5.0), optimizer="sgd", compiled=EAGER)
    wrapped.train_on_batch(x, y)
    assert float(meddler.calls) == float(plain_meddler.calls) == 1
    np.testing.assert_array_equal(meddler.generator.state, plain_meddler.generator.state)
    np.testing.assert_array_equal(target.losses, plain.losses)
    assert len(target.losses) == 1


# One traced program.


def test_the_step_is_traced_as_often_as_a_plain_one():
    def build(seen):
        return keras.Sequential([keras.Input((FEATURES,)), Spy(seen), layers.Dense(CLASSES, "softmax")])

    seen, seen_plain = [], []
    plain = build(seen_plain)
    plain.compile("sgd", LOSS)
    model = wrap(build(seen))
    del seen[:], seen_plain[:]
    counts = []
    for epochs in (1, 3, 1):  # 48 records in batches of 20: the last is partial
        history_of(plain, *records(), epochs=epochs, batch_size=20)
        history_of(model, *records(), epochs=epochs, batch_size=20)
        counts.append((len(seen_plain), len(seen)))
    assert len(set(counts)) == 1 and counts[0][0] > 0
    assert counts[0][1] == 2 * counts[0][0]  # each trace scores members once and reference records once


@pytest.mark.parametrize("one_hot", [False, True])
def test_metrics_and_optimizer_have_their_variables_ahead_of_the_trace(one_hot):
    seen, (x, y) = [], records()
    target = keras.Sequential([keras.Input((FEATURES,)), Spy(seen), layers.Dense(CLASSES, "softmax")])
    model = wrap(
        target,
        optimizer=keras.optimizers.Adam(0.0),
        loss="categorical_crossentropy" if one_hot else LOSS,
        compiled={"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
    )
    del seen[:]
    labels, weights = np.eye(CLASSES)[y] if one_hot else y, np.linspace(0, 1, len(y))
    history = history_of(model, x, labels, sample_weight=weights, epochs=2, batch_size=20)
    assert len(seen) == 2  # members once, reference records once
    right = target.predict(x, verbose=0).argmax(axis=1) == y
    assert history["accuracy"] == pytest.approx([right.mean()] * 2)
    assert history["weighted_accuracy"] == pytest.approx([np.average(right, weights=weights)] * 2)


# Outputs, labels, weights.


def test_softmax_and_logits_train_alike():
    targets = mlp(), mlp(activation=None)
    losses = LOSS, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for target, loss in zip(targets, losses, strict=True):
        model = wrap(target, loss=loss, penalty=5.0, compiled=EAGER)
        for _ in range(3):
            step_of(model, *records())
    assert_same_weights(*targets, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_target_that_is_sure_still_feels_the_penalty(dtype):
    """Through a saturated softmax, the gradient of log p vanishes or overflows; the game reads the logits behind it."""
    logits = tf.Variable(tf.constant([[200.0, 0.0, -200.0]], dtype))
    with tf.GradientTape() as tape:
        answers = log_probabilities(keras.activations.softmax(logits), from_logits=False)
        least = answers[0, 2]
    np.testing.assert_array_equal(answers, [[0, -200, -400]])
    np.testing.assert_array_equal(tape.gradient(least, logits), [[-1, 0, 1]])
    both = log_probabilities(keras.activations.sigmoid(logits[:, :1]), from_logits=False)
    np.testing.assert_array_equal(both, [[-200, 0]])


def test_probabilities_without_logits_behind_them_are_read_too():
    answers = log_probabilities(tf.constant([[0.25, 0.75, 0.0]]), from_logits=False).numpy()
    np.testing.assert_allclose(answers[0, :2], np.log([0.25, 0.75]), rtol=1e-6)
    assert -100 < answers[0, 2] < -50


BINARY = {
    "sigmoid": ({"units": 1, "activation": "sigmoid"}, "binary_crossentropy"),
    "logit": ({"units": 1, "activation": None}, keras.losses.BinaryCrossentropy(from_logits=True)),
    "two units": ({"units": 2}, LOSS),
}


@pytest.mark.parametrize("kind", BINARY)
def test_binary_targets(kind):
    options, loss = BINARY[kind]
    x, y = records(classes=2)
    labels = y if kind == "two units" else y.astype("float32").reshape(-1, 1)
    model = wrap(mlp(**options), (x + 1, labels), loss=loss, inference_network="compact", compiled=EAGER)
    assert model.game.classes == 2
    logs = step_of(model, x, labels)
    assert set(logs) >= INFERENCE_LOGS
    assert np.isfinite(list(logs.values())).all()


def test_one_unit_is_two_classes_of_which_it_is_the_second():
    """A sigmoid unit and the same logit beside a zero are one classifier, so the game goes the same way."""
    one, two = mlp(units=1, activation="sigmoid"), mlp(units=2)
    kernel, bias, last, _ = weights_of(one)
    two.set_weights([kernel, bias, np.concatenate([0 * last, last], axis=1), np.zeros(2, "float32")])
    x, y = records(classes=2)
    logs = []
    for target, loss in ((one, "binary_crossentropy"), (two, LOSS)):
        labels = y.reshape(-1, 1) if target is one else y
        frozen = keras.optimizers.SGD(0.0)
        network = linear_attacker(classes=2)
        model = wrap(
            target, (x + 1, labels), loss=loss, optimizer=frozen, inference_network=network, compiled=EAGER
        )
        logs.append(step_of(model, x, labels))
    for name in INFERENCE_LOGS:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-5)


def test_labels_of_every_form_train_alike():
    x, y = records()
    forms = {"(n,)": y, "(n, 1)": y.reshape(-1, 1), "one-hot": np.eye(CLASSES, dtype="float32")[y]}
    results = []
    for kind, other in (("(n,)", "one-hot"), ("(n, 1)", "(n,)"), ("one-hot", "(n, 1)")):
        loss = "categorical_crossentropy" if kind == "one-hot" else LOSS
        model = wrap(mlp(), (x + 1, forms[other]), loss=loss, compiled=EAGER)
        step_of(model, x, forms[kind])
        results.append(model.target_model)
    assert_same_weights(results[0], results[1], atol=1e-6)
    assert_same_weights(results[0], results[2], atol=1e-6)


def test_records_of_weight_zero_take_no_part():
    x, y = records(16)
    padding = np.full((16, FEATURES), 7.0, "float32"), np.zeros(16, int)
    padded = [np.concatenate(pair) for pair in zip((x, y), padding, strict=True)]
    weights = np.repeat([1.0, 0.0], 16)
    models = [wrap(compiled=EAGER) for _ in range(2)]
    clean = step_of(models[0], x, y)
    dirty = step_of(models[1], *padded, sample_weight=weights)
    for name in INFERENCE_LOGS:
        assert dirty[name] == pytest.approx(clean[name], rel=1e-5)
    assert_same_weights(*(model.game.inference_network for model in models), atol=1e-6)


@pytest.mark.parametrize("weights", ["zero", "nan", "infinite"])
def test_useless_sample_weights_do_not_destroy_the_weights(weights):
    x, y = records()
    values = np.ones(48, "float32")
    values[:24] = {"zero": 0.0, "nan": np.nan, "infinite": np.inf}[weights]
    model = wrap(compiled=EAGER)
    for part in (slice(0, 24), slice(12, 36)):  # a batch of nothing else, and a mixed one
        step_of(model, x[part], y[part], sample_weight=values[part])
    assert all(np.isfinite(value).all() for value in weights_of(model))


def test_class_weights_are_those_of_plain_training():
    plain, target = mlp(), mlp()
    plain.compile(keras.optimizers.SGD(0.1), LOSS, **EAGER)
    options = {"class_weight": {0: 5.0, 1: 1.0, 2: 0.0}}
    step_of(plain, *records(), **options)
    step_of(wrap(target, penalty=0.0, compiled=EAGER), *records(), **options)
    assert_same_weights(plain, target)


# Every way to run a Keras model.


def as_dataset(pair, batch=None):
    dataset = tf.data.Dataset.from_tensor_slices(pair)
    return dataset if batch is None else dataset.batch(batch)


WAYS = {
    "jit": {"jit_compile": True},
    "no jit": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "two steps an execution": {"steps_per_execution": 2},
    "three steps an execution": {"steps_per_execution": 3},
}


@pytest.fixture(scope="module")
def usual_way():
    """Where two epochs lead, and what they log, in the default way."""
    keras.utils.set_random_seed(1)
    model = wrap(inference_network="compact", compiled={"metrics": ["accuracy"]})
    history = history_of(
        model,
        *records(),
        epochs=2,
        batch_size=10,
        validation_data=records(30, seed=5),
        validation_batch_size=20,
    )
    return weights_of(model.target_model), history


@pytest.mark.slow
@pytest.mark.parametrize("data", ["arrays", "dataset"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_leads_to_the_same_place(usual_way, way, data):
    weights, history = usual_way
    model = wrap(inference_network="compact", compiled={"metrics": ["accuracy"], **WAYS[way]})
    if data == "arrays":
        members, options = records(), {"batch_size": 10, "validation_batch_size": 20}
        options["validation_data"] = records(30, seed=5)
    else:
        members = [as_dataset(records(), 10)]
        options = {"validation_data": as_dataset(records(30, seed=5), 20)}
    found = history_of(model, *members, epochs=2, **options)
    assert set(found) == set(history) == INFERENCE_LOGS | {"loss", "accuracy", "val_loss", "val_accuracy"}
    for name in history:
        np.testing.assert_allclose(found[name], history[name], rtol=1e-4, atol=1e-5)
    for mine, others in zip(weights_of(model.target_model), weights, strict=True):
        np.testing.assert_allclose(mine, others, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_jit_compiled_step_leads_to_the_same_place():
    targets = mlp(), mlp()
    for target, way in zip(targets, ({"jit_compile": True}, EAGER), strict=True):
        history_of(wrap(target, as_dataset(records(seed=9)), compiled=way), *records(), batch_size=48)
    assert_same_weights(*targets, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_mixed_precision(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        target = mlp(dropout=0.2, normalize=True)
        model = wrap(target, inference_network="compact", compiled=EAGER)
        logs = [step_of(model, *records()) for _ in range(5)]  # the first ones find the scale
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (policy == "mixed_float16")
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite([list(each.values()) for each in logs]).all()
    assert all(np.isfinite(value).all() for value in weights_of(model))
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert int(inner.iterations) >= 2  # steps are not skipped for ever
    assert all(w.dtype == "float32" for w in model.game.inference_network.weights)
    assert not isinstance(model.game.attack_optimizer, keras.optimizers.LossScaleOptimizer)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")  # under the float32 policy
    assert again.dtype_policy.name == policy
    assert type(again.optimizer) is type(model.optimizer)
    x, _ = records()
    np.testing.assert_array_equal(*(keras.ops.cast(each(x), "float32") for each in (again, model)))


def test_a_half_precision_inference_network_learns_as_a_full_one_with_its_loss_scaled():
    networks = []
    for policy in ("mixed_float16", "float32"):
        keras.config.set_dtype_policy(policy)
        networks.append(linear_attacker())
        keras.config.set_dtype_policy("float32")
    before = weights_of(networks[0])
    models = [wrap(inference_network=network, compiled=EAGER) for network in networks]
    scaled = [
        isinstance(model.game.attack_optimizer, keras.optimizers.LossScaleOptimizer) for model in models
    ]
    assert scaled == [True, False]
    for model in models:
        for _ in range(3):
            step_of(model, *records())
    assert np.abs(weights_of(networks[1])[0] - before[0]).max() > 0.05
    assert_same_weights(*networks, atol=2e-3)


# Targets of every make.


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """Not built before its first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, "relu", kernel_initializer=keras.initializers.GlorotUniform(0))
        self.normalize = layers.BatchNormalization()
        self.dropout = layers.Dropout(0.5, seed=0)
        self.answer = layers.Dense(CLASSES, "softmax", kernel_initializer=keras.initializers.GlorotUniform(1))

    def call(self, x, training=None):
        x = self.normalize(self.hidden(x), training=training)
        return self.answer(self.dropout(x, training=training))


class NoTrainingMode(Subclassed):
    def call(self, x):
        return self.answer(self.dropout(self.normalize(self.hidden(x))))


@pytest.mark.parametrize("make", [Subclassed, NoTrainingMode])
def test_zero_penalty_is_plain_training_of_a_subclassed_target(make):
    plain, target = make(), make()
    plain.compile(keras.optimizers.SGD(0.1), LOSS, **EAGER)
    wrapped = wrap(target, penalty=0.0, compiled=EAGER)
    for model in (plain, wrapped, plain, wrapped):
        step_of(model, *records())
    assert_same_weights(plain, target)


def test_a_target_without_a_training_mode_gives_the_inference_network_nothing_to_learn():
    """Its Dropout is idle in plain training, so it must be idle on members and reference records alike."""
    x, y = records(64)
    model = wrap(NoTrainingMode(), (x, y), optimizer=keras.optimizers.SGD(0.0), compiled=EAGER)
    np.testing.assert_array_equal(model(x[:8]), model.target_model(x[:8]))
    seen = []
    network = model.game.inference_network
    model.game._learn, learn = (lambda *args: (seen.append(args), learn(*args))), model.game._learn
    model.train_on_batch(x, y)
    members, _, reference = seen[0]
    assert network is model.game.inference_network
    for row in reference[0].numpy():
        assert np.abs(members[0].numpy() - row).sum(axis=1).min() < 1e-5


def two_inputs(kind):
    left, right = keras.Input((FEATURES,), name="left"), keras.Input((2,), name="right")
    inputs = {"left": left, "right": right} if kind == "dict" else [left, right]
    joined = layers.Dropout(0.1, seed=0)(layers.Concatenate()([left, right]))
    return keras.Model(inputs, layers.Dense(CLASSES, "softmax")(joined))


@pytest.mark.parametrize("kind", ["dict", "list"])
@pytest.mark.parametrize("streamed", [False, True])
def test_targets_with_several_inputs(kind, streamed):
    x, y = records()
    inputs = {"left": x, "right": x[:, :2]} if kind == "dict" else (x, x[:, :2])
    reference = (inputs, y)
    if kind == "list":
        inputs = [x, x[:, :2]]
    if streamed:
        reference = as_dataset(reference)
    model = wrap(two_inputs(kind), reference, compiled=EAGER)
    assert np.isfinite(step_of(model, inputs, y)["membership_gain"])


# The wrapper is a Keras model.


def test_the_target_is_what_answers():
    model = wrap()
    x, y = records()
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.target_model.predict(x, verbose=0))
    model.target_model.compile(loss=LOSS)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(model.target_model.evaluate(x, y, verbose=0))
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(logs) == {"loss"} and isinstance(logs["loss"], float)


def test_the_optimizer_holds_the_weights_of_the_target_once():
    model = wrap(optimizer="adam", compiled=EAGER)
    step_of(model, *records())
    slots = [v for v in model.optimizer.variables if v.shape in {w.shape for w in model.trainable_variables}]
    assert len(model.trainable_variables) == len(model.target_model.trainable_variables) == 4
    assert len({id(v) for v in model.trainable_variables}) == 4
    assert len(slots) == 2 * 4
    assert len({id(v) for v in model.weights}) == len(model.weights)


def test_summary_counts_the_target_as_trainable():
    lines = []
    model = wrap()
    model.summary(print_fn=lines.append)
    assert any(
        "Trainable params" in line and str(model.target_model.count_params()) in line for line in lines
    )


def test_config_and_clone_make_an_equal_model():
    model = wrap(penalty=4.5, attack_steps=2, reference_gain=True, seed=7)
    for other in (type(model).from_config(model.get_config()), keras.models.clone_model(model)):
        assert json.dumps(other.get_config()) == json.dumps(model.get_config())
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other(records()[0]), model(records()[0]))
        other.compile("sgd", LOSS, **EAGER)
        with pytest.raises(ValueError, match="set_reference"):
            step_of(other, *records())
        other.set_reference(records(seed=9))
        step_of(other, *records())


def both_with_momentum():
    """Optimizers with slots, which a checkpoint must hold."""
    optimizers = [keras.optimizers.SGD(0.1, momentum=0.9) for _ in range(2)]
    return {**dict(zip(("optimizer", "attack_optimizer"), optimizers, strict=True)), "compiled": EAGER}


def test_a_reloaded_model_goes_on_where_the_first_one_was(tmp_path):
    def build():
        return wrap(mlp(normalize=True), warmup_epochs=2, **both_with_momentum())

    model = build()
    history_of(model, *records(), batch_size=24)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.set_reference(records(seed=9))
    for each in (model, again):
        history_of(each, *records(), epochs=2, batch_size=24)
    # Keras does not save the seeds of Dropout: with it, the masks would differ.
    assert_same_weights(model, again)
    for mine, others in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, others)


@pytest.mark.slow
def test_a_saved_model_trains_on_in_a_process_that_imports_only_keras_and_mpreg(tmp_path):
    model = wrap(optimizer="adam")
    history_of(model, *records())
    model.save(tmp_path / "model.keras")
    model.target_model.save(tmp_path / "target.keras")
    x, _ = records()
    np.save(tmp_path / "x.npy", x)
    program = f"""
import keras, mpreg, numpy as np
import mpreg.training.game.adversarial
x = np.load({str(tmp_path / "x.npy")!r})
y = np.zeros(len(x), int)
model = keras.saving.load_model({str(tmp_path / "model.keras")!r})
np.save({str(tmp_path / "answers.npy")!r}, model.predict(x, verbose=0))
model.set_reference((x, y))
print("logs", sorted(model.fit(x, y, verbose=0).history), int(model.game.attack_optimizer.iterations))
"""
    done = run_python(program)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "inference_accuracy" in done.stdout
    assert done.stdout.strip().endswith("4")  # two steps before, two after
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), model.predict(x, verbose=0), atol=1e-6)


def run_python(program):
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300
    )


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_run_resumes_to_the_very_same_weights(tmp_path):
    def build():
        return wrap(mlp(normalize=True), warmup_epochs=1, **both_with_momentum())

    straight, first, second = build(), build(), build()
    history_of(straight, *records(), epochs=3, batch_size=48)
    backup = [keras.callbacks.BackupAndRestore(tmp_path / "backup") for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        history_of(first, *records(), epochs=3, batch_size=48, callbacks=[backup[0], Interrupt()])
    history = history_of(second, *records(), epochs=3, batch_size=48, callbacks=[backup[1]])
    assert len(history["loss"]) == 2
    assert_same_weights(straight, second)
    for name in ("optimizer", "attack_optimizer"):
        ours, theirs = (
            getattr(model if name == "optimizer" else model.game, name).variables
            for model in (straight, second)
        )
        for mine, others in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(mine, others)


@pytest.mark.parametrize("form", ["none", "single", "list", "CallbackList"])
def test_callbacks_are_taken_in_every_form(form):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(set(logs)))
    model = wrap(compiled=EAGER)
    bundle = keras.callbacks.CallbackList([callback], add_history=True, model=model, epochs=1)
    kept = list(bundle.callbacks)
    given = {"none": None, "single": callback, "list": [callback], "CallbackList": bundle}[form]
    model.fit(*records(), callbacks=given, verbose=0)
    assert all(logs >= INFERENCE_LOGS for logs in seen)
    assert len(seen) == (form != "none")
    assert bundle.callbacks == kept  # what is the caller's is as it was


def test_a_new_reference_takes_the_place_of_the_old_in_a_model_that_has_trained():
    def build():
        return wrap()

    straight, switched = build(), build()
    switched.set_reference(records(seed=4, shift=20.0))
    for model in (straight, switched):
        step_of(model, *records())
    switched.set_reference(records(seed=9))
    switched.set_weights(straight.get_weights())
    for model in (straight, switched):
        step_of(model, *records())
    assert_same_weights(straight, switched)


# Inference networks of the user's.


def test_regularizers_of_the_inference_network_are_its_own_to_pay():
    def network():
        return linear_attacker(kernel_regularizer=keras.regularizers.L2(1.0))

    model = wrap(inference_network=network(), penalty=0.0, compiled=EAGER)
    free = wrap(inference_network=linear_attacker(), penalty=0.0, compiled=EAGER)
    losses = [[step_of(each, *records())["loss"] for _ in range(4)] for each in (model, free)]
    np.testing.assert_array_equal(*losses)
    sizes = [np.abs(weights_of(each.game.inference_network)[0]).sum() for each in (model, free)]
    assert sizes[0] < sizes[1]


def test_a_compiled_inference_network_does_not_shadow_the_loss():
    network = linear_attacker()
    network.compile("sgd", "mse")
    model = wrap(inference_network=network, compiled=EAGER)
    assert step_of(model, *records())["loss"] != 0.0
    assert [metric.name for metric in model.metrics].count("loss") == 1


def test_a_frozen_inference_network_stays_as_it_came():
    network = linear_attacker()
    network.trainable = False
    before = weights_of(network)
    model = wrap(inference_network=network, compiled=EAGER)
    start = weights_of(model.target_model)
    step_of(model, *records())
    for mine, others in zip(weights_of(network), before, strict=True):
        np.testing.assert_array_equal(mine, others)
    assert np.any(weights_of(model.target_model)[0] != start[0])


def test_two_models_never_share_an_attack_optimizer():
    optimizer = keras.optimizers.Adam(0.01)
    games = [wrap(attack_optimizer=optimizer).game for _ in range(2)]
    assert len({id(game.attack_optimizer) for game in games} | {id(optimizer)}) == 3
    assert float(games[0].attack_optimizer.learning_rate) == pytest.approx(0.01)


# The door.

BAD_OPTIONS = [
    ({"penalty": -1.0}, "-1.0"),
    ({"penalty": float("nan")}, "nan"),
    ({"penalty": "3"}, "'3'"),
    ({"penalty": True}, "True"),
    ({"attack_steps": 0}, "attack_steps=0"),
    ({"attack_steps": 1.5}, "attack_steps=1.5"),
    ({"warmup_epochs": -1}, "warmup_epochs=-1"),
    ({"reference_batch_size": 0}, "reference_batch_size=0"),
    ({"seed": None}, "seed=None"),
    ({"inference_network": "big"}, "'big'"),
    ({"attack_optimizer": "nadan"}, "nadan"),
    ({"reference": (np.zeros((4, FEATURES)), np.full(4, CLASSES))}, "label of 3"),
    ({"reference": (np.zeros((4, FEATURES)), np.eye(CLASSES + 1))}, "4 columns"),
    ({"reference": (np.zeros((4, FEATURES + 1)), np.zeros(4, int))}, "(1, 7)"),
    ({"reference": (np.full((4, FEATURES), np.nan), np.zeros(4, int))}, "NaN"),
    ({"reference": (np.zeros((0, FEATURES)), np.zeros(0, int))}, "empty"),
    ({"reference": None}, "None"),
    ({"target": "resnet"}, "'resnet'"),
    ({"target": keras.Sequential([keras.Input((FEATURES,)), layers.Reshape((3, 2))])}, "(None, 3, 2)"),
]


@pytest.mark.parametrize(("bad", "quoted"), BAD_OPTIONS, ids=[quoted for _, quoted in BAD_OPTIONS])
def test_bad_options_are_quoted(bad, quoted):
    options = {"target": mlp(), "reference": records(), "penalty": 1.0, **bad}
    with pytest.raises(ValueError) as caught:
        mpreg.AdversarialRegularization(options.pop("target"), options.pop("reference"), **options)
    assert quoted in str(caught.value)


@pytest.mark.parametrize("penalty", [-1, float("inf"), None])
def test_a_bad_penalty_is_refused_during_training_too(penalty):
    model = wrap()
    with pytest.raises(ValueError, match=f"penalty={penalty!r}"):
        model.penalty = penalty
    assert model.penalty == 2.0


def test_numpy_numbers_are_numbers():
    options = {"penalty": np.float32(2), "seed": np.int64(3), "attack_steps": np.int32(1)}
    model = wrap(reference_batch_size=np.int64(4), **options)
    json.dumps(model.get_config())


class OwnStep(Subclassed):
    def train_step(self, data):
        return super().train_step(data)


def test_a_target_with_its_own_training_step_is_sent_to_the_callback():
    with pytest.raises(ValueError, match="OwnStep.train_step") as caught:
        wrap(OwnStep())
    assert "AdversarialTraining" in str(caught.value)


CONTRADICTIONS = [
    ("softmax", keras.losses.SparseCategoricalCrossentropy(from_logits=True), "ends in softmax"),
    (None, LOSS, "answers with logits"),
    (None, "mse", "not a classifier"),
]


@pytest.mark.parametrize(("activation", "loss", "message"), CONTRADICTIONS)
def test_a_loss_that_contradicts_the_last_activation_is_refused(activation, loss, message):
    model = wrap(mlp(activation=activation), loss=loss, compiled=EAGER)
    x, y = records()
    with pytest.raises(ValueError, match=message):
        step_of(model, x, np.eye(CLASSES)[y] if loss == "mse" else y)


# Several devices.

MIRRORED = """
import os, sys
import keras, numpy as np, tensorflow as tf
sys.path.insert(0, {tests!r})
cpu = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import mpreg
from support import mlp, records, weights_of
from mpreg.callbacks import AdversarialTraining

OPTIONS = dict(warmup_epochs=0, reference_batch_size=16, attack_optimizer=keras.optimizers.SGD(0.1))

def train(kind, reference, **weight):
    target = mlp()
    options = {{**OPTIONS, **weight}}
    model, callbacks = target, [AdversarialTraining(reference, **options)]
    if kind == "wrapper":
        model, callbacks = mpreg.AdversarialRegularization(target, reference, **options), []
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    history = model.fit(*records(), batch_size=16, epochs=3, verbose=0, shuffle=False, callbacks=callbacks,
                        validation_data=records(16)).history
    assert "inference_loss" in history and "val_inference_loss" not in history, history
    return weights_of(target), history["inference_loss"] + history["membership_gain"] + history["loss"]

streamed = tf.data.Dataset.from_tensor_slices(records(seed=9)).repeat()
for kind in ("wrapper", "callback"):
    for reference in (records(seed=9), streamed):
        alone, logs = train(kind, reference, penalty=2.0)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            together, logs_together = train(kind, reference, penalty=2.0)
        for mine, others in zip(alone, together):
            np.testing.assert_allclose(mine, others, atol=1e-5)
        np.testing.assert_allclose(logs, logs_together, atol=1e-4)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():  # the ratio is that of the first device's part
    weights, logs = train("wrapper", records(seed=9), strength=1.5)
assert all(np.isfinite(w).all() for w in weights) and np.isfinite(logs).all()
print("equal")
"""


@pytest.mark.slow
def test_two_mirrored_devices_train_as_one():
    done = run_python(MIRRORED.format(tests=str(Path(__file__).resolve().parents[1])))
    assert done.stdout.strip().endswith("equal"), done.stderr[-3000:]
