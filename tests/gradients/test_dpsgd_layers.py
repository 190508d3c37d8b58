"""Clipping without per-example gradients: equal to a plain loop over records, for every layer with a rule."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg.gradients.mapped import LOOPED, VECTORIZED
from mpreg.gradients.pieces import OuterProducts, WrittenProducts
from mpreg.gradients.plan import make_plan
from mpreg.private.clipping import clipped_sums

RECORDS = 5
pytestmark = pytest.mark.usefixtures("seeded")


def stack(shape, *parts, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])


def attention(shape=(4, 6)):
    inputs = keras.Input(shape)
    attended = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.LayerNormalization()(attended + inputs)[:, 0]))


class Recurring(keras.Model):
    """One dense layer called four times, on inputs of its own outputs too."""

    def __init__(self, shared):
        super().__init__()
        self.shared, self.last = shared, layers.Dense(3)

    def call(self, x):
        once = self.shared(x)
        return self.last(self.shared(self.shared(once)) + self.shared(-x))


def recurring(shape, shared):
    model = Recurring(shared)
    model.record_shape = shape
    model(np.zeros((1, *shape), "float32"))
    return model


def shared_embedding():
    ids = keras.Input((5,), dtype="int32")
    table = layers.Embedding(4, 3)
    pooled = layers.GlobalAveragePooling1D()
    return keras.Model(ids, layers.Dense(2)(pooled(table(ids)) * pooled(table(ids[:, ::2]))))


def frozen_kernel():
    model = stack((6,), layers.Dense(4, "relu"), layers.Dense(2))
    model.layers[0].kernel.trainable = False
    return model


# Several layers of a kind stand in one model: all their gradients are compared.
GHOSTS = {
    "dense": lambda: stack((6,), layers.Dense(5, "relu"), layers.Dense(3, "softmax")),
    "dense on sequences": lambda: stack(
        (9, 4),
        layers.Dense(3, "tanh"),  # long: its gradients are smaller than Gram matrices
        layers.Reshape((3, 9)),
        layers.Dense(8, "tanh"),  # short
        layers.Reshape((2, 3, 4)),
        layers.Dense(3, use_bias=False),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "conv1d": lambda: stack(
        (9, 9),
        layers.Conv1D(4, 3, strides=2),
        layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
        layers.DepthwiseConv1D(3),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "conv2d": lambda: stack(
        (7, 8, 3),
        layers.Conv2D(9, 3, 2, padding="same", activation="relu"),
        layers.Conv2D(20, 3, padding="same"),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "conv2d, dilated and grouped": lambda: stack(
        (6, 6, 8),
        layers.Conv2D(4, (3, 2), padding="same", dilation_rate=2),
        layers.Conv2D(6, 3, groups=2),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "conv2d of any size": lambda: stack(
        (None, None, 7), layers.Conv2D(3, 3, 2, padding="same"), layers.GlobalAveragePooling2D()
    ),
    "conv3d": lambda: stack((4, 4, 4, 2), layers.Conv3D(3, 2), layers.Flatten(), layers.Dense(2)),
    "depthwise 2d": lambda: stack(
        (7, 6, 3),
        layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "separable": lambda: stack(
        (9, 2),
        layers.SeparableConv1D(3, 3, padding="same", activation="tanh"),
        layers.Reshape((9, 3, 1)),
        layers.SeparableConv2D(3, 2, depth_multiplier=2, dilation_rate=2),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "embedding": lambda: stack(
        (6,), layers.Embedding(4, 3), layers.Flatten(), layers.Dense(2), dtype="int32"
    ),
    "embedding of one id": lambda: stack(
        (1,), layers.Embedding(4, 3), layers.Flatten(), layers.Dense(2), dtype="int32"
    ),
    "layer norm": lambda: stack(
        (4, 6),
        layers.LayerNormalization(),
        layers.LayerNormalization(axis=(1, 2)),
        layers.Flatten(),
        layers.Dense(2),
    ),
    "root mean square norm": lambda: stack(
        (4, 6), layers.RMSNormalization(), layers.Flatten(), layers.Dense(2)
    ),
    "group norm": lambda: stack((4, 4, 6), layers.GroupNormalization(3), layers.Flatten(), layers.Dense(2)),
    "einsum": lambda: stack(
        (4, 6),
        layers.EinsumDense("abc,cde->abde", (4, 2, 3), bias_axes="de"),
        layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"),
        layers.Reshape((4, 6)),
        layers.EinsumDense("abc,bcd->abd", (4, 3), bias_axes="bd"),  # not a product
        layers.Flatten(),
        layers.Dense(2),
    ),
    "attention": attention,
    "shared dense": lambda: recurring((6,), layers.Dense(6, "tanh")),
    "shared conv": lambda: recurring((4, 4, 3), layers.Conv2D(3, 3, padding="same")),
    "shared layer norm": lambda: recurring((6,), layers.LayerNormalization()),
    "shared embedding": shared_embedding,
    "frozen kernel": frozen_kernel,
    "nested": lambda: stack((6,), stack((6,), layers.Dense(4, "relu")), layers.Dense(2)),
}
ALONE = {
    "prelu": (lambda: stack((6,), layers.Dense(4), layers.PReLU(), layers.Dense(2)), VECTORIZED),
    "convolution in a loop": (
        lambda: stack((3, 4, 2), layers.ConvLSTM1D(2, 2), layers.Flatten(), layers.Dense(2)),
        LOOPED,
    ),
    "time distributed": (
        lambda: stack((3, 4), layers.TimeDistributed(layers.Dense(3)), layers.Flatten(), layers.Dense(2)),
        VECTORIZED,
    ),
}


def batch_for(model, rows=RECORDS, seed=0):
    rng = np.random.default_rng(seed)
    shape = model.record_shape if isinstance(model, Recurring) else model.input_shape[1:]
    shape = (rows, *(5 if size is None else size for size in shape))
    if not isinstance(model, Recurring) and model.inputs[0].dtype == "int32":
        return tf.constant(rng.integers(0, 4, shape), tf.int32)
    return tf.constant(rng.normal(size=shape), tf.float32)


def plan_for(model, x):
    known = model.record_shape if isinstance(model, Recurring) else model.input_shape[1:]
    return make_plan(model, tf.TensorSpec((None, *known), x.dtype))


@functools.cache
def planned(name):
    """A model and its plan, shared by the tests: none of them trains it."""
    keras.utils.set_random_seed(1)
    model = GHOSTS[name]()
    return model, plan_for(model, batch_for(model))


def loss_of(model, x):
    answers = model(x, training=True)
    return answers, tf.reduce_mean(tf.reduce_sum(tf.square(answers - 0.3), axis=-1))


def one_by_one(model, x, scales, copies=1):
    """Gradients and their norms, by one backward pass a record."""
    gradients = []
    for row, scale in enumerate(scales):
        with tf.GradientTape() as tape:
            _, loss = loss_of(model, x[row * copies : (row + 1) * copies])
        found = tape.gradient(
            loss, [v.value for v in model.trainable_variables], unconnected_gradients="zero"
        )
        gradients.append([scale * tf.convert_to_tensor(g).numpy() for g in found])
    squares = [sum(np.sum(np.square(g, dtype=np.float64)) for g in parts) for parts in gradients]
    return gradients, np.sqrt(squares)


def clipped(gradients, norms, clip):
    """Sums of clipped gradients, by NumPy, and the norms before."""
    factors = clip / np.maximum(clip, norms)
    return [
        sum(f * g for f, g in zip(factors, parts, strict=True)) for parts in zip(*gradients, strict=True)
    ], norms


def ghost(model, plan, x, scales, clip, copies=1):
    _, _, pieces = plan.backward(lambda: loss_of(model, x), copies)
    weights = tf.constant(scales, tf.float32) * len(scales)  # the loss is the mean over records
    found = clipped_sums(model.trainable_variables, pieces, weights, clip)
    return [total.numpy() for total in found.sums], found.norms.numpy()


def assert_clips(model, plan, x, scales, copies=1):
    """Asserts that clipping is that of one backward pass a record; some are clipped, some are not."""
    gradients, norms = one_by_one(model, x, scales, copies)
    clip = float(np.median(norms[norms > 0]))
    found, expected = ghost(model, plan, x, scales, clip, copies), clipped(gradients, norms, clip)
    largest = max(np.max(np.abs(total)) for total in expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    for mine, theirs in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("name", GHOSTS)
def test_ghost_clipping_is_clipping(name):
    model, plan = planned(name)
    assert plan.whole is None and {row["how"] for row in plan.rows} == {"ghost"}, plan
    assert_clips(model, plan, batch_for(model), np.array([1.0, 0.5, -2.0, 1.0, 0.0], "float32"))


@pytest.mark.parametrize("name", ["dense", "conv2d", "attention", "embedding", "group norm", "shared dense"])
def test_copies_of_a_record_are_clipped_as_one(name):
    model, plan = planned(name)
    assert_clips(model, plan, batch_for(model, 6), np.ones(3, "float32"), copies=2)


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_without_a_rule_runs_alone(name):
    make, how = ALONE[name]
    model = make()
    x = batch_for(model)
    plan = plan_for(model, x)
    assert plan.whole is None and how in {row["how"] for row in plan.rows}, plan
    assert_clips(model, plan, x, np.ones(RECORDS, "float32"))


class Tied(keras.Model):
    """Uses a layer's kernel outside that layer."""

    def __init__(self):
        super().__init__()
        self.code, self.last = layers.Dense(4, use_bias=False), layers.Dense(3)

    def call(self, x):
        return self.last(self.code(x) @ keras.ops.transpose(self.code.kernel))


