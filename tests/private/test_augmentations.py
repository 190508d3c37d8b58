"""Which augmentations DP-SGD takes: those that make each row of that row alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import mpreg
from mpreg.private.augmentations import try_augment

IMAGES = tf.TensorSpec((None, 8, 8, 3))


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(1)


def shift(x):
    return x + keras.random.normal((len(x), 1, 1, 1))


def brighten(x):
    return x * tf.random.uniform((tf.shape(x)[0], 1, 1, 1))


@pytest.mark.parametrize(
    "augment",
    [
        layers.RandomFlip(),
        layers.RandomTranslation(0.3, 0.3),
        layers.RandomRotation(0.2),
        layers.RandomZoom(0.3),
        layers.RandomCrop(5, 5),
        layers.RandomContrast(0.5),
        layers.RandomBrightness(0.5),
        layers.GaussianNoise(0.5),
        layers.Rescaling(1 / 255),
        keras.Sequential([layers.RandomFlip(), layers.RandomErasing()]),
        shift,
        brighten,
        lambda x: ops.softmax(x),
        lambda x: x / ops.max(x, axis=(1, 2, 3), keepdims=True),
    ],
    ids=lambda augment: getattr(augment, "name", None) or augment.__name__,
)
def test_rows_of_their_own_are_taken(augment):
    try_augment(augment, IMAGES)


def mixed(x):
    share = tf.random.uniform((tf.shape(x)[0], 1, 1, 1))
    return share * x + (1 - share) * tf.gather(x, tf.random.shuffle(tf.range(tf.shape(x)[0])))


def standardized(x):
    return (x - ops.mean(x, axis=0)) / (1e-3 + ops.std(x, axis=0))


def shared(x):
    return x / ops.sum(x, axis=0)


def ranked(x):
    """Without derivatives: tells which rows are above the mean of all."""
    return ops.cast(x > ops.mean(x), x.dtype)


class Counting(layers.Layer):
    """Keeps the sum of what it saw."""

    def build(self, shape):
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.total.assign_add(ops.sum(x))
        return 2 * x


@pytest.mark.parametrize(
    ("augment", "words"),
    [
        (layers.MixUp(), "mixes records.*MixUp"),
        (keras.Sequential([layers.RandomFlip(), layers.CutMix()]), "mixes records.*Sequential"),
        (mixed, "mixes records.*mixed"),
        (standardized, "mixes records.*standardized"),
        (shared, "mixes records.*shared"),
        (ranked, "mixes records.*ranked"),
        (lambda x: x[::-1], "mixes records"),
        (lambda x: x[:2], "a row for each row.*2 rows"),
        (lambda x: ops.reshape(x, (-1, 7)), "could not be tried out"),
        (Counting(), "keeps something of the records.*Counting"),
    ],
)
def test_rows_of_several_are_refused(augment, words):
    with pytest.raises(ValueError, match=words):
        try_augment(augment, IMAGES)


@pytest.mark.parametrize(
    "spec", [tf.TensorSpec((None, 5), tf.int32), {"a": tf.TensorSpec((None, 5), tf.float32)}]
)
def test_other_inputs(spec):
    twice = keras.tree.map_structure  # of nested inputs
    try_augment(lambda x: twice(lambda part: part + 1, x), spec)
    with pytest.raises(ValueError, match="mixes records"):
        try_augment(lambda x: twice(lambda part: part + ops.sum(part, axis=0), x), spec)


def test_it_is_tried_ahead_of_the_first_step_and_leaves_no_trace():
    def model(augment):
        target = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
        made = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=1.0, augment=augment, augmentations=2)
        made.compile("sgd", "mse")
        return made

    x, y = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32"), np.zeros((8, 2), "float32")
    with pytest.raises(ValueError, match="mixes records"):
        model(standardized).fit(x, y, verbose=0)
    noise = layers.GaussianNoise(0.5, seed=1)
    before = [state.numpy() for state in noise.variables]
    try_augment(noise, IMAGES)
    for state, was in zip(noise.variables, before, strict=True):
        np.testing.assert_array_equal(state.numpy(), was)
    model(noise).fit(x, y, verbose=0)
