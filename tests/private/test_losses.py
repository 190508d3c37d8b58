"""Which losses DP-SGD takes: those whose trial shows that each record's loss is its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, ops

import mpreg
from mpreg.private.losses import check_loss, signed_labels

pytestmark = pytest.mark.usefixtures("seeded")


def compiled(loss, target=None, **options):
    target = target or keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model = mpreg.DPSGD(target, noise_multiplier=0.0, l2_norm_clip=1.0)
    model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=True, **options)
    return model


def spec(*shape, dtype="float32"):
    return tf.TensorSpec((None, *shape), dtype)


INTS, ROW, ONE, FLAT = spec(dtype="int64"), spec(7), spec(1), spec()
PIXELS, IMAGES = spec(4, 5, dtype="uint8"), spec(4, 5, 3)
WRAPPER = losses.MeanSquaredError.__base__  # LossFunctionWrapper, by no public name


def check(loss, y=ROW, answers=ROW, **options):
    check_loss(compiled(loss, **options), y, answers)


# Keras' own.

ONE_ROW_EACH = [
    "mse",
    "mae",
    "mape",
    "msle",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "kl_divergence",
    "poisson",
    "categorical_hinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "hinge",
    "squared_hinge",
]


@pytest.mark.parametrize("loss", ONE_ROW_EACH)
def test_losses_of_keras_by_name_are_taken(loss):
    check(loss)
    check(losses.get(loss))


@pytest.mark.parametrize(
    "loss", ["hinge", "squared_hinge", "binary_crossentropy", "mse", "categorical_hinge"]
)
@pytest.mark.parametrize("y", [INTS, ONE, spec(dtype="uint8"), spec(1, dtype="bool")], ids=str)
def test_losses_of_one_answer_are_taken(loss, y):
    check(loss, y, ONE)


@pytest.mark.parametrize(
    ("loss", "y", "answers"),
    [
        (losses.SparseCategoricalCrossentropy(), INTS, ROW),
        (losses.SparseCategoricalCrossentropy(from_logits=True), ONE, ROW),
        (losses.SparseCategoricalCrossentropy(reduction="sum"), PIXELS, IMAGES),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1, reduction="sum"), INTS, ROW),
        (losses.SparseCategoricalCrossentropy(ignore_class=255, reduction="sum"), PIXELS, IMAGES),
        (losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), ROW, ROW),
        (losses.BinaryCrossentropy(from_logits=True, axis=[1, 2]), IMAGES, IMAGES),
        (losses.BinaryFocalCrossentropy(apply_class_balancing=True), IMAGES, IMAGES),
        (losses.Dice(axis=(1, 2, 3)), IMAGES, IMAGES),
        (losses.Tversky(axis=-1), ROW, ROW),
        (losses.CTC(), spec(2, dtype="int32"), spec(5, 4)),
        ("crossentropy", INTS, ROW),
        ("mse", FLAT, FLAT),
        ("mse", spec(None, 2), spec(None, 2)),
        ("categorical_crossentropy", spec(7, dtype="float64"), spec(7, dtype="bfloat16")),
        (losses.Hinge(reduction="sum"), ONE, ONE),
    ],
    ids=lambda part: getattr(part, "name", None) or str(part),
)
def test_losses_of_keras_with_options_are_taken(loss, y, answers):
    check(loss, y, answers)


class MyDice(losses.Dice):
    """A user's own, by inheritance."""


