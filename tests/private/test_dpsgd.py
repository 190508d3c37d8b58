"""DPSGD: the step, its noise, and every way to run a Keras model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import stats
from support import CLASSES, FEATURES, LOSS, assert_same_weights, mlp, records, weights_of

import mpreg
from mpreg.private import AdaptiveClip, AutomaticClip
from mpreg.private.noise import NoiseSource, threefry

QUIET = {"verbose": 0, "shuffle": False}
FREE = {"noise_multiplier": 0.0, "l2_norm_clip": float("inf")}
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
EAGER = {"run_eagerly": True}
pytestmark = pytest.mark.usefixtures("seeded")


def private(target=None, *, rate=0.1, loss=LOSS, compiled=None, **options):
    """A compiled `DPSGD`; eager unless asked, as most tests take one step."""
    options = {"noise_multiplier": 0.0, "l2_norm_clip": 1.0, "seed": 0, **options}
    model = mpreg.DPSGD(target or mlp(), **options)
    model.compile(keras.optimizers.SGD(rate), loss, **(EAGER if compiled is None else compiled))
    return model


def plain(target=None, *, loss=LOSS, compiled=None):
    model = target or mlp()
    model.compile(keras.optimizers.SGD(0.1), loss, **(compiled or {}))
    return model


def step(model, x, y, **options):
    """What one step with rate 1 takes off the weights; they are put back."""
    before = weights_of(model.target_model)
    model.train_on_batch(x, y, **options)
    after = weights_of(model.target_model)
    model.target_model.set_weights(before)
    return [a - b for a, b in zip(before, after, strict=True)]


def size(parts):
    return np.sqrt(sum(np.sum(np.square(part)) for part in parts))


# Without clipping and noise it is SGD.


@pytest.mark.parametrize(
    ("options", "compiled", "fitted"),
    [
        ({}, {"steps_per_execution": 2}, {}),
        ({"microbatch_size": 7}, {}, {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}),
        ({}, {"run_eagerly": True}, {"sample_weight": np.linspace(0, 2, 48)}),
    ],
    ids=str,
)
def test_without_clip_and_noise_it_is_sgd(options, compiled, fitted):
    theirs, ours = mlp(), mlp()
    metrics = {"metrics": ["accuracy"]}
    expected = plain(theirs, compiled={**metrics, **compiled}).fit(
        *records(), batch_size=20, **QUIET, **fitted
    )
    model = private(ours, **FREE, **options, compiled={**metrics, **compiled})
    found = model.fit(*records(), batch_size=20, **QUIET, **fitted)
    assert_same_weights(theirs, ours, **CLOSE)
    for key in ("loss", "accuracy"):
        np.testing.assert_allclose(found.history[key], expected.history[key], rtol=1e-5)


def regularized():
    model = mlp()
    config = model.get_config()
    config["layers"][1]["config"]["kernel_regularizer"] = keras.regularizers.serialize(
        keras.regularizers.L2(0.1)
    )
    copy = keras.Sequential.from_config(config)
    copy.set_weights(model.get_weights())
    return copy


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (mlp, keras.losses.SparseCategoricalCrossentropy(reduction="sum")),
        (lambda: mlp(dropout=0.5), LOSS),
        (regularized, LOSS),
    ],
    ids=["sum", "dropout", "regularizer"],
)
def test_losses_of_all_kinds_without_clip_and_noise(make, loss):
    theirs, ours = make(), make()
    expected = plain(theirs, loss=loss, compiled=EAGER).fit(*records(), batch_size=24, **QUIET)
    found = private(ours, **FREE, loss=loss).fit(*records(), batch_size=24, **QUIET)
    assert_same_weights(theirs, ours, **CLOSE)
    np.testing.assert_allclose(found.history["loss"], expected.history["loss"], rtol=1e-5)


class Owner(keras.Model):
    """Has a weight of its own, so that the whole model runs on each record."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.last, self.drop = layers.Dense(CLASSES, "softmax"), layers.Dropout(dropout, seed=1)
        self.scale = self.add_weight(shape=(FEATURES,), initializer="ones", name="scale")

    def call(self, x, training=None):
        return self.last(self.drop(x * self.scale, training=training))


