"""A setting of files of one's own: a data set, and the network of a saved model or one that suits the records."""

import dataclasses
import functools
import warnings

import keras
import numpy as np
from keras import layers

from mpreg import datasets
from mpreg._validate import check_count
from mpreg.audit.saved_model import load_model
from mpreg.catalogue.networks import small_cnn, small_mlp
from mpreg.catalogue.registries import SETTINGS
from mpreg.catalogue.setting import Setting
from mpreg.catalogue.trained_by import TrainedBy
from mpreg.classifiers.like_target import clones_of
from mpreg.data.duplicates import digest_records, first_equal
from mpreg.datasets.own import OwnFile, digest_of_file
from mpreg.datasets.rows import write_rows

MEMBERS, REFERENCE = 0.4, 0.3  # of the different records; the rest are non-members
FEWEST = 60  # different records
LEARNING_RATE, EPOCHS, BATCH_SIZE = 1e-3, 30, 64
WIDE = 10.0  # values beyond it are scaled within the network


@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnData:
    """Files of one's own as a setting, which commands know by the data's name once it is registered.

    Attributes:
        file: an `mpreg.datasets.OwnFile`.
        model: a `.keras` file, whose layers are trained anew, by the optimizer and the loss that it was compiled with;
            None takes a small network that suits the records.
        members, reference: records a role; None takes 40 and 30 % of the different records.
        epochs, batch_size: of all trainings.

    Raises:
        ValueError: when it is registered, too few records, or a model that does not fit them.
        OSError: then, a file that cannot be read.

    Example:
    ```python
    file = mpreg.datasets.OwnFile(path="patients.csv", label="outcome")
    setting = mpreg.catalogue.load_plugin(mpreg.catalogue.OwnData(file=file))
    ```
    """

    file: OwnFile
    model: str | None = None
    members: int | None = None
    reference: int | None = None
    epochs: int = EPOCHS
    batch_size: int = BATCH_SIZE

    def register(self):
        """Adds the data set and the `Setting`, in place of those of the same file before; returns the latter."""
        name = self.file.name
        if name in datasets.LOADERS and not isinstance(datasets.LOADERS[name], OwnFile):
            name = f"own-{name}"
        setting = self.setting(name)
        datasets.LOADERS.register(name, self.file, replace=True)
        return SETTINGS.register(name, setting, replace=True)

    def setting(self, name):
        """The `Setting`, which draws what is registered under the name."""
        data = self.file()
        network, trained_by = self._network(data)
        return Setting(
            dataset=name,
            **self._roles(data),
            network=network,
            trained_by=trained_by,
            learning_rate=LEARNING_RATE if trained_by is None else trained_by.learning_rate,
            epochs=self.epochs,
            batch_size=self.batch_size,
        )

    def _roles(self, data):
        """Records a role, so that some are left as non-members."""
        records = len(np.unique(first_equal(digest_records(data.features))))
        if records < FEWEST:
            raise ValueError(
                f"{self.file.path} holds {records} different records; there must be at least {FEWEST} to train on some "
                "and measure on others"
            )
        members = self.members or int(MEMBERS * records)
        reference = int(REFERENCE * records) if self.reference is None else self.reference
        check_count("members", members, 1)
        if members + reference >= records:
            raise ValueError(
                f"members and reference must leave non-members among the {records:,} different records of "
                f"{self.file.path}. Received: members={members}, reference={reference}"
            )
        return {"members": members, "reference": reference}

    def _network(self, data):
        if self.model is None:
            return suited_to(data), None
        network = SavedNetwork(path=str(self.model), digest=digest_of_file(self.model))
        network(data.features.shape[1:], data.classes, 0)  # one that does not fit is refused now
        return network, TrainedBy.from_model(_loaded(network))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedNetwork:
    """The network of a saved model, with fresh weights; those of frozen layers are kept.

    Attributes:
        path: of the `.keras` file.
        digest: of its bytes.
    """

    path: str
    digest: str

    def __call__(self, shape, classes, seed):
        """A fresh classifier for records of a shape.

        Raises:
            ValueError: the model takes other records, or has fewer answers than there are classes.
        """
        model = _loaded(self)
        _check_fits(self.path, model, shape, classes)
        keras.utils.set_random_seed(seed)
        return clones_of(model)()


@functools.lru_cache(maxsize=1)
def _loaded(network):
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Skipping variable loading for optimizer"
        )  # it is not gone on with
        model = load_model(network.path, compiled=True)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{network.path} must have one input and one output. Received: {len(model.inputs)} inputs, "
            f"{len(model.outputs)} outputs. Such a model is audited by its predictions: --member-predictions"
        )
    if not getattr(model, "compiled", False):
        model.compile("adam", TrainedBy.from_model(model).loss)
    return model


def _check_fits(path, model, shape, classes):
    wanted, answers = model.input_shape[1:], model.output_shape[1:]
    if len(wanted) != len(shape) or any(w not in (None, s) for w, s in zip(wanted, shape, strict=True)):
        raise ValueError(
            f"{path} takes records of shape {wanted}, but the data's have {tuple(shape)}. A table that was encoded "
            "otherwise can be saved as arrays: numpy.savez('data.npz', x=x, y=y)"
        )
    if len(answers) != 1 or (answers[0] < classes and (answers[0], classes) != (1, 2)):
        raise ValueError(f"{path} gives answers of shape {answers}, but the data has {classes} classes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suited:
    """A small network for tables or pictures.

    Attributes:
        mean, variance: of the columns of a table whose numbers are far from 0; () where it is scaled.
        rescaled: whether pixels from 0 to 255 are brought to 0 to 1.
    """

    mean: tuple = ()
    variance: tuple = ()
    rescaled: bool = False

    def __call__(self, shape, classes, seed):
        """A fresh classifier."""
        if len(shape) == 3:
            model, first = small_cnn(input_shape=shape, classes=classes, seed=seed), layers.Rescaling(1 / 255)
        else:
            model = small_mlp(features=shape[0], classes=classes, seed=seed)
            first = (
                layers.Normalization(mean=list(self.mean), variance=list(self.variance))
                if self.mean
                else None
            )
        if first is None or (len(shape) == 3 and not self.rescaled):
            return model
        return keras.Sequential([keras.Input(shape), first, *model.layers])


def write_beside(out, setting, data, *, seed):
    """Writes what a model of one's own data needs beside it: `encoding.json` of a table, and `split.npz`.

    Args:
        out: the folder, which is there.
        setting: a `Setting`; nothing is written where it is not of a file of one's own.
        data: its data.
        seed: of the split.
    """
    file = datasets.loader_of(setting.dataset)
    if not isinstance(file, OwnFile):
        return
    if data.encoding is not None:
        data.encoding.to_json(out / "encoding.json")
    write_rows(out / "split.npz", setting.rows(data, seed), digest=file.digest)


def suited_to(data):
    """The `Suited` network for a data set.

    Raises:
        ValueError: records that are neither rows of a table nor pictures.
    """
    x = data.features
    if x.ndim == 4:
        return Suited(rescaled=bool(x.dtype == np.uint8 or np.abs(x).max() > WIDE))
    if x.ndim != 2:
        raise ValueError(
            f"no network is there for records of shape {x.shape[1:]}: give one, with --model MODEL.keras"
        )
    if np.abs(x).max() <= WIDE or data.encoding is not None:
        return Suited()
    variance = np.maximum(x.var(axis=0, dtype=np.float64), 1e-12)
    return Suited(
        mean=tuple(map(float, x.mean(axis=0, dtype=np.float64))), variance=tuple(map(float, variance))
    )
