"""A training backup that stays usable if the process is killed at any moment."""

import json
import os
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mpreg._files import whole_folder
from mpreg._validate import check_count
from mpreg.datasets.archives import most_bytes, read_npz

WEIGHTS, PLACE, RANDOM = "backup.weights.h5", "place.json", "random.npz"
PREFIX = "backup-"
SEED = "seed_generator_state"  # the name that Keras gives to the state of a layer's random numbers


class Backup(keras.callbacks.Callback):
    """Saves a running training and resumes it after a kill, in place of Keras' `BackupAndRestore`.

    Same arguments, by name, and same semantics: the state is saved at the end of each epoch, or every `save_freq`
    batches; the next `fit` with the same `backup_dir` resumes the interrupted epoch; when `fit` ends, the backup is
    deleted. Keras overwrites its last good file, so that a kill while writing leaves an unreadable one. Here each
    backup is written to disk beside the last one, and replaces it by one renaming.

    The backup contains the weights, the optimizer, the state of a wrapper (inference network, penalty, warm-up, draws
    and averages), the ledger of `DPSGD`, and the random state of the model's layers, of Python, of NumPy's global
    generator and of TensorFlow. Steps after the last backup are lost together with their weights, and so are their
    entries in the ledger. With records in a fixed order and `save_freq="epoch"`, a resumed training ends with the
    weights of an undisturbed one. State inside `fit` is not restored: the order of shuffled records, the memory of
    other callbacks (the patience of `EarlyStopping`, the network of `AdversarialTraining`, the best epoch that a game
    returns to after a collapse) and the position in a reference `tf.data.Dataset`; `DPSGD` without a seed draws new
    noise.

    Place it before callbacks that read the model when training begins, such as `PrivacyBudget`, and after those that
    change it when an epoch ends, such as `PrivacyTarget`.

    Args:
        backup_dir: folder of this training alone, on a local disk; made where it is not there.
        save_freq: `"epoch"`, or a number of batches between backups.
        double_checkpoint: whether the backup before the last is kept too, for a last one that the disk has lost.
        delete_checkpoint: whether the backups are deleted when training ends.

    Raises:
        ValueError: an empty `backup_dir`, or a `save_freq` that is neither; at the start of training, a model that is
            not built, a backup of another model, or one that cannot be read and no other.

    Example:
    ```python
    backup = mpreg.callbacks.Backup("backup/advreg")
    model.fit(*split.members, epochs=30, callbacks=[backup, PrivacyMeter(split)])
    ```
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        *,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ValueError(f"backup_dir must be the path of a folder. Received: backup_dir={backup_dir!r}")
        if save_freq != "epoch":
            check_count("save_freq", save_freq, 1, what='"epoch" or a whole number of batches, at least 1')
        self.backup_dir = Path(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._epoch, self._last_batch, self._unsaved = 0, -1, 0

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                "a backup needs a model that is built before fit: call it on a batch of records first. "
                f"Received: {self.model!r}"
            )
        self._unsaved = 0
        self.model._initial_epoch = None  # where Keras' fit looks, and what an interrupted one may have left
        failed = None
        for folder in reversed(self._backups()):
            try:
                return self._restore(folder)
            except (OSError, KeyError, ValueError, TypeError, RuntimeError) as fault:
                failed = failed or (folder, fault)
        if failed:
            folder, error = failed
            raise ValueError(
                f"{folder} cannot be taken up: it is of another model or damaged. Build and compile the same model, or "
                f"delete it to start anew: {error}"
            ) from error

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._last_batch = epoch, -1

    def on_train_batch_end(self, batch, logs=None):
        self._unsaved += batch - self._last_batch  # more than one at a time with steps_per_execution
        self._last_batch = batch
        if self.save_freq != "epoch" and self._unsaved >= self.save_freq:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def on_train_end(self, logs=None):
        self.model._initial_epoch = None
        if self.delete_checkpoint and self.backup_dir.exists():
            self._remove(self._backups())
            self._clear()
            if not any(self.backup_dir.iterdir()):
                self.backup_dir.rmdir()

    def _backups(self):
        """The folders of whole backups, the oldest first."""
        return sorted(self.backup_dir.glob(f"{PREFIX}*"))

    def _save(self, epoch, batch):
        self._unsaved = 0
        self._clear()
        earlier = self._backups()
        number = int(earlier[-1].name.removeprefix(PREFIX)) + 1 if earlier else 0
        with whole_folder(self.backup_dir / f"{PREFIX}{number:09d}") as part:
            self.model.save_weights(part / WEIGHTS)
            np.savez(part / RANDOM, **random_state(self.model))
            (part / PLACE).write_text(json.dumps({"epoch": epoch, "batch": batch}), "utf-8")
        self._remove(earlier[:-1] if self.double_checkpoint else earlier)

    def _restore(self, folder):
        place = json.loads((folder / PLACE).read_text("utf-8"))
        state = read_npz(folder / RANDOM, max_bytes=most_bytes())
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self.model.load_weights(folder / WEIGHTS)
        restore_random_state(self.model, state)
        self.model._initial_epoch = place["epoch"]

    def _clear(self):
        """Deletes what a kill has left half written or half deleted."""
        for left in self.backup_dir.glob(f".{PREFIX}*.part"):
            shutil.rmtree(left)

    def _remove(self, folders):
        for folder in folders:
            # Half deleted, it must not be taken for a backup.
            hidden = folder.with_name(f".{folder.name}.part")
            os.replace(folder, hidden)
            shutil.rmtree(hidden)


def random_state(model):
    """Returns the state of a model's random layers and of the global generators, as arrays by name."""
    version, words, gauss = random.getstate()
    _, keys, place, has_gauss, cached = np.random.get_state()  # noqa: NPY002, the global one
    return {
        "python": np.array([version, *words], np.uint64),
        "python_gauss": np.array([] if gauss is None else [gauss]),
        "numpy": keys,
        "numpy_place": np.array([place, has_gauss]),
        "numpy_gauss": np.array(cached),
        "tensorflow": tf.random.get_global_generator().state.numpy(),
        **{f"layer_{at}": keras.ops.convert_to_numpy(seed) for at, seed in enumerate(_seeds(model))},
    }


def restore_random_state(model, state):
    """Restores what `random_state` returned.

    Raises:
        ValueError: it is of a model with other random layers.
    """
    seeds = _seeds(model)
    held = sum(name.startswith("layer_") for name in state)
    if held != len(seeds):
        raise ValueError(f"it holds the state of {held} random layers, but the model has {len(seeds)}")
    version, *words = state["python"].tolist()
    gauss = state["python_gauss"].tolist()
    random.setstate((version, tuple(words), gauss[0] if gauss else None))
    place, has_gauss = state["numpy_place"].tolist()
    np.random.set_state(("MT19937", state["numpy"], place, has_gauss, float(state["numpy_gauss"])))  # noqa: NPY002
    tf.random.get_global_generator().reset(state["tensorflow"])
    for at, seed in enumerate(seeds):
        seed.assign(state[f"layer_{at}"])


def _seeds(model):
    return [variable for variable in model.variables if variable.name == SEED]
