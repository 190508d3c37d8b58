"""Snapshots of a training run, for attackers who watch it, such as the server of a federation."""

import os
from typing import Any

import keras
import numpy as np

from mpreg._validate import check_count, short_repr
from mpreg.data import check_pair
from mpreg.internals import Snapshots
from mpreg.signals import predict


class SnapshotRecorder(keras.callbacks.Callback):
    """Stores the classifier's weights, or its predictions for given records, after chosen epochs.

    Of a wrapper of mpreg it keeps those of the classifier inside. Epochs are counted from 1 and on from one `fit` to
    the next, as `initial_epoch` says. Memory grows with the number of epochs, and with nothing else.

    Args:
        epochs: their numbers, such as `range(5, 26, 5)`; None keeps every epoch.
        records: a pair `(x, y)` whose answers are kept in place of weights, (n, classes) an epoch; None keeps weights.
        folder: of this training alone, where weights are kept as files, so that a stopped run goes on; None keeps them
            in memory.

    Attributes:
        snapshots: `mpreg.internals.Snapshots`, for `WhiteBoxAttack` and `TrajectoryAttack`.
        answers: the model's predictions by epoch, where `records` are given.

    Raises:
        ValueError: epochs that are no numbers from 1, records that are no pair, or records and a folder together.

    Example:
    ```python
    recorder = mpreg.callbacks.SnapshotRecorder(epochs=(5, 10, 15, 20, 25))
    model.fit(*split.members, epochs=25, callbacks=[recorder])
    mpreg.evaluate(model, split, attacks=[mpreg.attacks.WhiteBoxAttack(snapshots=recorder.snapshots)])
    ```
    """

    def __init__(
        self, epochs: Any = None, *, records: Any = None, folder: str | os.PathLike[str] | None = None
    ):
        super().__init__()
        if epochs is not None:
            if not hasattr(epochs, "__iter__") or isinstance(epochs, str):
                raise ValueError(f"epochs must be numbers of epochs, from 1. Received: {short_repr(epochs)}")
            epochs = {check_count("epochs", int(e) if isinstance(e, np.integer) else e, 1) for e in epochs}
        if records is not None and folder is not None:
            raise ValueError(f"answers to records are kept in memory. Remove folder={folder!r}, or records")
        self.epochs: set[int] | None = epochs
        self.answers: dict[int, Any] = {}
        self.records = None if records is None else check_pair(records, "records")
        self.snapshots = Snapshots(folder)

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        if self.epochs is not None and number not in self.epochs:
            return
        model = getattr(self.model, "target_model", self.model)
        if self.records is None:
            self.snapshots.keep(number, model.get_weights())
        else:
            self.answers[number] = predict(model, self.records[0])