class Owner(keras.Model):
    """Has a weight of its own."""

    def __init__(self):
        super().__init__()
        self.last = layers.Dense(3)
        self.scale = self.add_weight(shape=(6,), initializer="ones", name="scale")

    def call(self, x):
        return self.last(x * self.scale)


class Centre(layers.Layer):
    """Mixes the records of a batch while it trains."""

    def call(self, x, training=None):
        return x if not training else x - keras.ops.mean(x, axis=0, keepdims=True)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Tied, "come out otherwise"),
        (Owner, "weights of its own"),
        (lambda: stack((6,), layers.Dense(4), Centre(), layers.Dense(2)), "come out otherwise"),
    ],
)
def test_where_the_layers_do_not_tell_the_whole_model_runs_on_each_record(make, why):
    model = make()
    model(np.zeros((1, 6), "float32"))
    plan = make_plan(model, tf.TensorSpec((None, 6), tf.float32))
    assert plan.whole == VECTORIZED and why in plan.why
    assert VECTORIZED in str(plan)


def test_tapping_leaves_no_trace():
    model = GHOSTS["dense"]()
    before = [dict(layer.__dict__) for layer in model.layers]
    make_plan(model, tf.TensorSpec((None, 6), tf.float32))
    assert [set(layer.__dict__) for layer in model.layers] == [set(names) for names in before]
    for layer, names in zip(model.layers, before, strict=True):
        assert layer.activation is names["activation"] and "call" not in layer.__dict__


