"""The ledger: whatever becomes of weights, files and copies, what is said to be spent is what was released."""

import collections
import contextlib
import copy
import itertools
import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from support import CLASSES, FEATURES, LOSS, assert_same_weights, records, weights_of

import mpreg
from mpreg.callbacks import PrivacyBudget
from mpreg.private import accounting
from mpreg.private.accounting import Sampling, Segment, spent
from mpreg.private.ledger import Ledger

DELTA = 1e-3
X, Y = records(24)
RELEASES = tf.Variable(0, dtype=tf.int64)


@keras.saving.register_keras_serializable("tests")
class CountingSGD(keras.optimizers.SGD):
    """Counts the times that it is given gradients: what is released, counted apart from the ledger."""

    def apply(self, grads, trainable_variables=None):
        RELEASES.assign_add(1)
        super().apply(grads, trainable_variables)


@pytest.fixture(autouse=True)
def _renyi_alone(monkeypatch):
    monkeypatch.setattr(accounting, "LARGE", -1.0)  # which is fast
    accounting._spent.cache_clear()
    yield
    accounting._spent.cache_clear()


def linear():
    start = keras.initializers.GlorotUniform(1)
    return keras.Sequential(
        [keras.Input((FEATURES,)), keras.layers.Dense(CLASSES, "softmax", kernel_initializer=start)]
    )


def private(target=None, *, noise=1.0, compiled=None, **options):
    target = linear() if target is None else target
    model = mpreg.DPSGD(target, noise_multiplier=noise, l2_norm_clip=1.0, delta=DELTA, **options)
    return compile_anew(model, **(compiled or {}))


def compile_anew(model, *, use_ema=False, **options):
    optimizer = CountingSGD(0.1, use_ema=use_ema)
    model.compile(optimizer, LOSS, **{"run_eagerly": not options, **options})
    return model


def poisson(batch_size=8):
    return mpreg.poisson_batches(X, Y, batch_size=batch_size)


def kinds(model):
    """Steps by how they were drawn."""
    counts = collections.Counter()
    for segment in model.privacy_history():
        counts[segment.sampling.kind] += segment.steps
    return dict(counts)


# Any sequence of what Keras users do.


HABITS = ["plain", "restores", "stops", "nested", "checkpoint", "average"]


class Interrupted(Exception):
    pass


