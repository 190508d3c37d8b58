"""The game as one gets it who names no option: the relative weight, the average of weights, and a collapse undone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import CLASSES, FEATURES, assert_same_weights, linear_attacker, mlp, records, weights_of

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.training.core.average import WeightAverage
from mpreg.training.game.collapse import CollapseWatch

LOSS = "sparse_categorical_crossentropy"
QUIET = {"verbose": 0, "shuffle": False}
EPOCHS = 12  # enough to be averaged


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(1)


def blobs(count=48, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    return (rng.normal(size=(count, FEATURES)) + 2.0 * np.eye(CLASSES, FEATURES)[y]).astype("float32"), y


def wrap(target=None, reference=None, *, optimizer=None, **options):
    """A compiled wrapper, of few reference records a step."""
    options = {"reference_batch_size": 16, **options}
    model = mpreg.AdversarialRegularization(target or mlp(), reference or blobs(seed=9), **options)
    model.compile(optimizer or keras.optimizers.SGD(0.1), LOSS)
    return model


# The relative weight.


def softmax(z):
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class RelativeGame:
    """The default step in NumPy, gradients by hand: f = softmax(xW + b), h = sigmoid([log f(x), y]V + c)."""

    def __init__(self, f, h, *, strength, rate, attack_rate, both=True):
        self.f, self.h = [w.astype(float) for w in f], [w.astype(float) for w in h]
        self.strength, self.rate, self.attack_rate = strength, rate, attack_rate
        self.share = 0.5 if both else 1.0
        self.both = both
        self.loss_norm, self.gain_norm = 0.1, 0.025

    def sees(self, x, y):
        p = softmax(x @ self.f[0] + self.f[1])
        read = np.concatenate([np.log(p), np.eye(CLASSES)[y]], axis=1)
        return p, read, (read @ self.h[0] + self.h[1])[:, 0]

    def step(self, members, reference, weights=None):
        (x, y), (other, other_y) = members, reference
        n, m = len(y), len(other_y)
        p, read, suspicion = self.sees(x, y)
        q, other_read, other_suspicion = self.sees(other, other_y)
        # h ascends .5 mean log h + .5 mean log(1 - h)
        by_logit = 0.5 * (1 - sigmoid(suspicion)) / n
        by_other = -0.5 * sigmoid(other_suspicion) / m
        self.h[0] += self.attack_rate * (read.T @ by_logit + other_read.T @ by_other)[:, None]
        self.h[1] += self.attack_rate * (by_logit.sum() + by_other.sum())
        # the gain's gradients at the logits of f, by the h of now
        suspicion, other_suspicion = self.sees(x, y)[2], self.sees(other, other_y)[2]
        slope = self.h[0][:CLASSES, 0]
        by_logs = self.share * ((1 - sigmoid(suspicion)) / n)[:, None] * slope
        by_other_logs = -self.share * (sigmoid(other_suspicion) / m)[:, None] * slope * self.both
        gain = by_logs - p * by_logs.sum(axis=1, keepdims=True)
        other_gain = by_other_logs - q * by_other_logs.sum(axis=1, keepdims=True)
        loss = (p - np.eye(CLASSES)[y]) / n
        if weights is not None:
            loss *= weights[:, None]
        self.loss_norm = 0.95 * self.loss_norm + 0.05 * np.sqrt((loss**2).sum())
        self.gain_norm = 0.95 * self.gain_norm + 0.05 * np.sqrt((gain**2).sum())
        self.penalty = self.strength * min(self.loss_norm / (self.gain_norm + 1e-6), 200)
        by_answers, by_others = loss + self.penalty * gain, self.penalty * other_gain
        self.f[0] -= self.rate * (x.T @ by_answers + other.T @ by_others)
        self.f[1] -= self.rate * (by_answers.sum(axis=0) + by_others.sum(axis=0))


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_relative_weight_is_the_ratio_of_the_gradients_at_the_members_logits(both, logits, weighted):
    target = keras.Sequential(
        [keras.Input((FEATURES,)), layers.Dense(CLASSES, None if logits else "softmax")]
    )
    attacker = linear_attacker()
    outsider = tuple(np.repeat(part[:1], 5, axis=0) for part in records(seed=9))  # every draw is the same
    game = RelativeGame(
        weights_of(target), weights_of(attacker), strength=1.5, rate=0.1, attack_rate=0.5, both=both
    )
    model = wrap(
        target,
        outsider,
        strength=1.5,
        reference_gain=both,
        inference_network=attacker,
        attack_optimizer=keras.optimizers.SGD(0.5),
        reference_batch_size=5,
    )
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=logits))
    weights = np.linspace(0.5, 2.0, 8) if weighted else None
    for seed in range(4):
        batch = records(8, seed=seed)
        game.step(batch, outsider, weights)
        model.train_on_batch(*batch, sample_weight=weights)
    for part, values in ((target, game.f), (attacker, game.h)):
        for found, value in zip(weights_of(part), values, strict=True):
            np.testing.assert_allclose(found, value, rtol=2e-4, atol=2e-5)
    assert model.penalty == pytest.approx(game.penalty, rel=1e-3)
    assert model.strength == 1.5


def test_the_weight_hardly_depends_on_the_number_of_records_in_a_batch():
    x, y = records(64)
    found = []
    for size in (1, 8):  # the same records over and over: all that changes is their number
        model = wrap(
            optimizer=keras.optimizers.SGD(0.0),
            inference_network=linear_attacker(),
            attack_optimizer=keras.optimizers.SGD(0.0),
        )
        for _ in range(100):
            model.train_on_batch(*(np.repeat(part, size, axis=0) for part in (x, y)))
        found.append(model.penalty)
    assert found[1] == pytest.approx(found[0], rel=0.01)


def test_the_weight_is_bounded_where_the_inference_network_tells_nothing():
    network = linear_attacker()
    network.set_weights([0 * w for w in weights_of(network)])
    model = wrap(inference_network=network, attack_optimizer=keras.optimizers.SGD(0.0), strength=2.0)
    for _ in range(150):
        model.train_on_batch(*records())
    assert model.penalty == 400.0


def test_a_batch_that_is_not_finite_leaves_the_weight_alone():
    model = wrap()
    model.train_on_batch(*records())
    before = model.penalty
    model.target_model.set_weights([w * np.nan for w in weights_of(model.target_model)])
    model.train_on_batch(*records())
    assert model.penalty == before


def test_every_way_of_running_finds_the_same_weight():
    found = []
    for way in ({"run_eagerly": True}, {}, {"jit_compile": True}):
        model = wrap(inference_network=linear_attacker())
        model.compile(keras.optimizers.SGD(0.1), LOSS, **way)
        for seed in range(3):
            model.train_on_batch(*records(seed=seed))
        found.append((model.penalty, weights_of(model.target_model)[0]))
    for penalty, weights in found[1:]:
        assert penalty == pytest.approx(found[0][0], rel=1e-4)
        np.testing.assert_allclose(weights, found[0][1], atol=1e-5)


def test_one_unit_weighs_as_two_do():
    def penalty(units, activation, loss):
        target = mlp(units=units, activation=activation)
        middle = np.linspace(-1, 1, 8)[:, None]  # the logit of one unit is the difference of those of two
        last = middle if units == 1 else np.concatenate([0 * middle, middle], axis=1)
        target.set_weights([*weights_of(target)[:2], last, np.zeros(units)])
        model = wrap(target, records(seed=9, classes=2), inference_network=linear_attacker(2))
        model.compile(keras.optimizers.SGD(0.0), loss)
        for seed in range(3):
            model.train_on_batch(*records(seed=seed, classes=2))
        return model.penalty

    assert penalty(1, "sigmoid", "binary_crossentropy") == pytest.approx(
        penalty(2, "softmax", LOSS), rel=1e-3
    )


def test_mixed_precision_finds_a_weight():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = wrap(mlp())
        for seed in range(5):  # the first ones find the scale of the loss
            model.train_on_batch(*records(seed=seed))
    finally:
        keras.config.set_dtype_policy("float32")
    assert 0 < model.penalty < 300
    assert all(np.isfinite(w).all() for w in weights_of(model.target_model))


def test_a_strength_of_zero_is_plain_training_bit_for_bit():
    plain, target = (mlp(dropout=0.3, normalize=True) for _ in range(2))
    plain.compile("adam", LOSS)
    plain.fit(*records(), epochs=EPOCHS, batch_size=24, **QUIET)
    wrap(target, strength=0.0, optimizer="adam").fit(*records(), epochs=EPOCHS, batch_size=24, **QUIET)
    assert_same_weights(plain, target)


# The average.


class Record(keras.callbacks.Callback):
    """Keeps the weights of each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(weights_of(getattr(self.model, "target_model", self.model)))


