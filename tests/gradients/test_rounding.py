"""No record hides from clipping: a norm is never below the true one by more than its bound, however float32 rounds."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg.gradients.pieces import Lookups, OuterProducts, WrittenProducts, outer_products
from mpreg.gradients.plan import make_plan
from mpreg.gradients.rounding import BOUND, sums_of_squares
from mpreg.private.clipping import clipped_sums

RECORDS = 4
GAPS = (1.0, 1e-2, 1e-4, 1e-6, 0.0)  # what is left of two positions that cancel
pytestmark = pytest.mark.usefixtures("seeded")


def cancelling(shape, gap, size, seed=0):
    """float32 (n, positions, width): every second position takes back all of the one before but a gap."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    values[:, 1::2] = gap * values[:, 1::2] - values[:, ::2][:, : values[:, 1::2].shape[1]]
    return (size * values).astype("float32")


def alike(shape, seed=1):
    """float32 (n, positions, width), the same at each two positions."""
    values = np.random.default_rng(seed).normal(size=shape)
    values[:, 1::2] = values[:, ::2][:, : values[:, 1::2].shape[1]]
    return values.astype("float32")


def variable(*shape):
    return keras.Variable(np.zeros(shape, "float32"))


def contributions(piece, records=RECORDS):
    """What each record adds to a sum by itself."""
    sums = [piece.weighted_sum(tf.one_hot(row, records)).numpy() for row in range(records)]
    return np.array([np.linalg.norm(part.astype(np.float64)) for part in sums])


def assert_bounded(piece, truth):
    norms = np.sqrt(piece.squared_norms().numpy())
    assert np.all(norms >= (1 - BOUND) * truth)
    assert np.all(norms >= (1 - BOUND) * contributions(piece))
    return norms


@pytest.mark.parametrize("size", [1.0, 1e6])
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize(("positions", "d", "p"), [(2, 40, 30), (8, 60, 20), (16, 400, 300), (None, 40, 30)])
def test_outer_products_that_cancel(positions, d, p, gap, size):
    count = positions or 6
    a, g = cancelling((RECORDS, count, d), gap, size), alike((RECORDS, count, p))
    truth = np.einsum("ntd,ntp->ndp", a.astype(np.float64), g.astype(np.float64))
    truth = np.linalg.norm(truth.reshape(RECORDS, -1), axis=1)
    kernel = variable(d, p)

    def norms(a, g):
        return OuterProducts(kernel, a, g).squared_norms()

    specs = [tf.TensorSpec((None, positions, width)) for width in (d, p)]
    traced = tf.function(norms, input_signature=specs)(tf.constant(a), tf.constant(g))
    found = assert_bounded(OuterProducts(kernel, tf.constant(a), tf.constant(g)), truth)
    np.testing.assert_allclose(np.sqrt(traced), found, rtol=1e-3)
    if gap == 1.0:
        np.testing.assert_allclose(found, truth, rtol=1e-5)


@pytest.mark.parametrize("gap", GAPS)
def test_lookups_of_one_row_that_cancel(gap):
    g = cancelling((RECORDS, 6, 5), gap, 1e6)
    ids = np.array([[0, 0, 1, 1, 2, 3]] * RECORDS, "int32")
    truth = np.zeros((RECORDS, 4, 5))
    for row in range(RECORDS):
        np.add.at(truth[row], ids[row], g[row].astype(np.float64))
    piece = Lookups(variable(4, 5), tf.constant(ids), tf.constant(g))
    found = assert_bounded(piece, np.linalg.norm(truth.reshape(RECORDS, -1), axis=1))
    if gap == 1.0:
        np.testing.assert_allclose(found, np.linalg.norm(truth.reshape(RECORDS, -1), axis=1), rtol=1e-5)


def test_a_row_looked_up_often_and_taken_back():
    """In float32 a thousand small parts are lost beside a large one; their sum is not small."""
    g = np.full((1, 1002, 1), 0.03, "float32")
    g[0, 0], g[0, -1] = 1e6, -1e6
    piece = Lookups(variable(1, 1), tf.zeros((1, 1002), tf.int32), tf.constant(g))
    assert np.sqrt(piece.squared_norms().numpy()[0]) >= (1 - BOUND) * 30


@pytest.mark.parametrize("positions", [1, 2])
def test_small_parts_beside_a_large_one(positions):
    """Added up one after the other in float32, all small squares would be lost."""
    a = np.full((1, positions, 60_000), 2e-4, "float32")
    a[:, :, 0] = 1.0
    g = np.ones((1, positions, 4), "float32")
    truth = positions * np.linalg.norm(a[0, 0].astype(np.float64)) * 2
    found = np.sqrt(OuterProducts(variable(60_000, 4), a, g).squared_norms().numpy()[0])
    np.testing.assert_allclose(found, truth, rtol=BOUND / 2)
    np.testing.assert_allclose(
        sums_of_squares(tf.constant(a[:, 0]))[0], np.sum(a[0, 0].astype(np.float64) ** 2), rtol=1e-4
    )