class World:
    """Models and files, and beside each what was released on the way to it: by its origin, how and how often."""

    def __init__(self, seed, folder):
        self.rng, self.folder = np.random.default_rng(seed), folder
        self.models, self.files = [], []
        self.habits = itertools.cycle(self.rng.permutation(HABITS))
        self.add(private(), {})

    def add(self, model, released):
        self.models.append((model, dict(released)))

    def pick(self):
        return self.models[self.rng.integers(len(self.models))]

    def train(self, model, released, sampling, run):
        """Runs a training, and books what the optimizer was given meanwhile."""
        origin, before = object(), int(RELEASES.numpy())
        inside = []  # releases of trainings within this one

        def so_far():
            return sampling, model.noise_multiplier, int(RELEASES.numpy()) - before - sum(inside)

        def book():
            if so_far()[2]:
                released[origin] = so_far()

        with contextlib.suppress(Interrupted):
            run(book, inside)
        book()

    # Each of these is one thing that somebody does.

    def fit(self):
        model, released = self.pick()
        kind = self.rng.choice(["poisson", "shuffled", "arbitrary"])
        data = {
            "poisson": lambda: ((poisson(),), {}, Sampling("poisson", 24, 8)),
            "shuffled": lambda: ((X, Y), {"batch_size": 10}, Sampling("shuffled", 24, 10, 3)),
            "arbitrary": lambda: ((stream(),), {}, Sampling("arbitrary")),
        }
        args, options, sampling = data[kind]()
        habit = next(self.habits)

        def run(book, inside):
            callbacks = getattr(self, f"_{habit}")(model, released, book, inside)
            validation = {"validation_data": (X, Y)} if habit == "restores" else {}
            model.fit(*args, **options, **validation, epochs=2, verbose=0, callbacks=callbacks)

        self.train(model, released, sampling, run)

    def _plain(self, *_):
        return []

    def _restores(self, *_):
        return [keras.callbacks.EarlyStopping("val_loss", mode="max", patience=0, restore_best_weights=True)]

    def _stops(self, *_):
        last = int(self.rng.integers(1, 5))

        def stop(batch, logs):
            stop.count = getattr(stop, "count", 0) + 1
            if stop.count == last:
                raise Interrupted

        return [keras.callbacks.LambdaCallback(on_train_batch_end=stop)]

    def _nested(self, model, released, book, inside):
        def train(batch, logs):
            before = int(RELEASES.numpy())
            model.train_on_batch(X[:4], Y[:4])
            inside.append(int(RELEASES.numpy()) - before)
            released[object()] = Sampling("arbitrary"), model.noise_multiplier, inside[-1]

        return [keras.callbacks.LambdaCallback(on_train_batch_end=train)]

    def _checkpoint(self, model, released, book, inside):
        def save(batch, logs):
            if batch == 1:
                book()
                self.save(model, released)

        return [keras.callbacks.LambdaCallback(on_train_batch_end=save)]

    def _average(self, model, *_):
        def average(epoch, logs):
            model.set_weights([value / 2 for value in model.get_weights()])

        return [keras.callbacks.LambdaCallback(on_epoch_end=average)]

    def train_on_batch(self):
        model, released = self.pick()
        self.train(model, released, Sampling("arbitrary"), lambda *_: model.train_on_batch(X[:8], Y[:8]))

    def save(self, model=None, released=None):
        if model is None:
            model, released = self.pick()
        path = self.folder / f"{len(self.files)}.weights.h5"
        model.save_weights(path)
        self.files.append((path, dict(released)))

    def load_weights(self):
        if self.files:
            (path, found), (model, released) = self.files[self.rng.integers(len(self.files))], self.pick()
            model.load_weights(path)
            unite(released, found)

    def save_and_load(self):
        model, released = self.pick()
        path = self.folder / "model.keras"
        model.save(path)
        self.add(keras.saving.load_model(path), released)

    def clone(self):
        model, released = self.pick()
        clone = compile_anew(keras.models.clone_model(model))
        clone.set_weights(model.get_weights())
        self.add(clone, released)

    def set_weights(self):
        self.pick()[0].set_weights(self.pick()[0].get_weights())

    def recompile(self):
        compile_anew(self.pick()[0])


def unite(released, more):
    for origin, (sampling, noise, count) in more.items():
        known = released.get(origin, (None, None, 0))[2]
        released[origin] = sampling, noise, max(count, known)


def stream():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def exposures(segments):
    counts = collections.Counter()
    for segment in segments:
        counts[segment.sampling.kind] += segment.sampling.exposures(segment.steps)
    return counts


DEEDS = ["fit"] * 8 + [
    "train_on_batch",
    "save",
    "load_weights",
    "save_and_load",
    "clone",
    "set_weights",
    "recompile",
]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_after_any_sequence_what_is_said_is_what_was_released(seed, tmp_path):
    world = World(seed, tmp_path)
    for _ in range(14):
        getattr(world, world.rng.choice(DEEDS))()
        for model, released in world.models:
            made = [Segment(*each) for each in released.values()]
            # Not only no less: nothing is counted twice either.
            assert exposures(model.privacy_history()) == exposures(made)
            assert model.noisy_steps == sum(segment.steps for segment in made)
    for model, released in world.models:
        true = spent([Segment(*each) for each in released.values()], DELTA).epsilon
        assert true > 0 or not released
        assert model.privacy_spent().epsilon == pytest.approx(true, rel=1e-9)


# Single habits, in compiled programs too.


def test_compiled_steps_of_several_an_execution_are_counted_also_where_fit_is_cut_short():
    model = private(compiled={"steps_per_execution": 3})

    def stop(batch, logs):
        raise Interrupted

    before = int(RELEASES.numpy())
    for callbacks in ([], [keras.callbacks.LambdaCallback(on_train_batch_end=stop)]):
        with contextlib.suppress(Interrupted):
            model.fit(poisson(4), verbose=0, callbacks=callbacks)
    assert kinds(model) == {"poisson": 9} and int(RELEASES.numpy()) - before == 9
    assert len(model.privacy_history()) == 1  # fits of one kind make one entry
    model.train_on_batch(X[:8], Y[:8])
    assert kinds(model) == {"poisson": 9, "arbitrary": 1}


