"""A backup that a kill at any moment leaves whole, and a training that goes on as if nothing had happened."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import assert_same_weights, linear_attacker, mlp, records, weights_of

import mpreg
from mpreg.callbacks import Backup
from mpreg.callbacks.backup import random_state, restore_random_state

LOSS = "sparse_categorical_crossentropy"
X, Y = records(48)
EPOCHS = 4
ROOT = Path(__file__).resolve().parents[2]


class Killed(BaseException):
    """What stands for a kill within one process."""


def game():
    return mpreg.AdversarialRegularization(
        mlp(dropout=0.3),
        records(24, seed=2),
        penalty=1.0,
        warmup_epochs=1,
        inference_network=linear_attacker(),
    )


def private():
    return mpreg.DPSGD(mlp(), noise_multiplier=2.0, l2_norm_clip=1.0, delta=1e-3, seed=0)


MODELS = {
    "plain": lambda: mlp(dropout=0.3),
    "game": game,
    "default game": lambda: mpreg.AdversarialRegularization(
        mlp(), records(24, seed=2)
    ),  # ends with averaged weights
    "relaxed": lambda: mpreg.RelaxLoss(mlp(), alpha=0.5),
    "private": private,
}


def compiled(name):
    model = MODELS[name]()
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


def fit(model, *callbacks, **options):
    options = {"epochs": EPOCHS, "batch_size": 16, "shuffle": False, **options}
    return model.fit(X, Y, verbose=0, callbacks=list(callbacks), **options)


def killed_at(epoch):
    """A callback that ends a training as the epoch of this number begins."""

    def end(number, logs=None):
        if number == epoch:
            raise Killed

    return keras.callbacks.LambdaCallback(on_epoch_begin=end)


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("name", MODELS)
def test_it_ends_with_the_weights_of_an_undisturbed_training(name, epoch, tmp_path):
    undisturbed = compiled(name)
    fit(undisturbed)
    with pytest.raises(Killed):
        fit(compiled(name), Backup(tmp_path / "backup"), killed_at(epoch))
    resumed = compiled(name)
    history = fit(resumed, Backup(tmp_path / "backup"))
    assert history.epoch == list(range(epoch, EPOCHS))
    assert_same_weights(resumed, undisturbed)
    assert not (tmp_path / "backup").exists()


def test_without_the_random_state_of_layers_it_would_not():
    """What the weights file of Keras leaves out, so that the test above can fail."""
    model, other = compiled("plain"), compiled("plain")
    fit(model, epochs=2)
    other.set_weights(model.get_weights())
    answers = [each(X, training=True).numpy() for each in (model, other)]
    assert np.abs(answers[0] - answers[1]).max() > 0


def test_the_ledger_comes_back_and_counts_once(tmp_path):
    backup = tmp_path / "backup"
    with pytest.raises(Killed):
        fit(compiled("private"), Backup(backup), killed_at(3))
    resumed, undisturbed = compiled("private"), compiled("private")
    fit(resumed, Backup(backup))
    fit(undisturbed)
    assert resumed.noisy_steps == undisturbed.noisy_steps == 3 * EPOCHS
    assert resumed.privacy_spent().epsilon >= undisturbed.privacy_spent().epsilon - 1e-9


def test_in_one_process_steps_that_were_taken_back_still_count(tmp_path):
    """The weights return to the backup, but what was released since does not."""
    model, backup = compiled("private"), Backup(tmp_path / "backup")

    def end(batch, logs=None):
        if model.noisy_steps == 5:
            raise Killed

    with pytest.raises(Killed):
        fit(model, backup, keras.callbacks.LambdaCallback(on_train_batch_end=end))
    fit(model, backup)
    assert model.noisy_steps == 5 + 3 * (EPOCHS - 1)


class Disk:
    """Ends the process, as it were, at the file operation of some number: no later one reaches the disk either."""

    def __init__(self, monkeypatch):
        self.left = None
        for module, name in ((os, "mkdir"), (os, "rename"), (os, "replace"), (os, "fsync"), (os, "rmdir")):
            self._guard(monkeypatch, module, name)
        for name in ("unlink", "open"):
            self._guard(monkeypatch, os, name)
        self._guard(monkeypatch, np, "savez")
        self._guard(monkeypatch, Path, "write_text")
        self._guard(monkeypatch, keras.Model, "save_weights")

    def _guard(self, monkeypatch, owner, name):
        own = getattr(owner, name)

        def guarded(*args, **kwargs):
            if self.left is not None:
                if self.left <= 0:
                    raise Killed
                self.left -= 1
            return own(*args, **kwargs)

        monkeypatch.setattr(owner, name, guarded)

    @contextlib.contextmanager
    def fails_after(self, operations):
        self.left = operations
        try:
            yield
        finally:
            self.left = None


@pytest.mark.parametrize("double", [False, True])
def test_a_kill_at_any_operation_of_a_save_leaves_the_last_backup_or_the_new_one(
    double, tmp_path, monkeypatch
):
    model, states = compiled("plain"), []
    model.optimizer.build(model.trainable_variables)
    disk = Disk(monkeypatch)
    seen, operations = set(), 0
    while True:
        folder = tmp_path / f"{operations}"
        model.set_weights([np.full_like(weight, 1.0) for weight in model.get_weights()])
        callback = Backup(folder, double_checkpoint=double)
        callback.set_model(model)
        for epoch in range(2):
            callback.on_epoch_end(epoch)
        model.set_weights([np.full_like(weight, 2.0) for weight in model.get_weights()])
        whole = False
        with contextlib.suppress(Killed), disk.fails_after(operations):
            callback.on_epoch_end(2)
            whole = True
        fresh, again = compiled("plain"), Backup(folder, double_checkpoint=double)
        again.set_model(fresh)
        again.on_train_begin()
        epoch = fresh._initial_epoch
        assert epoch in (2, 3)
        for weight in weights_of(fresh):
            assert (weight == (1.0 if epoch == 2 else 2.0)).all()
        again.on_epoch_end(epoch)  # and it can be saved again beside what was left
        assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
        seen.add(epoch)
        states.append(epoch)
        if whole:
            break
        operations += 1
    assert seen == {2, 3} and states == sorted(states)
    assert operations > 8  # kills fell into the midst of it


def test_a_file_that_is_half_written_is_never_opened(tmp_path, monkeypatch):
    model = compiled("plain")
    with pytest.raises(Killed):
        fit(model, Backup(tmp_path), killed_at(2))
    own = keras.Model.save_weights

    def half(self, path, **options):
        own(self, path, **options)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: len(content) // 2])
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(keras.Model, "save_weights", half)
        fit(compiled("plain"), Backup(tmp_path))
    resumed, undisturbed = compiled("plain"), compiled("plain")
    assert fit(resumed, Backup(tmp_path)).epoch == [2, 3]
    fit(undisturbed)
    assert_same_weights(resumed, undisturbed)


def damage(folder):
    for weights in folder.glob("*/*.h5"):
        weights.write_bytes(weights.read_bytes()[:100])


def test_of_two_backups_the_older_one_stands_in_for_one_that_the_disk_lost(tmp_path):
    with pytest.raises(Killed):
        fit(compiled("plain"), Backup(tmp_path, double_checkpoint=True), killed_at(3))
    last = sorted(tmp_path.iterdir())[-1]
    assert len(list(tmp_path.iterdir())) == 2
    (last / "backup.weights.h5").write_bytes(b"no file of weights")
    resumed, undisturbed = compiled("plain"), compiled("plain")
    assert fit(resumed, Backup(tmp_path)).epoch == [2, 3]
    fit(undisturbed)
    assert_same_weights(resumed, undisturbed)


def test_one_backup_is_kept_unless_two_are_asked_for(tmp_path):
    for double in (False, True):
        folder = tmp_path / str(double)
        fit(compiled("plain"), Backup(folder, double_checkpoint=double, delete_checkpoint=False))
        assert len(list(folder.iterdir())) == 1 + double


@pytest.mark.parametrize("damaged", [True, False])
def test_what_cannot_be_taken_up_is_told(damaged, tmp_path):
    with pytest.raises(Killed):
        fit(compiled("plain"), Backup(tmp_path), killed_at(1))
    if damaged:
        damage(tmp_path)
    model = compiled("plain") if damaged else mlp(hidden=5, dropout=0.3)
    model.compile("sgd", LOSS)
    with pytest.raises(ValueError, match="cannot be taken up: it is of another model or damaged"):
        fit(model, Backup(tmp_path))


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("steps", [1, 2])
def test_batches_between_backups(every, steps, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(
        Backup, "_save", lambda self, *place: (saved.append(place), setattr(self, "_unsaved", 0))
    )
    model = mlp()
    model.compile("sgd", LOSS, steps_per_execution=steps)
    fit(model, Backup(tmp_path, save_freq=every), batch_size=8)  # 6 batches an epoch
    at, unsaved, expected = 0, 0, []
    for epoch in range(EPOCHS):
        for at in range(steps, 7, steps):
            unsaved += steps
            if unsaved >= every:
                unsaved = 0
                expected.append((epoch, at))
    assert saved == expected


def test_after_a_backup_between_batches_the_epoch_under_way_is_done_again(tmp_path):
    """As Keras' own does."""
    histories = {}
    for kind in (keras.callbacks.BackupAndRestore, Backup):
        model, folder = mlp(), str(tmp_path / kind.__name__)
        model.compile("sgd", LOSS)
        batches = []

        def end(batch, logs=None, batches=batches):
            batches.append(batch)
            if len(batches) == 5:  # of three an epoch
                raise Killed

        with pytest.raises(Killed):
            fit(model, kind(folder, save_freq=2), keras.callbacks.LambdaCallback(on_train_batch_end=end))
        resumed = mlp()
        resumed.compile("sgd", LOSS)
        histories[kind] = fit(resumed, kind(folder, save_freq=2))
    ours, theirs = histories[Backup], histories[keras.callbacks.BackupAndRestore]
    assert ours.epoch == theirs.epoch == [1, 2, 3]
    np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"])