def test_the_trial_draws_no_random_numbers_of_the_model():
    model = stack((6,), layers.Dense(4), layers.Dropout(0.5, seed=3), layers.Dense(2))
    state = [v.numpy() for v in model.non_trainable_variables]
    make_plan(model, tf.TensorSpec((None, 6), tf.float32))
    np.testing.assert_array_equal(state, [v.numpy() for v in model.non_trainable_variables])


@pytest.mark.parametrize("positions", [1, 3, 20])
def test_both_forms_of_outer_products_agree(positions):
    rng = np.random.default_rng(0)
    variable = keras.Variable(np.zeros((4, 3), "float32"))
    a, g = (tf.constant(rng.normal(size=(5, positions, width)), tf.float32) for width in (4, 3))
    factors = tf.constant(rng.normal(size=5), tf.float32)
    gram, written = (
        OuterProducts(variable, a, g),
        WrittenProducts(variable, tf.matmul(a, g, transpose_a=True)),
    )
    np.testing.assert_allclose(gram.squared_norms(), written.squared_norms(), rtol=1e-4)
    np.testing.assert_allclose(
        gram.weighted_sum(factors), written.weighted_sum(factors), rtol=1e-4, atol=1e-5
    )


def test_inputs_that_cannot_be_tried_out_are_refused():
    with pytest.raises(ValueError, match="inputs of type string"):
        make_plan(GHOSTS["dense"](), tf.TensorSpec((None, 1), tf.string))


def test_half_precision_is_clipped_in_single_precision():
    model = stack((6,), layers.Dense(5, "relu", dtype="mixed_bfloat16"), layers.Dense(3))
    x = batch_for(model)
    plan = make_plan(model, tf.TensorSpec((None, 6), tf.float32))
    assert {row["how"] for row in plan.rows} == {"ghost"}
    sums, norms = ghost(model, plan, x, np.ones(RECORDS, "float32"), 0.1)
    assert size(sums) <= RECORDS * 0.1 * (1 + 1e-5) and all(total.dtype == np.float32 for total in sums)
    np.testing.assert_allclose(norms, one_by_one(model, x, np.ones(RECORDS))[1], rtol=0.02)


def size(parts):
    return np.sqrt(sum(np.sum(np.square(part)) for part in parts))


DOUBLE = (
    "dense",
    "dense on sequences",
    "conv2d",
    "separable",
    "embedding",
    "layer norm",
    "einsum",
    "attention",
)


@pytest.fixture
def double_precision():
    """Both: Keras' layer normalization computes by way of the default type, whatever its policy."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", [*DOUBLE, "lstm"])
def test_double_precision_is_clipped_in_double_precision(name, double_precision):
    model = GHOSTS[name]() if name in GHOSTS else stack((4, 3), layers.LSTM(3), layers.Dense(2))
    x = batch_for(model)
    x = tf.cast(x, tf.float64) if x.dtype.is_floating else x
    plan = plan_for(model, x)
    assert plan.whole is None and {row["how"] for row in plan.rows} == {"ghost"}, plan
    scales = np.ones(RECORDS, "float32")
    gradients, norms = one_by_one(model, x, scales)
    clip = float(np.float32(np.median(norms)))  # the clip norm is kept in float32
    sums, found = ghost(model, plan, x, scales, clip)
    assert found.dtype == np.float64 and all(total.dtype == np.float64 for total in sums)
    np.testing.assert_allclose(found, norms, rtol=1e-10, atol=1e-12)
    for mine, theirs in zip(sums, clipped(gradients, norms, clip)[0], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("microbatch", [None, 2])
def test_a_model_of_double_precision_trains(microbatch, double_precision):
    target = stack((6,), layers.Dense(4, "tanh"), layers.Dense(2, "softmax"))
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0, microbatch_size=microbatch)
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(7, 6))
    history = model.fit(x, np.arange(7) % 2, batch_size=5, verbose=0).history
    assert np.isfinite(history["loss"]).all() and target.weights[0].dtype == "float64"
