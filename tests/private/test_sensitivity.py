"""Whatever is trained, and whatever a record holds: it moves the clipped sum of its batch by at most the clip norm.

Each test takes one batch of ordinary and of hostile records, and leaves out every one of them in turn.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses

import mpreg
from mpreg.private.batches import PrivateBatch
from mpreg.private.weights import told_weights

CLIP = 0.5
MOST = 1 + 1e-3  # clips

pytestmark = [  # of which hostile records are meant to set off both
    pytest.mark.filterwarnings("ignore:the gradient of . record"),
    pytest.mark.filterwarnings("ignore:. sample weight"),
]


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(1)


class Released:
    """A `DPSGD` without noise, and the clipped sums that it would have noised."""

    def __init__(self, target, loss="mse", **options):
        self.model = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=CLIP, seed=0, **options)
        self.compile(loss)

    def compile(self, loss):
        self.model.compile(keras.optimizers.SGD(0.0), loss, run_eagerly=True)

    def sum(self, x, y, weights=None):
        """The clipped sum of a step on a batch in clips, one flat array."""
        noted, clipped = [], PrivateBatch.clipped

        def note(batch, divisor):
            noted.append((batch, divisor, clipped(batch, divisor)))
            return noted[-1][-1]

        with pytest.MonkeyPatch.context() as patch, self._same_draws():
            patch.setattr(PrivateBatch, "clipped", note)
            self.model.train_on_batch(x, y, sample_weight=weights)
        ((batch, divisor, found),) = noted
        self.plan = batch.plan
        return self._in_clips(found, float(divisor))

    def padded_sum(self, x, y, weights):
        """As `sum`, by the part of a step that clips and adds alone, which takes half the time."""
        x, y, weights = keras.tree.map_structure(tf.convert_to_tensor, (x, y, weights))
        with self._same_draws():
            batch = PrivateBatch(self.model, self.plan, x, y, told_weights(weights))
            return self._in_clips(batch.clipped(1.0), 1.0)

    def _in_clips(self, found, divisor):
        self.below = float(found[2])
        return np.concatenate([np.ravel(part) * divisor / CLIP for part in found[0]])

    @contextlib.contextmanager
    def _same_draws(self):
        """Random layers draw alike for every batch, so that only a record's absence makes a difference."""
        random = [
            self.model.target_model,
            *(part for part in [self.model.augment] if hasattr(part, "variables")),
        ]
        kept = [(state, state.numpy()) for part in random for state in part.non_trainable_variables]
        yield
        for variable, value in kept:
            variable.assign(value)

    def moves(self, x, y, weights=None, *, drop=True):
        """By how many clips each record moves the sum, as padding of weight 0 takes its place.

        Args:
            drop: whether the first and the last record are also left out altogether, which must come to the same.
        """
        rows = len(keras.tree.flatten(x)[0])
        weights = np.ones(rows, "float32") if weights is None else np.asarray(weights, "float32")
        whole, below, moves = self.sum(x, y, weights), self.below, []
        assert np.all(np.isfinite(whole))
        np.testing.assert_allclose(self.padded_sum(x, y, weights), whole, rtol=1e-6, atol=1e-6)
        for row in range(rows):
            padded = [
                keras.tree.map_structure(lambda part, at=row: emptied(part, at), each) for each in (x, y)
            ]
            rest = self.padded_sum(*padded, emptied(weights, row))
            moves.append(np.linalg.norm(whole - rest))
            assert abs(self.below - below) <= 0.5  # the count by which a clip may adapt
            if drop and row in (0, rows - 1):
                fewer = [
                    keras.tree.map_structure(lambda part, at=row: np.delete(part, at, 0), e) for e in (x, y)
                ]
                assert np.linalg.norm(self.sum(*fewer, np.delete(weights, row)) - rest) < 1e-3
        return np.array(moves)


def emptied(part, row):
    part = part.copy()
    part[row] = 0
    return part