def owner(**options):
    keras.utils.set_random_seed(1)
    model = Owner(**options)
    model(np.zeros((1, FEATURES), "float32"))
    return model


def test_a_model_that_runs_on_each_record_is_sgd_too():
    theirs, ours = owner(), owner()
    plain(theirs, compiled=EAGER).fit(*records(), batch_size=20, **QUIET)
    model = private(ours, **FREE, microbatch_size=8)
    model.fit(*records(), batch_size=20, **QUIET)
    assert_same_weights(theirs, ours, **CLOSE)
    assert model.clipping_plan().whole == "vectorized_map"


def test_each_record_draws_dropout_of_its_own():
    model = private(owner(dropout=0.5), **FREE, rate=1.0)
    x, y = (np.repeat(part, 24, axis=0) for part in records(1))
    (scale,) = (part for part in step(model, x, y) if part.shape == (FEATURES,))
    assert np.all(scale != 0)  # one mask for all records would leave some features out of all of them
    assert model.clipping_plan().whole == "map_fn"


# Clipping.


def test_a_record_adds_at_most_the_clip_norm():
    x, y = records(16)
    x = x * np.linspace(0, 30, 16, dtype="float32")[:, None]
    model = private(rate=1.0, l2_norm_clip=0.5)
    whole = step(model, x, y)
    for row in (0, 7, 15):
        rest = step(model, np.delete(x, row, axis=0), np.delete(y, row))
        moved = size([16 * a - 15 * b for a, b in zip(whole, rest, strict=True)])
        assert moved <= 0.5 * (1 + 1e-4)
    assert moved > 0.499  # the last one is large, so the bound is reached


def test_a_sample_weight_scales_before_the_clip():
    x, y = records(1)
    model = private(rate=1.0, l2_norm_clip=1e9)
    norms = [size(step(model, x, y, sample_weight=np.array([w]))) for w in (1.0, 3.0)]
    np.testing.assert_allclose(norms[1], 3 * norms[0], rtol=1e-5)
    model.clip_norm.assign(norms[0])
    clipped = size(step(model, x, y, sample_weight=np.array([3.0])))
    np.testing.assert_allclose(clipped, norms[0], rtol=1e-5)


def test_records_without_a_gradient_and_with_nan_count_as_zero():
    x, y = records(8)
    model = private(rate=1.0)
    expected = step(model, x[:6], y[:6])
    spoilt = x.copy()
    spoilt[6], spoilt[7] = np.nan, np.inf
    with pytest.warns(UserWarning, match=r"the gradient of 2 record\(s\) of a batch was NaN or infinite"):
        found = step(model, spoilt, y)
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other * 6 / 8, **CLOSE)
    assert model.clipping_plan().left_out == 2
    zero = private(
        keras.Sequential([keras.Input((FEATURES,)), layers.Dense(1, use_bias=False)]), loss="mse", rate=1.0
    )
    assert size(step(zero, np.zeros((4, FEATURES)), np.ones(4))) == 0


def test_augmented_copies_are_averaged_and_clipped_as_one():
    x, y = records(8)
    noise = layers.GaussianNoise(0.0)
    assert_parts(step(private(rate=1.0, augment=noise, augmentations=3), x, y), step(private(rate=1.0), x, y))


def assert_parts(found, expected):
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other, **CLOSE)


def test_an_adaptive_clip_finds_the_quantile():
    x, y = records(64)
    wide = private(l2_norm_clip=AdaptiveClip(30.0, quantile=0.5, learning_rate=0.5), rate=0.0)
    for _ in range(25):
        wide.train_on_batch(x, y)
    free = private(l2_norm_clip=1e9, rate=1.0)
    each = [size(step(free, x[i : i + 1], y[i : i + 1])) for i in range(0, 64, 8)]
    assert min(each) < float(wide.clip_norm.numpy()) < max(each)