def averaged(seen, keep):
    """The running average in one sum: each epoch's share, times what each later one leaves of it."""
    kept = [min(keep, t / (t + 3)) for t in range(len(seen))]
    shares = [(1 - kept[t]) * np.prod(kept[t + 1 :]) for t in range(len(seen))]
    assert sum(shares) == pytest.approx(1)
    return [sum(share * w for share, w in zip(shares, part, strict=True)) for part in zip(*seen, strict=True)]


@pytest.mark.parametrize("kind", ["wrapper", "callback"])
@pytest.mark.parametrize(("options", "keep"), [({}, 0.95), ({"averaging": 0.4, "penalty": 1.0}, 0.4)])
def test_after_fit_the_target_holds_the_average_over_the_epochs(kind, options, keep):
    target, record = mlp(normalize=True), Record()
    if kind == "wrapper":
        model, callbacks = wrap(target, **options), [record]
    else:
        target.compile(keras.optimizers.SGD(0.1), LOSS)
        model, callbacks = target, [AdversarialTraining(blobs(seed=9), **options), record]
    model.fit(*blobs(), epochs=EPOCHS, batch_size=24, callbacks=callbacks, **QUIET)
    assert len(record.seen) == EPOCHS
    for found, value in zip(weights_of(target), averaged(record.seen, keep), strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)
    assert np.abs(weights_of(target)[0] - record.seen[-1][0]).max() > 1e-5