def hostile(shape, seed=0):
    """Eight records: three ordinary ones, huge, cancelling, silent, with NaN, infinite."""
    x = np.random.default_rng(seed).normal(size=(8, *shape)).astype("float32")
    signs = np.where(np.arange(np.prod(shape)).reshape(shape) % 2, 1, -1) if shape else 1
    if len(shape) > 1:  # alike at all positions, but for their sign
        signs = np.where(np.arange(shape[0]) % 2, 1, -1).reshape(-1, *[1] * (len(shape) - 1))
    x[3] *= 1e6
    x[4] = 1e3 * signs
    x[5] = 0
    x[6].ravel()[0] = np.nan
    x[7] = np.inf
    return x


def ids(shape, seed=0):
    x = np.random.default_rng(seed).integers(0, 4, (8, *shape)).astype("int32")
    x[3], x[4] = 0, 3
    return x


def answers_like(target, seed=0):
    """Labels for a loss of regression; the last are as hostile as records are."""

    def make(shape):
        y = np.random.default_rng(seed + 1).normal(size=(8, *shape[1:])).astype("float32")
        y[2] *= 1e6
        y[5, 0] = np.nan
        return y

    outputs = target.output_shape
    return [make(shape) for shape in outputs] if isinstance(outputs, list) else make(outputs)


def assert_bounded(released, x, y, weights=None, *, drop=True):
    moves = released.moves(x, y, weights, drop=drop)
    assert np.all(moves <= MOST), moves
    assert np.max(moves) > 0.99  # the bound is reached, so the test could tell


# Layers.


def stack(shape, *parts, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *parts])


def last(*parts):
    return *parts, layers.Flatten(), layers.Dense(2)


def attention():
    inputs = keras.Input((4, 6))
    attended = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    grouped = layers.GroupQueryAttention(3, 2, 1)(attended + inputs, inputs)
    weighed = layers.AdditiveAttention()([grouped, inputs])
    return keras.Model(inputs, layers.Dense(3)(layers.LayerNormalization()(weighed)[:, 0]))


def masked():
    return stack(
        (5,),
        layers.Embedding(4, 3, mask_zero=True),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2),
        dtype="int32",
    )


def shared():
    inputs = keras.Input((6,))
    dense = layers.Dense(6, "tanh")
    return keras.Model(inputs, layers.Dense(2)(dense(dense(inputs)) + dense(-inputs)))


def adapted():
    """A frozen dense layer with low-rank weights beside it."""
    target = stack((6,), layers.Dense(5, "relu"), layers.Dense(2))
    target.layers[0].enable_lora(2)
    target.layers[0].lora_kernel_b.assign(np.ones((2, 5)))
    return target


def frozen():
    target = stack((4, 6), layers.Dense(6), layers.BatchNormalization(), *last())
    target.layers[1].trainable = False
    target.layers[0].bias.trainable = False
    return target


def masked_attention():
    tokens = keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(4, 6, mask_zero=True)(tokens)
    attended = layers.MultiHeadAttention(2, 3)(embedded, embedded)
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(attended)))


class Owner(keras.Model):
    """Has a weight of its own, so that the whole model runs on each record."""

    def __init__(self, dropout):
        super().__init__()
        self.last, self.drop = layers.Dense(2), layers.Dropout(dropout, seed=1)
        self.scale = self.add_weight(shape=(6,), initializer="ones", name="scale")
        self.output_shape = (None, 2)

    def call(self, x, training=None):
        return self.last(self.drop(x * self.scale, training=training))


def owner(dropout=0.0):
    model = Owner(dropout)
    model(np.zeros((1, 6), "float32"))
    return model