def test_what_underflows_counts_and_what_is_nothing_is_nothing():
    a, g = np.full((1, 1, 3), 1e18, "float32"), np.full((1, 1, 3), 1e-24, "float32")
    assert np.sqrt(OuterProducts(variable(3, 3), a, g).squared_norms().numpy()[0]) >= 3e-6
    for positions in (1, 4):
        piece = OuterProducts(variable(30, 30), np.ones((1, positions, 30)), np.zeros((1, positions, 30)))
        assert np.sqrt(piece.squared_norms().numpy()[0]) < 1e-9


def test_only_records_that_cancel_are_computed_again():
    a, g = cancelling((RECORDS, 4, 50), 1.0, 1.0), alike((RECORDS, 4, 40))
    alone = OuterProducts(variable(50, 40), a, g).squared_norms().numpy()
    a[1] = cancelling((1, 4, 50), 1e-5, 1.0)
    beside = OuterProducts(variable(50, 40), a, g).squared_norms().numpy()
    np.testing.assert_array_equal(np.delete(beside, 1), np.delete(alone, 1))


def test_float64_stays_float64():
    rng = np.random.default_rng(0)
    a, g = rng.normal(size=(RECORDS, 3, 40)), rng.normal(size=(RECORDS, 3, 30))
    truth = np.einsum("ntd,ntp->ndp", a, g)
    for piece in (
        outer_products(variable(40, 30), a, g),
        WrittenProducts(variable(40, 30), tf.constant(truth)),
    ):
        squares = piece.squared_norms()
        assert squares.dtype == tf.float64
        np.testing.assert_allclose(squares, np.sum(truth**2, axis=(1, 2)), rtol=1e-12)
        assert piece.weighted_sum(tf.ones(RECORDS)).dtype == tf.float64


# Every family of layers, on records whose positions cancel.

POSITIONS, WIDTH = 8, 6
FAMILIES = {
    "dense on few positions": lambda: layers.Dense(40, use_bias=False),
    "dense": lambda: layers.Dense(3),
    "einsum": lambda: layers.EinsumDense("abc,cde->abde", (None, 2, 20)),
    "einsum, no product": lambda: layers.EinsumDense("abc,bcd->abd", (POSITIONS, 4), bias_axes="bd"),
    "conv1d": lambda: layers.Conv1D(30, 3, padding="same"),
    "conv2d": lambda: keras.Sequential([layers.Reshape((4, 2, WIDTH)), layers.Conv2D(30, 2, padding="same")]),
    "grouped": lambda: layers.Conv1D(4, 2, groups=2),
    "depthwise": lambda: layers.DepthwiseConv1D(2),
    "separable": lambda: layers.SeparableConv1D(20, 2),
    "layer norm": lambda: layers.LayerNormalization(),
    "group norm": lambda: layers.GroupNormalization(2),
}


def family(name, dtype):
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(dtype)
    try:
        return keras.Sequential([keras.Input((POSITIONS, WIDTH)), FAMILIES[name](), layers.Flatten()])
    finally:
        keras.config.set_dtype_policy("float32")