@pytest.mark.parametrize(
    ("loss", "y", "answers", "words"),
    [
        (losses.Dice(), ROW, ROW, r"axis=\(1, 2, 3\).*loss=Dice"),
        ("dice", IMAGES, IMAGES, r"axis=\(1, 2, 3\).*loss=dice"),
        ("Dice", IMAGES, IMAGES, "loss=Dice"),
        (losses.dice, ROW, ROW, "loss=dice"),
        (losses.Dice(axis=0), ROW, ROW, "loss=Dice"),
        (losses.Dice(reduction="sum"), ROW, ROW, "loss=Dice"),
        (MyDice(), ROW, ROW, r"axis=\(1, 2, 3\).*loss=MyDice"),
        (losses.Tversky(), ROW, ROW, r"Tversky\(axis=.*loss=Tversky"),
        ("tversky", ONE, ONE, "loss=tversky"),
        (losses.Circle(), INTS, ROW, "pairs of records.*loss=Circle"),
        ("circle", INTS, ROW, "pairs of records.*loss=circle"),
        (losses.CosineSimilarity(axis=0), ROW, ROW, "loss=CosineSimilarity"),
        (losses.CategoricalCrossentropy(axis=0), ROW, ROW, "loss=CategoricalCrossentropy"),
        (losses.SparseCategoricalCrossentropy(ignore_class=-1), INTS, ROW, "ignore_class.*reduction='sum'"),
        (losses.SparseCategoricalCrossentropy(ignore_class=3), INTS, ROW, "ignore_class"),
        (losses.SparseCategoricalCrossentropy(ignore_class=99), PIXELS, IMAGES, "ignore_class"),
        (
            "kl_divergence",
            FLAT,
            FLAT,
            "loss=kl_divergence",
        ),  # without an axis of classes it takes that of records
        ("cosine_similarity", FLAT, FLAT, "loss=cosine_similarity"),
        ("mse", spec(), spec(5), "loss=mse"),  # five labels spread over five answers of each record
    ],
)
def test_losses_of_keras_that_mix_records_are_refused_with_what_to_use_instead(loss, y, answers, words):
    with pytest.raises(ValueError, match=f"(?s)mixes the records.*{words}|{words}"):
        check(loss, y, answers)


def test_hinge_reads_the_labels_of_each_record_by_themselves():
    # Keras takes 0 and 1 for -1 and 1, unless one record of the batch has a label that is neither.
    answers = tf.constant([[0.5], [0.2], [-0.3]])
    for dtype in ("float32", "int64", "uint8", "bool"):
        y = tf.constant([[0], [1], [0]], dtype if dtype != "bool" else "int32")
        np.testing.assert_array_equal(signed_labels("hinge", tf.cast(y, dtype))[:, 0], [-1, 1, -1])
    y = tf.constant([[0.0], [1.0], [0.0]])
    for loss in ("hinge", losses.SquaredHinge(), [losses.hinge]):
        (found,) = keras.tree.flatten(signed_labels(loss, [y] if isinstance(loss, list) else y))
        own = losses.get(loss[0] if isinstance(loss, list) else loss)
        np.testing.assert_allclose(own(found, answers), own(y, answers))
    assert signed_labels("mse", y) is y
    named = signed_labels({"a": "hinge", "b": "mse"}, {"a": y, "b": y})
    assert named["b"] is y and float(named["a"][0, 0]) == -1


# Of users.


def brier(y, answers):
    return ops.mean(ops.square(answers - ops.one_hot(y, 7)), axis=-1)


def scalar(y, answers):
    return ops.mean(ops.square(answers - y))


def contrast(y, answers):
    return ops.square(answers[:, 0] - ops.mean(answers[:, 0]))


def faint(y, answers):
    """Of which only a thousandth mixes."""
    return scalar(y, answers) + 1e-3 * ops.square(ops.mean(answers))