LAYERS = {
    "dense": lambda: stack((6,), layers.Dense(5, "relu"), layers.Dense(2)),
    "dense without bias": lambda: stack((6,), layers.Dense(2, use_bias=False)),
    "dense on sequences": lambda: stack((9, 4), layers.Dense(8), *last(layers.Dense(3, "tanh"))),
    "dense on short sequences": lambda: stack((3, 40), layers.Dense(30), layers.GlobalAveragePooling1D()),
    "einsum": lambda: stack(
        (4, 6),
        layers.EinsumDense("abc,cde->abde", (4, 2, 3), bias_axes="de"),
        *last(layers.Reshape((4, 6)), layers.EinsumDense("abc,bcd->abd", (4, 3), bias_axes="bd")),
    ),
    "conv1d": lambda: stack(
        (9, 3),
        layers.Conv1D(4, 3, strides=2),
        *last(layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.DepthwiseConv1D(3)),
    ),
    "conv2d": lambda: stack(
        (6, 6, 4), layers.Conv2D(8, 3, 2, padding="same"), *last(layers.Conv2D(6, 2, groups=2))
    ),
    "conv2d, pooled": lambda: stack((8, 8, 12), layers.Conv2D(16, 3), layers.GlobalAveragePooling2D()),
    "conv3d": lambda: stack((3, 3, 3, 2), *last(layers.Conv3D(3, 2))),
    "depthwise and separable": lambda: stack(
        (6, 6, 3),
        layers.DepthwiseConv2D(3, 2, padding="same", depth_multiplier=2),
        *last(layers.SeparableConv2D(3, 2)),
    ),
    "transposed": lambda: stack((4, 4, 2), *last(layers.Conv2DTranspose(3, 2, 2))),
    "separable 1d": lambda: stack((6, 3), *last(layers.SeparableConv1D(4, 2), layers.AveragePooling1D(2))),
    "normalization": lambda: stack(
        (4, 6), layers.LayerNormalization(), layers.GroupNormalization(3), *last(layers.RMSNormalization())
    ),
    "attention": attention,
    "shared": shared,
    "adapted": adapted,
    "frozen": frozen,
    "nested": lambda: stack(
        (6,), stack((6,), layers.Dense(4, "relu"), layers.UnitNormalization()), layers.Dense(2)
    ),
    "prelu": lambda: stack((4, 6), layers.Dense(4), *last(layers.PReLU(shared_axes=[1]))),
    "time distributed": lambda: stack((3, 4), *last(layers.TimeDistributed(layers.Dense(3)))),
    "dropout": lambda: stack(
        (4, 6), layers.Dense(8), layers.Dropout(0.5), layers.GaussianNoise(0.1), *last()
    ),
    "random images": lambda: stack(
        (6, 6, 3), layers.RandomFlip(), layers.RandomTranslation(0.2, 0.2), *last()
    ),
    "whole": owner,
    "whole, random": lambda: owner(0.5),
}
TOKENS = {
    "embedding": lambda: stack((6,), *last(layers.Embedding(4, 3)), dtype="int32"),
    "embedding of one id": lambda: stack((1,), *last(layers.Embedding(4, 3)), dtype="int32"),
    "masked": masked,
    "masked attention": masked_attention,
}
RECURRENT = {
    "gru": lambda: stack((4, 3), layers.GRU(3), layers.Dense(2)),
    "lstm": lambda: stack((4, 3), layers.Bidirectional(layers.LSTM(2)), layers.Dense(2)),
    "simple": lambda: stack((4, 3), layers.SimpleRNN(3, return_sequences=True), *last()),
    "masked": lambda: stack((4, 3), layers.Masking(), layers.GRU(3), layers.Dense(2)),
    "dropout": lambda: stack((4, 3), layers.GRU(3, dropout=0.3, recurrent_dropout=0.3), layers.Dense(2)),
    "convolution": lambda: stack((3, 4, 2), *last(layers.ConvLSTM1D(2, 2))),
}
# Random layers draw otherwise for fewer rows; and what attention makes of numbers beyond 1e6 is rounding, which depends
# on how many rows a kernel works on.
NOT_DROPPED = ("dropout", "random images", "whole, random", "attention")


def shape_of(target):
    return (6,) if isinstance(target, Owner) else target.input_shape[1:]


SLOW = ("whole, random",)  # loops over records


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in LAYERS]
)
def test_layers(name):
    target = LAYERS[name]()
    x = hostile(shape_of(target))
    assert_bounded(Released(target), x, answers_like(target), drop=name not in NOT_DROPPED)