def test_an_automatic_clip_brings_each_gradient_to_one_norm_and_none_above_it():
    x, y = records(6)
    x *= np.linspace(0.1, 3.0, 6, dtype="float32")[:, None]
    free, automatic = private(**FREE), private(l2_norm_clip=AutomaticClip(0.5, stability=0.2))
    each = [step(free, x[i : i + 1], y[i : i + 1]) for i in range(6)]
    norms = np.array([size(parts) for parts in each])
    assert norms.min() < norms.max() / 2  # of which fixed clipping would leave some and shorten others
    expected = [
        sum(0.05 * part / (size(parts) + 0.02) for part, parts in zip(column, each, strict=True)) / 6
        for column in zip(*each, strict=True)
    ]
    found = step(automatic, x, y)
    assert_parts(found, expected)
    assert size(found) <= 0.5 * 0.1  # of the mean, at rate .1


def test_an_automatic_clip_is_saved_with_the_model(tmp_path):
    model = private(l2_norm_clip=AutomaticClip(0.5, stability=0.2))
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    assert again.clip_rule.get_config() == {"norm": 0.5, "stability": 0.2}
    x, y = records(6)
    assert_parts(step(again, x, y), step(model, x, y))


@pytest.mark.parametrize("option", ["norm", "stability"])
def test_an_automatic_clip_out_of_range(option):
    with pytest.raises(ValueError, match=f"{option} must be .*Received: {option}=0"):
        AutomaticClip(**{option: 0})


def test_gradients_and_count_together_cost_the_noise_multiplier():
    clip = AdaptiveClip(count_noise=2.0)
    noise = clip.gradient_noise(1.5)
    # Two Gaussian releases compose: their inverse squares add up; the count's sensitivity is 1/2.
    np.testing.assert_allclose(noise**-2 + (2.0 / 0.5) ** -2, 1.5**-2)


# Noise.