def hardest(y, answers):
    """The mean over the half of the records whose loss is largest."""
    each = ops.mean(ops.square(answers - y), axis=-1)
    return ops.mean(ops.top_k(each, -(-each.shape[0] // 2))[0])


def balanced(y, answers):
    """Weighs records by how rare their class is in the batch."""
    hot = ops.one_hot(y, 7)
    return ops.sum(hot / (1 + ops.sum(hot, axis=0)), axis=-1) * ops.mean(ops.square(answers - hot), axis=-1)


def placed(y, answers):
    """Weighs records by where they stand."""
    each = ops.mean(ops.square(answers - y), axis=-1)
    return each * ops.cast(ops.arange(each.shape[0]) + 1, each.dtype)


def pairs(y, answers):
    even, odd = answers[::2][: len(answers) // 2], answers[1::2]
    return ops.mean(ops.square(even - odd)) + ops.mean(ops.square(y - answers))


def total(y, answers):
    """A sum over records that says it is a mean."""
    return ops.sum(ops.square(y - answers))


def negatives(y, answers):
    """Leaves out records labelled -1, and divides by the others."""
    kept = ops.cast(y >= 0, answers.dtype)
    return ops.sum(kept * ops.sum(ops.square(answers), axis=-1)) / (1e-7 + ops.sum(kept))


class Mixing(losses.Loss):
    def call(self, y, answers):
        return contrast(y, answers)


class Undone(losses.MeanSquaredError):
    """A loss of Keras by inheritance, and another by what it does."""

    def call(self, y, answers):
        return contrast(y, answers)


class Reduced(losses.Loss):
    """Has a reduction of its own."""

    def __call__(self, y, answers, sample_weight=None):
        return ops.max(ops.square(y - answers))


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (contrast, ROW),
        (Mixing(), ROW),
        (Undone(), ROW),
        (Reduced(), ROW),
        (WRAPPER(contrast), ROW),
        (WRAPPER(losses.dice), ROW),
        (faint, ROW),
        (hardest, ROW),
        (balanced, INTS),
        (placed, ROW),
        (pairs, ROW),
        (total, ROW),
        (negatives, INTS),
    ],
    ids=lambda part: getattr(part, "__name__", type(part).__name__),
)
def test_losses_of_users_that_mix_records_are_refused(loss, y):
    with pytest.raises(ValueError, match="mixes the records of a batch"):
        check(loss, y)


class Plain(losses.Loss):
    def call(self, y, answers):
        return brier(y, answers)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (brier, INTS),
        (Plain(), INTS),
        (Plain(reduction="sum"), INTS),
        (WRAPPER(brier), INTS),
        (scalar, ROW),
        (lambda y, answers: ops.sum(ops.square(y - answers), axis=-1), ROW),
    ],
)
def test_losses_of_users_that_keep_records_apart_are_taken(loss, y):
    check(loss, y)


class Remembering(losses.Loss):
    """Divides by a running mean of its own, in a variable."""

    def __init__(self, variable):
        super().__init__()
        self.scale = variable

    def call(self, y, answers):
        each = ops.mean(ops.square(y - answers), axis=-1)
        self.scale.assign(0.9 * self.scale + 0.1 * ops.stop_gradient(ops.mean(each)))
        return each / ops.convert_to_tensor(self.scale)


def noisy(y, answers):
    return ops.mean(ops.square(y + keras.random.normal(ops.shape(y)) - answers), axis=-1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Remembering(keras.Variable(1.0)),
        lambda: Remembering(tf.Variable(1.0)),
        lambda: noisy,
    ],
    ids=["Variable of Keras", "Variable of TensorFlow", "random"],
)
def test_losses_that_remember_or_draw_are_refused(make):
    with pytest.raises(ValueError, match="another gradient the second time"):
        check(make())


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda y, answers: ops.reshape(answers, (32, -1)), "could not be tried out.*Error"),
        (lambda y, answers: 0.0 * answers, "could not be tried out.*no gradient"),
        (lambda y, answers: ops.mean(answers[1] - y[1]) + ops.sum(answers), "fewer records|mixes"),
    ],
)
def test_losses_that_cannot_be_tried_out_are_refused(loss, words):
    with pytest.raises(ValueError, match=words):
        check(loss)


# Several outputs.


def two(names=("first", "second")):
    inputs = keras.Input((4,))
    a, b = (layers.Dense(size, name=name)(inputs) for name, size in zip(names, (3, 2), strict=True))
    return inputs, a, b