@pytest.mark.parametrize("name", TOKENS)
def test_layers_of_tokens(name):
    target = TOKENS[name]()
    assert_bounded(Released(target), ids(target.input_shape[1:]), answers_like(target))


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(name):
    target = RECURRENT[name]()
    x, y = hostile(target.input_shape[1:]), answers_like(target)
    few = [0, 2, 3, 4, 6]  # each takes a while
    assert_bounded(Released(target), x[few], y[few], drop=name != "dropout")


@pytest.mark.parametrize("length", [5, 9])
def test_records_of_any_size(length):
    target = stack(
        (None, 3), layers.Conv1D(4, 3, padding="same"), layers.GlobalMaxPooling1D(), layers.Dense(2)
    )
    assert_bounded(Released(target), hostile((length, 3)), answers_like(target))


# Losses.

CLASSES = 3


def classes(y):
    return np.eye(CLASSES, dtype="float32")[y]


INTEGERS = np.array([0, 1, 2, 2, 1, 0, 1, 2])
NUMBERS = answers_like(stack((1,), layers.Dense(CLASSES)))
SIGNS = np.array(
    [[0, 1, 0], [1, 1, 0], [-1, 1, 1], [2, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0], [0.5, 0, 1]], "float32"
)
KINDS = {
    "integers": INTEGERS,
    "integers in a column": INTEGERS[:, None],
    "integers as floats": INTEGERS.astype("float32"),
    "one-hot": classes(INTEGERS),
    "numbers": NUMBERS,
    "signs": SIGNS,
    "ignored": np.where(INTEGERS == 2, -1, INTEGERS),
}
LOSSES = [
    ("softmax", "sparse_categorical_crossentropy", "integers"),
    ("softmax", "sparse_categorical_crossentropy", "integers in a column"),
    ("linear", losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"), "integers as floats"),
    (
        "linear",
        losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1, reduction="sum"),
        "ignored",
    ),
    ("softmax", losses.CategoricalCrossentropy(label_smoothing=0.1), "one-hot"),
    ("softmax", "categorical_focal_crossentropy", "one-hot"),
    ("softmax", losses.CategoricalGeneralizedCrossEntropy(), "integers"),
    ("softmax", "kl_divergence", "one-hot"),
    ("sigmoid", "binary_crossentropy", "one-hot"),
    ("linear", losses.BinaryCrossentropy(from_logits=True), "signs"),
    ("sigmoid", losses.BinaryFocalCrossentropy(apply_class_balancing=True), "one-hot"),
    ("sigmoid", losses.Dice(axis=-1), "one-hot"),
    ("sigmoid", losses.Tversky(axis=-1), "one-hot"),
    ("linear", "hinge", "signs"),
    ("linear", losses.SquaredHinge(reduction="sum"), "signs"),
    ("linear", "categorical_hinge", "one-hot"),
    ("linear", "mse", "numbers"),
    ("linear", "mae", "numbers"),
    ("linear", "mape", "numbers"),
    ("exponential", "msle", "numbers"),
    ("linear", "huber", "numbers"),
    ("linear", "log_cosh", "numbers"),
    ("linear", "cosine_similarity", "numbers"),
    ("exponential", "poisson", "numbers"),
]


@pytest.fixture(scope="module")
def dense():
    """One model for each last activation, compiled anew by each test."""
    made = {}

    def get(activation):
        if activation not in made:
            keras.utils.set_random_seed(1)
            made[activation] = Released(
                stack((6,), layers.Dense(8, "relu"), layers.Dense(CLASSES, activation))
            )
        return made[activation]

    return get


SLOW_LOSSES = (
    "mae",
    "mape",
    "huber",
    "categorical_hinge",
    "tversky",
    "squared_hinge",
)  # of a kind with others


def loss_name(loss):
    return getattr(loss, "name", loss)


@pytest.mark.parametrize(
    ("activation", "loss", "labels"),
    [
        pytest.param(*case, marks=pytest.mark.slow if loss_name(case[1]) in SLOW_LOSSES else ())
        for case in LOSSES
    ],
    ids=loss_name,
)
def test_losses(dense, activation, loss, labels):
    released = dense(activation)
    released.compile(loss)
    assert_bounded(released, 3 * hostile((6,)), KINDS[labels])


WEIGHTS = np.array([1, 0.5, 1e6, 2, -3, np.nan, np.inf, 1e-6], "float32")