def test_a_loop_of_ones_own_is_counted():
    model = private()
    step = tf.function(model.train_step, autograph=False)
    for _ in range(3):
        step((tf.constant(X[:8]), tf.constant(Y[:8])))
    assert kinds(model) == {"arbitrary": 3}


def test_a_moving_average_of_weights_leaves_the_ledger_alone():
    model = private(compiled={"use_ema": True, "run_eagerly": True})
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.fit(poisson(), epochs=3, validation_data=(X, Y), verbose=0, callbacks=[swap])
    assert kinds(model) == {"poisson": 9}


def test_a_backup_restores_what_was_spent_up_to_it(tmp_path):
    def stop(epoch, logs):
        if epoch == 2:
            raise Interrupted

    def callbacks(*more):
        return [keras.callbacks.BackupAndRestore(tmp_path), *more]

    first, second = private(seed=3), private(seed=3)
    with pytest.raises(Interrupted):
        stopping = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
        first.fit(X, Y, batch_size=8, shuffle=False, epochs=4, verbose=0, callbacks=callbacks(stopping))
    second.fit(X, Y, batch_size=8, shuffle=False, epochs=4, verbose=0, callbacks=callbacks())
    assert kinds(second) == {"shuffled": 12}
    assert (
        second.privacy_spent().epsilon
        == spent([Segment(Sampling("shuffled", 24, 8, 3), 1.0, 12)], DELTA).epsilon
    )
    # With a seed, what was interrupted ends as what was not.
    whole = private(seed=3)
    whole.fit(X, Y, batch_size=8, shuffle=False, epochs=4, verbose=0)
    assert_same_weights(whole.target_model, second.target_model, rtol=1e-6)


def test_restored_weights_never_meet_the_same_noise():
    for seed in (None, 3):
        model = private(seed=seed)
        start, found = model.get_weights(), []
        for _ in range(3):
            model.set_weights(start)
            model.train_on_batch(X[:8], Y[:8])
            found.append(weights_of(model.target_model)[0])
        assert all(np.all(found[i] != found[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_every_model_from_one_file_has_noise_of_its_own(tmp_path):
    model = private()
    model.save_weights(tmp_path / "start.weights.h5")
    found = []
    for _ in range(2):
        again = private()
        again.load_weights(tmp_path / "start.weights.h5")
        again.train_on_batch(X[:8], Y[:8])
        found.append(weights_of(again.target_model)[0])
    assert np.all(found[0] != found[1])


def test_wrapping_a_target_again_goes_on_with_its_history():
    first = private()
    first.train_on_batch(X[:8], Y[:8])
    second = private(first.target_model, noise=2.0)
    second.train_on_batch(X[:8], Y[:8])
    for model in (first, second):
        assert [(part.noise_multiplier, part.steps) for part in model.privacy_history()] == [
            (1.0, 1),
            (2.0, 1),
        ]
    assert private().privacy_history() == []


def test_copies_and_tensorflow_checkpoints_have_the_history(tmp_path):
    model = private()
    model.train_on_batch(X[:8], Y[:8])
    copied = copy.deepcopy(model)
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "model"))
    restored = private()
    tf.train.Checkpoint(model=restored).restore(path)
    tf.train.Checkpoint(model=model).restore(path)
    for each in (copied, restored):
        assert each.privacy_history() == model.privacy_history() and each.noisy_steps == 1
        compile_anew(each).train_on_batch(X[:8], Y[:8])
        assert (each.noisy_steps, model.noisy_steps) == (2, 1)


def test_trainings_apart_add_up_where_one_takes_the_others_weights(tmp_path):
    one, other = private(), private()
    for model, epochs in ((one, 1), (other, 2)):
        model.fit(poisson(), epochs=epochs, verbose=0)
    other.save_weights(tmp_path / "other.weights.h5")
    for _ in range(2):
        one.load_weights(tmp_path / "other.weights.h5")
    assert kinds(one) == {"poisson": 9} and kinds(other) == {"poisson": 6}


def test_copies_that_train_apart_and_meet_again_add_up(tmp_path):
    model = private()
    model.train_on_batch(X[:8], Y[:8])
    model.save(tmp_path / "model.keras")
    copied = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, copied):
        each.train_on_batch(X[:8], Y[:8])
    copied.save_weights(tmp_path / "copied.weights.h5")
    model.load_weights(tmp_path / "copied.weights.h5")
    assert (model.noisy_steps, copied.noisy_steps) == (3, 2)