def loss_of(model, x):
    """Linear in the answers, the same at each two positions: all that cancels in the inputs cancels in the gradient."""
    answers = model(x, training=True)
    count = answers.shape[1]
    pull = np.repeat(np.random.default_rng(2).normal(size=count // 2), 2)[:count]
    pull = (
        np.resize(pull, count)
        if answers.shape[1] % POSITIONS
        else np.tile(pull[: count // POSITIONS], POSITIONS)
    )
    return answers, tf.reduce_sum(answers * tf.cast(pull.astype("float32"), answers.dtype))


@pytest.mark.parametrize("size", [1.0, 1e6])
@pytest.mark.parametrize("name", FAMILIES)
def test_no_layer_lets_a_record_add_more_than_the_clip(name, size):
    model, truth = family(name, "float32"), family(name, "float64")
    truth.set_weights(model.get_weights())
    plan = make_plan(model, tf.TensorSpec((None, POSITIONS, WIDTH)))
    assert plan.whole is None and plan.rows[0]["how"] == "ghost"
    for gap in GAPS:
        x = tf.constant(cancelling((RECORDS, POSITIONS, WIDTH), gap, size))
        _, _, pieces = plan.backward(lambda x=x: loss_of(model, x), 1)
        whole = clipped_sums(model.trainable_variables, pieces, tf.ones(RECORDS), float("inf"))
        clip = float(np.min(whole.norms[whole.norms > 0])) / 2
        for row in range(RECORDS):
            clipped = clipped_sums(model.trainable_variables, pieces, tf.one_hot(row, RECORDS), clip)
            added = np.sqrt(sum(np.sum(part.numpy().astype(np.float64) ** 2) for part in clipped.sums))
            assert added <= clip * (1 + BOUND)
            with tf.GradientTape() as tape:
                _, loss = loss_of(truth, x[row : row + 1])
            exact = tape.gradient(loss, [v.value for v in truth.trainable_variables])
            exact = np.sqrt(sum(np.sum(part.numpy() ** 2) for part in exact))
            # Where gradients are written out, float32's own rounding of them is in what is added as well.
            assert whole.norms[row] >= (1 - BOUND) * exact - 1e-5 * size * (gap < 1)
            if gap == 1.0:
                np.testing.assert_allclose(whole.norms[row], exact, rtol=1e-5)


def test_a_record_of_two_positions_that_cancel_is_clipped():
    start = keras.Input((2, 32))
    hidden = layers.GlobalAveragePooling1D()(layers.Dense(32, use_bias=False)(start))
    target = keras.Model(start, layers.Dense(2)(hidden))
    target.layers[-1].trainable = False
    model = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=1.0)
    model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = cancelling((1, 2, 32), 1e-4, 1e6)
    y = target(x).numpy().argmin(axis=1)
    before = target.get_weights()[0]
    model.train_on_batch(x, y)
    moved = np.linalg.norm(target.get_weights()[0].astype(np.float64) - before)
    assert 0.9 < moved <= 1 + BOUND


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_record_without_finite_numbers_adds_nothing(name, spoilt):
    model = family(name, "float32")
    plan = make_plan(model, tf.TensorSpec((None, POSITIONS, WIDTH)))
    x = np.random.default_rng(0).normal(size=(3, POSITIONS, WIDTH)).astype("float32")
    broken = x.copy()
    broken[1, 2, 3] = spoilt

    def clipped(x, scales):
        _, _, pieces = plan.backward(lambda: loss_of(model, tf.constant(x)), 1)
        return clipped_sums(model.trainable_variables, pieces, tf.constant(scales), 1.0)

    found, expected = clipped(broken, [1.0, 1.0, 1.0]), clipped(x, [1.0, 0.0, 1.0])
    assert (found.left_out, expected.left_out) == (1, 0) and found.norms[1] == 0
    for one, another in zip(found.sums, expected.sums, strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e3])
@pytest.mark.parametrize("gap", GAPS)
def test_attention_lets_no_record_add_more_than_the_clip(gap, size):
    inputs = keras.Input((POSITIONS, WIDTH))
    model = keras.Model(inputs, layers.Flatten()(layers.MultiHeadAttention(2, 20)(inputs, inputs)))
    plan = make_plan(model, tf.TensorSpec((None, POSITIONS, WIDTH)))
    assert plan.whole is None
    assert_added(model, plan, tf.constant(cancelling((RECORDS, POSITIONS, WIDTH), gap, size)))


@pytest.mark.parametrize("gap", GAPS)
def test_repeated_lookups_let_no_record_add_more_than_the_clip(gap):
    model = keras.Sequential(
        [keras.Input((POSITIONS,), dtype="int32"), layers.Embedding(3, 5), layers.Flatten()]
    )
    plan = make_plan(model, tf.TensorSpec((None, POSITIONS), tf.int32))
    pull = cancelling((1, POSITIONS, 5), gap, 1e6).reshape(1, -1)
    ids = tf.constant(np.repeat(np.arange(RECORDS)[:, None] % 3, POSITIONS, axis=1), tf.int32)
    assert_added(model, plan, ids, lambda answers: tf.reduce_sum(answers * pull))


def assert_added(model, plan, x, loss=lambda answers: tf.reduce_sum(answers**2)):
    def run():
        answers = model(x, training=True)
        return answers, loss(answers)

    _, _, pieces = plan.backward(run, 1)
    norms = clipped_sums(model.trainable_variables, pieces, tf.ones(RECORDS), float("inf")).norms
    clip = float(np.min(norms[norms > 0])) / 2
    for row in range(RECORDS):
        sums = clipped_sums(model.trainable_variables, pieces, tf.one_hot(row, RECORDS), clip).sums
        assert np.sqrt(sum(np.sum(part.numpy().astype(np.float64) ** 2) for part in sums)) <= clip * (
            1 + BOUND
        )