def listed():
    inputs, a, b = two()
    return keras.Model(inputs, [a, b])


def named():
    inputs, a, b = two()
    return keras.Model(inputs, {"first": a, "second": b})


SPECS = spec(3), spec(2)


def by_name(parts):
    return dict(zip(("first", "second"), parts, strict=True))


@pytest.mark.parametrize(
    ("target", "loss", "y", "answers"),
    [
        (listed, ["mse", "mae"], list(SPECS), list(SPECS)),
        (listed, "mse", list(SPECS), list(SPECS)),
        (listed, ["mse", None], list(SPECS), list(SPECS)),
        (listed, {"first": "mse", "second": losses.KLDivergence()}, list(SPECS), list(SPECS)),
        (named, {"first": "mse", "second": "hinge"}, by_name(SPECS), by_name(SPECS)),
        (named, "poisson", by_name(SPECS), by_name(SPECS)),
    ],
)
def test_several_outputs_are_taken(target, loss, y, answers):
    check(loss, y, answers, target=target())


@pytest.mark.parametrize(
    ("target", "loss", "y", "answers", "words"),
    [
        (listed, ["mse", "dice"], list(SPECS), list(SPECS), "loss=dice$"),
        (listed, [contrast, "mse"], list(SPECS), list(SPECS), "loss=contrast$"),
        (
            listed,
            {"first": "mse", "second": "tversky"},
            list(SPECS),
            list(SPECS),
            "Tversky.*loss=mse, tversky$",
        ),
        (named, {"first": losses.Dice(), "second": "mse"}, by_name(SPECS), by_name(SPECS), "loss=Dice, mse$"),
        (named, "dice", by_name(SPECS), by_name(SPECS), "loss=dice$"),
    ],
)
def test_one_mixing_loss_of_several_is_refused(target, loss, y, answers, words):
    with pytest.raises(ValueError, match=f"mixes the records.*{words}"):
        check(loss, y, answers, target=target())


# In training.


def records(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(12, 4)).astype("float32"), rng.integers(0, 2, (12, 3)).astype("float32")


def test_every_loss_that_is_compiled_is_tried():
    model = compiled("binary_crossentropy")
    model.train_on_batch(*records())
    for loss in ("dice", losses.Dice(), contrast):
        model.compile(keras.optimizers.SGD(0.1), loss)
        with pytest.raises(ValueError, match="mixes the records"):
            model.fit(*records(), verbose=0)
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    model.fit(*records(), verbose=0)