def test_a_further_fit_starts_at_its_own_beginning(tmp_path):
    with pytest.raises(Killed):
        fit(compiled("plain"), Backup(tmp_path), killed_at(2))
    model = compiled("plain")
    fit(model, Backup(tmp_path))
    assert fit(model, Backup(tmp_path)).epoch == list(range(EPOCHS))


def test_random_state_is_that_of_the_generators_and_layers():
    model = mlp(dropout=0.5)

    def draw():
        return [
            random.random(),
            random.gauss(),
            np.random.random(),  # noqa: NPY002, what is tested
            np.random.standard_normal(),  # noqa: NPY002
            tf.random.get_global_generator().normal(()).numpy(),
            *model(X, training=True).numpy().ravel(),
        ]

    random.gauss(), np.random.standard_normal()  # noqa: NPY002, each leaves the second of a pair
    held = random_state(model)
    first, second = draw(), draw()
    restore_random_state(model, held)
    assert draw() == first and first != second


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(compiled("plain"), Backup(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("options", [{"backup_dir": ""}, {"save_freq": 0}, {"save_freq": "batch"}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be .* Received: "):
        Backup(**{"backup_dir": "backup", **options})


def test_a_model_that_is_not_built(tmp_path):
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", LOSS)
    with pytest.raises(ValueError, match="a backup needs a model that is built before fit"):
        fit(model, Backup(tmp_path))


CHILD = """
import sys
import keras, numpy as np
import mpreg
from mpreg.callbacks import Backup

rng = np.random.default_rng(0)
x, y = rng.normal(size=(400, 20)).astype("float32"), rng.integers(0, 3, 400)
keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(512, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(3, "softmax")]
model = mpreg.AdversarialRegularization(
    keras.Sequential([keras.Input((20,)), *layers]), (x[:100], y[:100]), penalty=1.0
)
model.compile("adam", "sparse_categorical_crossentropy")
began = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: print(epoch, flush=True))
backup = Backup(sys.argv[1] + "/backup")
model.fit(x[100:], y[100:], epochs=30, batch_size=50, shuffle=False, verbose=0, callbacks=[backup, began])
np.savez(sys.argv[1] + "/done.npz", *model.target_model.get_weights())
"""


@pytest.mark.slow
def test_a_training_that_is_really_killed(tmp_path):
    """Six kills, each at a random moment after some epochs."""
    folders = [tmp_path / name for name in ("whole", "broken")]
    draws = random.Random(0)
    for folder, kills in zip(folders, (0, 6), strict=True):
        folder.mkdir()
        for kill in range(kills + 1):
            command = [sys.executable, "-c", CHILD, str(folder)]
            child = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            if kill < kills:
                for _ in range(draws.randint(2, 4)):
                    child.stdout.readline()
                time.sleep(draws.uniform(0, 0.1))
                child.send_signal(signal.SIGKILL)
            _, told = child.communicate(timeout=300)
            assert child.returncode in (0, -signal.SIGKILL), told
    whole, broken = (np.load(folder / "done.npz") for folder in folders)
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], broken[name])