@pytest.mark.parametrize(
    "case", ["few epochs", "no averaging", pytest.param("warm-up", marks=pytest.mark.slow)]
)
def test_what_is_not_averaged_ends_as_the_last_epoch(case):
    options = {"few epochs": {}, "no averaging": {"averaging": 0}, "warm-up": {"warmup_epochs": 3}}[case]
    epochs = 9 if case == "few epochs" else EPOCHS
    record, model = Record(), wrap(**options)
    model.fit(*blobs(), epochs=epochs, batch_size=24, callbacks=[record], **QUIET)
    for found, value in zip(weights_of(model.target_model), record.seen[-1], strict=True):
        np.testing.assert_array_equal(found, value)


def test_averaged_statistics_of_batch_normalization_fit_the_averaged_weights_as_well_as_those_of_an_epoch():
    """Moving averages lag behind the weights in plain training too."""
    x, y = blobs(600)
    model = wrap(mlp(normalize=True), optimizer=keras.optimizers.Adam(0.003), strength=1.5)
    record = Record()
    model.fit(x, y, epochs=EPOCHS, batch_size=24, callbacks=[record], **QUIET)

    def misfit():
        dense, normalization = model.target_model.layers[:2]
        reaching = dense(x).numpy()
        shift = np.abs(normalization.moving_mean - reaching.mean(axis=0)) / (reaching.std(axis=0) + 0.1)
        spread = np.sqrt((normalization.moving_variance + 0.01) / (reaching.var(axis=0) + 0.01))
        return max(shift.max(), np.abs(spread - 1).max())

    averaged_misfit = misfit()
    model.target_model.set_weights(record.seen[-1])
    assert averaged_misfit < misfit() + 0.05
    model.target_model.set_weights(record.seen[0])
    assert averaged_misfit < misfit()  # it is a measure of something


def test_an_interrupted_run_resumes_to_the_same_average(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 5:
                raise KeyboardInterrupt

    def fit(model, *callbacks):
        model.fit(*blobs(), epochs=EPOCHS, batch_size=24, callbacks=list(callbacks), **QUIET)

    straight, first, second = (wrap(mlp(normalize=True)) for _ in range(3))
    fit(straight)
    with pytest.raises(KeyboardInterrupt):
        fit(first, keras.callbacks.BackupAndRestore(tmp_path / "backup"), Interrupt())
    fit(second, keras.callbacks.BackupAndRestore(tmp_path / "backup"))
    assert_same_weights(straight.target_model, second.target_model)


def test_early_stopping_restores_the_epoch_that_it_chose():
    record = Record()
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=11, restore_best_weights=True)
    model = wrap()
    model.fit(*blobs(), epochs=30, batch_size=24, callbacks=[stop, record], **QUIET)
    assert len(record.seen) == EPOCHS
    for found, value in zip(weights_of(model.target_model), record.seen[0], strict=True):
        np.testing.assert_array_equal(found, value)


def test_the_average_leaves_counters_and_frozen_weights_alone():
    class Counter(layers.Layer):
        def build(self, shape):
            self.calls = self.add_weight(shape=(), dtype="int64", initializer="zeros", trainable=False)
            self.fixed = self.add_weight(shape=(), initializer="ones", trainable=False)

        def call(self, x):
            return x * self.fixed

    counter = Counter()
    model = keras.Sequential([keras.Input((FEATURES,)), counter, layers.Dense(2)])
    average = WeightAverage(model, 0.7)
    for step in range(5):
        counter.calls.assign(step)
        counter.fixed.assign(0.1)
        average.update()
    average.put()
    assert int(counter.calls.numpy()) == 4
    assert float(counter.fixed.numpy()) == np.float32(0.1)


