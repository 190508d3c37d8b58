"""Gradients of single records in inference mode, against a loop with a plain `GradientTape`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mpreg.gradients.each import EachGradient

RECORDS, CLASSES = 5, 3


def loss(labels, answers):
    return keras.losses.sparse_categorical_crossentropy(labels, answers, from_logits=True)


def naive(model, x, y, variables):
    """One record at a time."""
    rows = []
    for row in range(len(y)):
        record = keras.tree.map_structure(lambda part, at=row: part[at : at + 1], x)
        with tf.GradientTape() as tape:
            value = loss(y[row : row + 1], model(record, training=False))[0]
        found = tape.gradient(value, [v.value for v in variables])
        rows.append([tf.convert_to_tensor(g).numpy() for g in found])
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


class Oblique(layers.Layer):
    """A layer that no rule knows."""

    def build(self, shape):
        self.angle = self.add_weight(shape=(shape[-1],), name="angle")

    def call(self, inputs):
        return inputs * keras.ops.cos(self.angle) + keras.ops.sin(inputs * self.angle)


class Subclassed(keras.Model):
    """A model with a weight of its own, outside its layers, so that it is run on each record."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(CLASSES)
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

    def call(self, inputs):
        return self.dense(inputs * self.scale)


def text(*recurrent):
    return lambda: [keras.Input((6,), dtype="int32"), layers.Embedding(9, 4), *recurrent]


STACKS = {
    "dense": lambda: [keras.Input((4,)), layers.Dense(6, "tanh"), layers.Dropout(0.5)],
    "convolutions": lambda: [
        keras.Input((6, 6, 2)),
        layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(8, 2),
        layers.Flatten(),
    ],
    "batch normalization": lambda: [
        keras.Input((6, 6, 2)),
        layers.Conv2D(3, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.GlobalAveragePooling2D(),
    ],
    "embedding": text(layers.GlobalAveragePooling1D()),
    "lstm": text(layers.LSTM(5)),
    "gru": text(layers.GRU(5)),
    "gru, reset before": text(layers.GRU(5, reset_after=False)),
    "bidirectional": text(layers.Bidirectional(layers.LSTM(3))),
    "no rule": lambda: [keras.Input((4,)), Oblique(), layers.Dense(5, "relu")],
}


def made(name):
    keras.utils.set_random_seed(3)
    if name == "own weight":
        model = Subclassed()
        model(np.zeros((1, 4), "float32"))
    else:
        model = keras.Sequential([*STACKS[name](), layers.Dense(CLASSES)])
    rng = np.random.default_rng(0)
    for layer in model.layers:  # averages other than those that every fresh one has
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2.0, w.shape) for w in layer.get_weights()])
    shape = (RECORDS, *model.inputs[0].shape[1:]) if name != "own weight" else (RECORDS, 4)
    whole = name != "own weight" and model.inputs[0].dtype == "int32"
    x = rng.integers(0, 9, shape) if whole else rng.normal(size=shape)
    return model, x.astype("int32" if whole else "float32"), rng.integers(0, CLASSES, RECORDS)


@pytest.mark.parametrize("name", [*STACKS, "own weight"])
def test_gradients_are_those_of_one_record_at_a_time(name):
    model, x, y = made(name)
    variables = model.trainable_variables
    spec = tf.TensorSpec((None, *x.shape[1:]), x.dtype)
    before = [w.copy() for w in model.get_weights()]
    each = EachGradient(model, spec, variables, measured=variables)
    losses, gradients, norms = tf.function(lambda x, y: each(x, y, loss))(x, y)
    assert (each.plan.whole is not None) == (name == "own weight")
    np.testing.assert_allclose(losses, loss(y, model(x, training=False)), rtol=1e-5, atol=1e-6)
    truth = naive(model, x, y, variables)
    for variable, found, norm, expected in zip(variables, gradients, norms.numpy().T, truth, strict=True):
        assert np.abs(expected).max() > 0, variable.path
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=variable.path)
        expected = np.sqrt(np.sum(np.square(expected), axis=tuple(range(1, expected.ndim))))
        np.testing.assert_allclose(norm, expected, rtol=1e-3, atol=1e-6, err_msg=variable.path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_only_the_weights_asked_for_are_written_out():
    model, x, y = made("convolutions")
    chosen = model.layers[1].trainable_variables
    each = EachGradient(model, tf.TensorSpec((None, *x.shape[1:]), x.dtype), chosen)
    assert [step.layer for step in each.plan.steps] == [model.layers[1]]
    _, gradients, norms = each(x, y, loss)
    assert norms.shape == (RECORDS, 0)
    for found, expected in zip(gradients, naive(model, x, y, chosen), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