def test_a_compute_loss_that_would_be_left_out_is_refused():
    class Own(mpreg.DPSGD):
        def compute_loss(self, *args, **kwargs):
            return 2 * super().compute_loss(*args, **kwargs)

    model = Own(
        keras.Sequential([keras.Input((4,)), layers.Dense(3)]), noise_multiplier=0.0, l2_norm_clip=1.0
    )
    model.compile("sgd", "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="compute_loss of your own.*Own"):
        model.train_on_batch(*records())
    target = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    target.compute_loss = lambda *args, **kwargs: 0.0
    with pytest.raises(ValueError, match="compute_loss of its own"):
        compiled("mse", target)


class Adding(layers.Layer):
    """Adds a loss of the records once it is told to."""

    told = False

    def call(self, x):
        if self.told:
            self.add_loss(ops.mean(x))
        return x


def test_a_loss_that_a_layer_adds_later_is_refused():
    adding = Adding()
    model = compiled("mse", keras.Sequential([keras.Input((4,)), adding, layers.Dense(3)]))
    model.train_on_batch(*records())
    adding.told = True
    with pytest.raises(ValueError, match="add_loss"):
        model.train_on_batch(*records())


def test_the_log_holds_the_losses_of_those_present():
    target = listed()
    model = compiled(["mse", "mae"], target, metrics=[["mae"], ["mse"]])
    model.optimizer.learning_rate = 0.0
    x = records()[0]
    y = [np.ones((12, 3), "float32"), np.ones((12, 2), "float32")]
    expected = keras.models.clone_model(target)
    expected.set_weights(target.get_weights())
    expected.compile("sgd", ["mse", "mae"], metrics=[["mae"], ["mse"]])
    # Trial, gradients without weights and padding leave nothing in what the losses of outputs track.
    logs = model.train_on_batch(x, y, sample_weight=np.arange(12.0), return_dict=True)
    for key, value in expected.test_on_batch(x, y, sample_weight=np.arange(12.0), return_dict=True).items():
        np.testing.assert_allclose(logs[key], value, rtol=1e-5)


class Noting(keras.metrics.Metric):
    """Notes the labels that it is given."""

    def __init__(self):
        super().__init__(name="noting")
        self.seen = []

    def update_state(self, y, answers, sample_weight=None):
        self.seen.append(y.numpy().ravel())

    def result(self):
        return 0.0

    def reset_state(self):
        pass


def numbered(y, answers):
    """A loss that is a single number, so that Keras' weights leave no record out of it."""
    return (
        ops.mean(ops.cast(y, answers.dtype)) + 0.0 * ops.mean(answers) + ops.mean(ops.square(answers)) * 1e-9
    )


def test_padding_is_in_neither_loss_nor_metrics_of_the_log():
    noting = Noting()
    model = compiled(numbered, metrics=[noting])
    model.optimizer.learning_rate = 0.0
    x, y = records()[0], 100 + np.arange(12)
    found = model.fit(mpreg.poisson_batches(x, y, batch_size=4, seed=1), epochs=3, verbose=0).history["loss"]
    assert all(len(set(seen)) == len(seen) for seen in noting.seen)  # padding repeats records
    sizes = {len(seen) for seen in noting.seen}
    assert len(sizes) > 1 and sum(size % 8 != 0 for size in sizes)
    epochs = [np.concatenate(noting.seen[start : start + 3]) for start in (0, 3, 6)]
    np.testing.assert_allclose(found, [np.mean(seen) for seen in epochs], rtol=1e-5)


def test_an_empty_batch_leaves_the_log_finite():
    model = compiled(numbered)
    x, y = records()[0], np.arange(12)
    found = model.fit(mpreg.poisson_batches(x, y, batch_size=1, seed=1), verbose=0).history["loss"]
    assert np.isfinite(found[0])


# Labels that no trial makes up.


def without_77(y, answers):
    """Leaves out records labelled 77, and divides by the others."""
    kept = ops.cast(y != 77, answers.dtype)
    return ops.sum(kept * ops.sum(ops.square(answers - 1.0), axis=-1)) / ops.sum(kept)


@pytest.mark.parametrize("eager", [True, False])
def test_a_loss_that_mixes_for_real_labels_alone_is_stopped_ahead_of_its_step(eager):
    model = compiled(without_77)
    model.compile(keras.optimizers.SGD(0.1), without_77, run_eagerly=eager)
    x, y = records()[0], np.arange(12)
    model.fit(x, y, batch_size=6, verbose=0)
    before = model.get_weights()
    for place in (0, 5):  # where it stands among the records that are looked at
        y[place] = 77
        with pytest.raises(tf.errors.InvalidArgumentError, match="for these labels if not for others"):
            model.fit(x, y, batch_size=12, shuffle=False, verbose=0)
        for part, was in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(part, was)


def test_real_batches_of_any_kind_pass():
    model = compiled("binary_crossentropy")
    x, y = records()
    model.train_on_batch(x, y)
    x[3], y[4], x[5] = np.nan, np.nan, 1e9
    with pytest.warns(UserWarning, match="the gradient of"):
        model.fit(x, y, batch_size=12, shuffle=False, verbose=0)
    model.fit(x[:1], y[:1], verbose=0)
    model.fit(mpreg.poisson_batches(*records(), batch_size=1), verbose=0)