def test_a_model_saved_before_there_was_an_average_loads(tmp_path):
    """Such a file has 7 numbers of the game, and a configuration without the newer options."""
    model = wrap(penalty=3.0, averaging=0, reference_gain=False)
    model.fit(*blobs(), epochs=1, batch_size=24, **QUIET)
    game = model.game
    config = game.get_config()
    for name in ("averaging", "strength"):
        config.pop(name, None)
    stored = {}
    game.save_own_variables(stored)
    again = type(game).from_config(config)
    again.load_own_variables({str(index): stored[str(index)] for index in range(7)})
    assert float(again.penalty.numpy()) == 3.0
    assert int(again.step.numpy()) == int(game.step.numpy()) == 2
    assert again.options.averaging == 0


# Collapse.


class Sabotage(keras.callbacks.Callback):
    """Makes the target answer all badly, or nothing at all, in one epoch."""

    def __init__(self, epoch, factor):
        super().__init__()
        self.epoch, self.factor = epoch, factor

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            target = self.model.target_model
            target.set_weights([w * self.factor for w in weights_of(target)])


@pytest.mark.parametrize("factor", [-30.0, np.nan])
def test_a_collapse_is_undone_and_halves_the_strength(factor):
    model = wrap(optimizer=keras.optimizers.Adam(0.01))
    record = Record()
    with pytest.warns(UserWarning, match="classifier has collapsed.*strength 0.85 instead of 1.7"):
        history = model.fit(
            *blobs(240), epochs=7, batch_size=24, callbacks=[Sabotage(6, factor), record], **QUIET
        ).history
    assert model.strength == pytest.approx(0.85)
    assert not history["loss"][6] < history["loss"][5]
    restored = record.seen[6]
    assert any(
        all(np.array_equal(a, b) for a, b in zip(restored, epoch, strict=True)) for epoch in record.seen[:6]
    )
    for slot in model.optimizer.variables:
        if slot.name != "learning_rate":
            assert np.all(np.asarray(slot) == 0), slot.path
    assert np.isfinite(model.predict(blobs()[0], verbose=0)).all()


def test_a_run_that_recovers_trains_on_finitely_after_nan():
    model = wrap(optimizer=keras.optimizers.Adam(0.01))
    with pytest.warns(UserWarning, match="has collapsed"):
        history = model.fit(
            *blobs(240), epochs=12, batch_size=24, callbacks=[Sabotage(4, np.nan)], **QUIET
        ).history
    assert np.isfinite(history["loss"][6:]).all()
    assert np.isfinite(history["inference_loss"][6:]).all()


@pytest.mark.slow
def test_a_penalty_that_is_far_too_strong_is_taken_back_until_the_target_learns(monkeypatch):
    def accuracy():
        keras.utils.set_random_seed(1)
        model = wrap(
            optimizer=keras.optimizers.Adam(0.01),
            attack_optimizer=keras.optimizers.Adam(0.01),
            penalty=1000.0,
        )
        model.fit(*blobs(240), epochs=60, batch_size=24, **QUIET)
        return model.penalty, np.mean(model.predict(blobs(240)[0], verbose=0).argmax(1) == blobs(240)[1])

    with pytest.warns(UserWarning, match="classifier has collapsed"):
        penalty, found = accuracy()
    monkeypatch.setattr(CollapseWatch, "_collapsed", lambda watch, fare: False)
    kept, unwatched = accuracy()
    assert penalty < 1000.0 == kept
    assert found > unwatched + 0.1


def test_slow_learning_and_no_charge_are_no_collapse(recwarn):
    slow = wrap(optimizer=keras.optimizers.SGD(1e-3))
    slow.fit(*blobs(), epochs=8, batch_size=24, **QUIET)  # above the entropy of the classes, but falling
    free = wrap(strength=0.0, optimizer=keras.optimizers.SGD(0.0))
    free.fit(*blobs(), epochs=8, batch_size=24, **QUIET)
    assert not [w for w in recwarn if "collapsed" in str(w.message)]


def test_the_tally_is_of_the_members_that_take_part():
    model = wrap()
    tally, target = model.game.tally, model.target_model
    x, y = records(20)
    present = np.r_[np.ones(15), np.zeros(5)].astype("float32")
    logs = np.log(target.predict(x, verbose=0))
    for rows in (slice(0, 8), slice(8, 20)):
        tally.update(tf.constant(logs[rows]), tf.one_hot(y[rows], CLASSES), tf.constant(present[rows]))
    loss, accuracy, uninformed, steps = tally.read()
    assert steps == 2
    assert loss == pytest.approx(-logs[np.arange(15), y[:15]].mean(), rel=1e-5)
    assert accuracy == pytest.approx((logs[:15].argmax(1) == y[:15]).mean())
    shares = np.bincount(y[:15]) / 15
    assert uninformed == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
    tally.reset()
    assert tally.read() is None
    assert CollapseWatch(model.game, target).look(None) is False  # of no member
