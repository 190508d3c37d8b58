"""Snapshots: a model's weights after some epochs of its training, in memory or in files."""

import io
from pathlib import Path

import numpy as np

from mpreg._files import write_all
from mpreg._validate import short_repr

PATTERN = "epoch-*.npz"


class Snapshots:
    """Stores a model's weights after some epochs.

    Args:
        folder: where they are kept, a file an epoch, `epoch-00005.npz`; None keeps them in memory, which takes as much
            as the model's weights for each.

    Attributes:
        epochs: numbers of the epochs, from 1, ascending.

    Example:
    ```python
    snapshots = Snapshots("snapshots")           # of an earlier run
    mpreg.evaluate(model, split, attacks=[WhiteBoxAttack(snapshots=snapshots[5, 10, 15, 20, 25])])
    ```
    """

    def __init__(self, folder=None):
        self.folder = None if folder is None else Path(folder)
        self._kept = {}
        for path in sorted(self.folder.glob(PATTERN)) if self.folder else ():
            self._kept[int(path.stem.partition("-")[2])] = path

    @property
    def epochs(self):
        return tuple(sorted(self._kept))

    def __len__(self):
        return len(self._kept)

    def __deepcopy__(self, memo):
        return self  # large, and nobody changes what is kept

    def __getitem__(self, epochs):
        """Those of some epochs.

        Raises:
            KeyError: an epoch that was not kept; it lists those that were.
        """
        chosen = epochs if isinstance(epochs, tuple | list) else (epochs,)
        missing = [epoch for epoch in chosen if epoch not in self._kept]
        if missing:
            raise KeyError(f"there is no snapshot of epoch {missing[0]!r}. There are: {list(self.epochs)}")
        part = Snapshots()
        part._kept = {epoch: self._kept[epoch] for epoch in chosen}
        return part

    def keep(self, epoch, weights):
        """Stores the weights after an epoch, a list of arrays, replacing earlier ones."""
        if self.folder is None:
            self._kept[epoch] = [np.array(weight) for weight in weights]
            return
        file = io.BytesIO()
        np.savez(file, *weights)
        (self._kept[epoch],) = write_all(self.folder, {f"epoch-{epoch:05d}.npz": file.getvalue()})

    def weights(self, epoch):
        """Returns the weights after an epoch, a list of arrays.

        Raises:
            KeyError: an epoch that was not kept.
        """
        kept = self[epoch]._kept[epoch]
        if isinstance(kept, list):
            return kept
        with np.load(kept, allow_pickle=False) as file:
            return [file[f"arr_{place}"] for place in range(len(file.files))]

    def turns(self, model):
        """Yields each epoch while the model has its weights, and restores the model's own afterwards.

        Raises:
            ValueError: no snapshots, or snapshots of another model.
        """
        if not self._kept:
            raise ValueError("there are no snapshots: train with the callback that keeps them first")
        own = model.get_weights()
        try:
            for epoch in self.epochs:
                weights = self.weights(epoch)
                if [w.shape for w in weights] != [w.shape for w in own]:
                    raise ValueError(
                        f"the snapshot of epoch {epoch} is of another model: its weights differ in shape"
                    )
                model.set_weights(weights)
                yield epoch
        finally:
            model.set_weights(own)


def check_snapshots(snapshots):
    """Returns `Snapshots` from themselves, a recorder, or None.

    Raises:
        ValueError: anything else.
    """
    found = getattr(snapshots, "snapshots", snapshots)
    if found is not None and not isinstance(found, Snapshots):
        raise ValueError(
            "snapshots must be those of an mpreg.callbacks.SnapshotRecorder, or mpreg.internals.Snapshots. "
            f"Received: {short_repr(snapshots)}"
        )
    return found