@pytest.mark.parametrize(
    "weights", [WEIGHTS, np.roll(WEIGHTS, 3), WEIGHTS[:, None]], ids=["", "rolled", "column"]
)
def test_sample_weights(dense, weights):
    released = dense("softmax")
    released.compile("sparse_categorical_crossentropy")
    assert_bounded(released, hostile((6,)), INTEGERS, weights)


def test_weights_of_classes(dense):
    released = dense("softmax")
    released.compile("sparse_categorical_crossentropy")
    x, weights = hostile((6,)), np.array([0.1, 100.0, 3.0])
    by_class = released.sum(x, INTEGERS, weights[INTEGERS])
    released.model.fit(x, INTEGERS, batch_size=8, class_weight=dict(enumerate(weights)), verbose=0)
    assert_bounded(released, x, INTEGERS, weights[INTEGERS])
    assert np.all(np.isfinite(by_class))


# Ways to compute.


@pytest.mark.parametrize(
    ("name", "size"),
    [("dense", 1), ("dense", 3), ("dense", 20), ("normalization", 3), ("whole", 3)],
)
def test_microbatches(name, size):
    target = LAYERS[name]()
    x, y = hostile(shape_of(target)), answers_like(target)
    assert_bounded(Released(target, microbatch_size=size), x, y)


def shift(x):
    return (
        x
        + keras.random.normal(keras.ops.shape(x)[:1], seed=keras.random.SeedGenerator(3))[:, None, None, None]
    )


@pytest.mark.parametrize(
    "augment",
    [
        lambda: layers.GaussianNoise(0.1, seed=1),
        lambda: layers.RandomTranslation(0.2, 0.2, seed=1),
        lambda: keras.Sequential([layers.RandomFlip(seed=1), layers.RandomZoom(0.2, seed=1)]),
        lambda: shift,
    ],
)
@pytest.mark.parametrize("size", [None, 3])
def test_augmentations(augment, size):
    target = stack((6, 6, 2), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2))
    released = Released(target, augment=augment(), augmentations=3, microbatch_size=size)
    assert_bounded(released, hostile((6, 6, 2)), answers_like(target), drop=False)


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("dense on short sequences", "bfloat16"),
        ("dense on short sequences", "mixed_bfloat16"),
        ("conv2d, pooled", "bfloat16"),
        ("conv2d, pooled", "mixed_bfloat16"),
        ("normalization", "mixed_bfloat16"),
        ("whole", "mixed_bfloat16"),
        ("dense", "float64"),
        ("normalization", "float64"),
    ],
)
def test_types(policy, kind):
    keras.config.set_dtype_policy(policy)
    try:
        target = LAYERS[kind]()
        x, y = hostile(shape_of(target)), answers_like(target)
        # In 8 bits of mantissa the rounding of kernels, which depends on how many rows they work on, shows.
        assert_bounded(Released(target), x, y, drop=policy == "float64")
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("kind", ["dense", "conv2d, pooled", "attention", "whole"])
def test_everything_in_float64(float64, kind):
    target = LAYERS[kind]()
    x, y = (part.astype("float64") for part in (hostile(shape_of(target)), answers_like(target)))
    x[3] *= 1e100
    y[1] *= -1e100
    assert_bounded(Released(target), x, y, drop=kind not in NOT_DROPPED)


# Several inputs and outputs.


def test_several_inputs_and_outputs():
    left, right = keras.Input((6,), name="left"), keras.Input((4,), dtype="int32", name="right")
    table = layers.Flatten()(layers.Embedding(4, 2)(right))
    joined = layers.Dense(5, "tanh")(layers.Concatenate()([left, table]))
    outputs = {"a": layers.Dense(2)(joined), "b": layers.Dense(CLASSES, "softmax")(joined)}
    target = keras.Model({"left": left, "right": right}, outputs)
    released = Released(target, {"a": "hinge", "b": "sparse_categorical_crossentropy"})
    x = {"left": hostile((6,)), "right": ids((4,))}
    assert_bounded(released, x, {"a": SIGNS[:, :2], "b": INTEGERS})