def test_threefry_gives_the_published_words():
    words = lambda value: tf.constant([value], tf.uint32)  # noqa: E731
    for inputs, expected in (
        ((0,) * 4, (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 4, (0x1CB996FC, 0xBB002BE7)),
    ):
        assert tuple(int(word[0]) for word in threefry(*map(words, inputs))) == expected


def test_noise_is_normal_and_never_repeats():
    source = NoiseSource(seed=3)
    first, odd = (part.numpy() for part in source.draw([(300, 401), (7,)], 5))
    again, other = source.draw([(300, 401), (7,)], 5)[0], source.draw([(300, 401), (7,)], 6)[0]
    flat = first.ravel()
    assert stats.kstest(flat, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(flat[:60150], flat[60150:])[0, 1]) < 0.02  # the two of a pair
    assert abs(np.corrcoef(flat, other.numpy().ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(first, again)
    assert odd.shape == (7,)
    free = NoiseSource()
    before = free.draw([(4,)], 0)[0].numpy()
    free.rekey()
    assert np.all(before != free.draw([(4,)], 0)[0].numpy())


def test_noise_in_the_weights_has_the_stated_deviation():
    target = keras.Sequential([keras.Input((50,)), layers.Dense(60, use_bias=False)])
    model = private(target, noise_multiplier=2.0, l2_norm_clip=0.25, rate=1.0, loss="mse", seed=None)
    x, y = np.zeros((8, 50), "float32"), np.zeros((8, 60))
    draws = np.concatenate([step(model, x, y)[0].ravel() for _ in range(5)])
    deviation = 2.0 * 0.25 / 8
    statistic = np.sum(np.square(draws / deviation))
    low, high = stats.chi2.ppf([1e-4, 1 - 1e-4], len(draws))
    assert low < statistic < high


def test_a_seed_repeats_the_noise_and_none_does_not():
    def trained(seed):
        model = private(noise_multiplier=1.0, seed=seed)
        model.fit(*records(), batch_size=24, **QUIET)
        return model.target_model

    assert_same_weights(trained(4), trained(4))
    assert (
        size([a - b for a, b in zip(weights_of(trained(None)), weights_of(trained(None)), strict=True)])
        > 1e-3
    )


def test_an_unused_weight_gets_noise_too():
    inputs = keras.Input((FEATURES,))
    answer, unused = layers.Dense(CLASSES, "softmax")(inputs), layers.Dense(2)(inputs)
    model = private(keras.Model(inputs, answer + 0.0 * keras.ops.sum(unused)), noise_multiplier=1.0)
    before = weights_of(model.target_model)
    model.train_on_batch(*records(8))
    assert all(np.all(a != b) for a, b in zip(before, weights_of(model.target_model), strict=True))


# Poisson sampling.


def test_poisson_batches_draw_each_record_independently():
    x = np.arange(200, dtype="float32")[:, None]
    batches = mpreg.poisson_batches(x, np.zeros(200, int), batch_size=20, seed=1)
    counts, sizes, seen = np.zeros(200), [], []
    for _ in range(20):
        for drawn, _, mask in batches:
            ids = drawn.numpy()[mask.numpy() == 1, 0].astype(int)
            assert len(set(ids)) == len(ids) and len(drawn) % 8 == 0
            counts[ids] += 1
            sizes.append(len(ids))
            seen.append(tuple(ids))
    assert len(sizes) == 200 and len(set(seen)) == 200  # 10 steps an epoch, each epoch anew
    assert (
        stats.chisquare(
            [*np.bincount(np.digitize(counts, [17, 20, 23]), minlength=4)],
            200 * np.diff([0, *stats.binom.cdf([16, 19, 22], 200, 0.1), 1]),
        ).pvalue
        > 1e-3
    )
    np.testing.assert_allclose(np.mean(sizes), 20, rtol=0.1)
    np.testing.assert_allclose(np.var(sizes), 200 * 0.1 * 0.9, rtol=0.35)


def test_padding_counts_for_nothing(monkeypatch):
    model = private(compiled=EAGER, rate=0.0)
    measured, seen = model.compute_metrics, []

    def note(x, y, answers, sample_weight):
        seen.append((y.numpy(), answers.numpy(), sample_weight.numpy()))
        return measured(x, y, answers, sample_weight)

    monkeypatch.setattr(model, "compute_metrics", note)
    history = model.fit(mpreg.poisson_batches(*records(24), batch_size=11, seed=3), verbose=0).history
    labels, answers, weights = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    assert np.all(weights == 1) and any(len(y) % 8 for y, *_ in seen)
    expected = -np.mean(np.log(answers[np.arange(len(labels)), labels]))
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-5)


def test_the_divisor_is_the_expected_batch_size():
    x, y = np.repeat(records(1)[0], 40, axis=0), np.zeros(40, int)
    model = private(rate=1.0, l2_norm_clip=0.1)
    one = size(step(model, x[:1], y[:1]))
    before = weights_of(model.target_model)
    model.fit(mpreg.poisson_batches(x, y, batch_size=10, seed=5), steps_per_epoch=1, verbose=0)
    moved = size([a - b for a, b in zip(before, weights_of(model.target_model), strict=True)])
    drawn = moved / one * 10  # all records are alike, so the sum of their gradients counts them
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-3)
    assert np.round(drawn) != 10  # else the test could not tell the actual size from the expected one


# What is refused.


def batch_norm():
    return mlp(normalize=True)


def activity():
    return keras.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(3, activity_regularizer="l2", name="busy")]
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (batch_norm, "BatchNormalization.*GroupNormalization"),
        (activity, "'busy' has an activity regularizer"),
        (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="mixed_float16")]), "float16"),
        (lambda: "model", "must be a keras.Model"),
    ],
)
def test_targets_that_cannot_be_private_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        private(make())


def test_a_frozen_batch_normalization_is_welcome():
    target = mlp(normalize=True)
    next(layer for layer in target.layers if isinstance(layer, layers.BatchNormalization)).trainable = False
    private(target).train_on_batch(*records(8))


def test_augmentations_that_mix_records_are_refused():
    with pytest.raises(ValueError, match="augment mixes records.*MixUp"):
        private(augment=layers.MixUp(), augmentations=2)
    with pytest.raises(ValueError, match="go together"):
        private(augmentations=2)