def test_batches_of_a_callbacks_own_count_as_drawn_from_anywhere():
    model = private()
    more = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.train_on_batch(X[:8], Y[:8]))
    model.fit(poisson(), epochs=2, verbose=0, callbacks=[more])
    assert kinds(model) == {"poisson": 6, "arbitrary": 2}


def test_files_from_before_entries_had_names_are_read(tmp_path):
    model, path = private(), tmp_path / "old.weights.h5"
    model.save_weights(path)
    rows = [
        {"sampling": {"kind": "poisson", "examples": 24, "batch_size": 8, "passes_in": None}, "steps": 4},
        {
            "sampling": {"kind": "arbitrary", "examples": None, "batch_size": None, "passes_in": None},
            "steps": 1,
        },
    ]
    text = json.dumps({"steps": 5, "segments": [{**row, "noise_multiplier": 1.0} for row in rows]})
    with h5py.File(path, "r+") as file:
        del file["vars/privacy_history"]
        file["vars/privacy_history"] = np.frombuffer(text.encode(), np.uint8)
        file["vars/1"] = np.int64(5)  # the counter was a weight
    for _ in range(2):
        model.load_weights(path)
    assert kinds(model) == {"poisson": 4, "arbitrary": 1}


def test_the_noise_cannot_be_changed_behind_the_ledger():
    with pytest.raises(AttributeError):
        private().noise_multiplier = 0.0


def test_unfinished_passes_within_each_other_count_by_themselves():
    ledger, drawn = Ledger(1.0, target=linear()), Sampling("shuffled", 12, 4, 3)

    def passes():
        return sum(segment.sampling.exposures(segment.steps) for segment in ledger.history())

    def steps(count):
        for _ in range(count):
            ledger.count()

    with ledger.drawn(drawn):
        steps(3)
        with ledger.drawn(drawn):
            steps(1)
        steps(1)  # may hold the record that the pass within has just seen
    assert passes() == 3
    for _ in range(4):  # whole passes make no entries of their own
        with ledger.drawn(drawn):
            steps(3)
    assert passes() == 7 and len(ledger.history()) == 3


# Budgets.


def test_a_budget_holds_over_fits_that_restore_their_best_weights():
    model = private(noise=1.5)
    most = model.noisy_steps
    with pytest.raises(ValueError, match="is spent"):
        for _ in range(20):
            back = keras.callbacks.EarlyStopping(
                "val_loss", mode="max", patience=0, restore_best_weights=True
            )
            budget = PrivacyBudget(epsilon=2.0, delta=DELTA)
            history = model.fit(
                poisson(), epochs=3, validation_data=(X, Y), verbose=0, callbacks=[budget, back]
            ).history
            assert history["epsilon"][-1] == model.privacy_spent().epsilon <= 2.0
            assert model.noisy_steps > most
            most = model.noisy_steps
    assert model.privacy_spent().epsilon > 1.5


@pytest.mark.parametrize("disturbed_by", ["a file", "batches of its own"])
def test_a_budget_counts_what_comes_from_elsewhere_during_fit(disturbed_by, tmp_path):
    other, model = private(noise=1.5), private(noise=1.5)
    other.train_on_batch(X[:8], Y[:8])
    other.save_weights(tmp_path / "other.weights.h5")

    def disturb(epoch, logs):
        if epoch == 1 and disturbed_by == "a file":
            model.load_weights(tmp_path / "other.weights.h5")
        elif epoch == 1:
            model.train_on_batch(X[:8], Y[:8])

    budget = PrivacyBudget(epsilon=4.0, delta=DELTA)
    callbacks = [budget, keras.callbacks.LambdaCallback(on_epoch_begin=disturb)]
    model.fit(poisson(), epochs=100, verbose=0, callbacks=callbacks)
    assert kinds(model).keys() == {"poisson", "arbitrary"}
    assert 3.5 < model.privacy_spent().epsilon <= 4.0