def test_xla_is_declined_with_a_warning():
    with pytest.warns(UserWarning, match="jit_compile"):
        model = private(compiled={"jit_compile": True})
    assert not model.jit_compile and not private(compiled={}).jit_compile


class Counter(layers.Layer):
    """Keeps the sum of the records, in the clear."""

    def build(self, shape):
        self.total = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="total")

    def call(self, x):
        self.total.assign(self.total + keras.ops.sum(x, axis=0))
        return x


class Extra(layers.Layer):
    """Adds a loss of the records."""

    def call(self, x):
        self.add_loss(keras.ops.mean(x))
        return x


class Metered(layers.Layer):
    """Keeps the mean of the records, in the clear, in a metric."""

    def __init__(self):
        super().__init__()
        self.level = keras.metrics.Mean(name="level")

    def call(self, x):
        self.level.update_state(x)
        return x


@pytest.mark.parametrize(
    ("layer", "words"),
    [(Counter, "total.*without noise"), (Extra, "add_loss"), (Metered, "level.*without noise")],
)
def test_layers_that_leak_past_the_gradient_are_refused(layer, words):
    model = private(keras.Sequential([keras.Input((FEATURES,)), layer(), layers.Dense(3, "softmax")]))
    with pytest.raises(ValueError, match=words):
        model.clipping_plan()


def test_other_reductions_and_weights_are_refused():
    with pytest.raises(ValueError, match="reduction=None"):
        private(loss=keras.losses.SparseCategoricalCrossentropy(reduction=None)).train_on_batch(*records(8))
    two = keras.Sequential([keras.Input((FEATURES,)), layers.Reshape((2, 3)), layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match="one number a record"):
        private(two).train_on_batch(records(8)[0], np.zeros((8, 2)), sample_weight=np.ones((8, 2)))


def contrast(y, answers):
    """A loss of a custom kind that compares the records of a batch."""
    return keras.ops.square(answers[:, 0] - keras.ops.mean(answers[:, 0]))


def brier(y, answers):
    """A loss of a custom kind that does not."""
    return keras.ops.mean(keras.ops.square(answers - keras.ops.one_hot(y, CLASSES)), axis=-1)


def test_a_loss_that_mixes_records_is_refused_and_another_is_welcome():
    with pytest.raises(ValueError, match="the compiled loss mixes the records"):
        private(loss=contrast).train_on_batch(*records(8))
    theirs, ours = mlp(), mlp()
    plain(theirs, loss=brier, compiled=EAGER).train_on_batch(*records(8))
    private(ours, **FREE, loss=brier).train_on_batch(*records(8))
    assert_same_weights(theirs, ours, **CLOSE)


def test_masked_answers_are_refused():
    target = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Embedding(3, 2, mask_zero=True), layers.Dense(3, "softmax")]
    )
    with pytest.raises(ValueError, match="carry a mask"):
        private(target).train_on_batch(np.array([[0, 1, 2, 0]] * 4), np.zeros((4, 4), int))


# Saving.


def test_a_saved_model_remembers_what_it_has_spent(tmp_path):
    model = private(noise_multiplier=1.0, delta=1e-3, l2_norm_clip=AdaptiveClip(2.0), seed=None)
    model.fit(mpreg.poisson_batches(*records(), batch_size=12), verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.privacy_history() == model.privacy_history() and loaded.delta == 1e-3
    assert float(loaded.clip_norm.numpy()) == float(model.clip_norm.numpy())
    assert_same_weights(loaded.target_model, model.target_model)
    other = private(noise_multiplier=1.0, delta=1e-3, l2_norm_clip=AdaptiveClip(2.0))
    other.load_weights(tmp_path / "model.weights.h5")
    assert other.privacy_history() == model.privacy_history()
    loaded.fit(*records(), batch_size=24, verbose=0)
    assert [part.sampling.kind for part in loaded.privacy_history()] == ["poisson", "shuffled"]
