"""Data sets in files of your own: tables, arrays, images and saved `tf.data` datasets."""

import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mpreg._text import listed
from mpreg.data import check_pair, label_indices
from mpreg.datasets.archives import most_bytes, read_npy, read_npz
from mpreg.datasets.columns import read_csv, read_parquet
from mpreg.datasets.conform import conform
from mpreg.datasets.dataset import described
from mpreg.datasets.encoding import Encoding
from mpreg.datasets.pictures import has_pictures, read_pictures

MAX_CLASSES = 1_000_000  # a network has a unit for each, and figures a row, whether a record is of it or not
TABLES = {".csv": read_csv, ".parquet": read_parquet}
KINDS = (
    ".csv and .parquet with label=, .npz with x and y, .npy with label= the file of labels, a folder with a folder of "
    "pictures for each class, a folder that tf.data.Dataset.save wrote"
)


def is_own(name):
    """Returns whether a name is the path of a file or folder rather than a data set's name."""
    if not isinstance(name, str | os.PathLike) or not str(name):
        return False
    path = Path(name)
    return path.suffix in (*TABLES, ".npz", ".npy") or len(path.parts) > 1 or path.exists()


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """Describes a data set in a file or folder of your own, and how to read it.

    Attributes:
        path: the file or folder.
        label: of a table the column of labels, of an `.npy` file the file of labels; None for others.
        drop: columns of a table to leave out.
        encoding: the `Encoding` of a table; None finds one, and `"none"` takes a table of numbers as it is.
        image_size: pixels of height and of width to bring pictures to.
        digest: SHA-256 of what is in it, which is found.

    Raises:
        ValueError: an option that is missing, or that does not go with such a file.
        OSError: there is no such file.
    """

    path: str
    label: str | None = None
    drop: tuple = ()
    encoding: Encoding | str | None = None
    image_size: int | None = None
    digest: str = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "drop", (self.drop,) if isinstance(self.drop, str) else tuple(self.drop))
        path = Path(self.path)
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {str(path)!r}")
        is_table = path.suffix in TABLES
        if self.label is None and (is_table or path.suffix == ".npy"):
            wanted = "the column of labels, as in label='outcome'" if is_table else "the .npy file of labels"
            raise ValueError(f"{path}: say which labels: label= (--label) must name {wanted}")
        for name, given, fits in (
            ("label", self.label, is_table or path.suffix in (".npy", ".npz")),
            ("drop", self.drop or None, is_table),
            ("encoding", self.encoding, is_table),
            ("image_size", self.image_size, path.is_dir()),
        ):
            if given is not None and not fits:
                raise ValueError(f"{name} does not go with {path}. Received: {name}={given!r}")
        object.__setattr__(self, "digest", digest_of_file(path))

    def __call__(self, **_):
        """The `Dataset`, as loaders give it: what is registered by `mpreg.catalogue.OwnData` is read once."""
        return _read_once(self)

    @property
    def name(self):
        """Name of the data set, from its path."""
        name = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in Path(self.path).stem)
        return name.lstrip("._-") or "data"

    def read(self):
        """Reads the file and returns the `Dataset`."""
        path = Path(self.path)
        encoding = names = None
        if path.suffix in TABLES:
            features, labels, encoding = self._table(TABLES[path.suffix](path))
            names = None if encoding is None else encoding.classes
        elif path.suffix == ".npz":
            features, labels = self._npz(path)
        elif path.suffix == ".npy":
            features, labels = read_npy(path), read_npy(self.label)
        elif path.is_dir() and (path / "dataset_spec.pb").exists():
            features, labels = _saved_dataset(path)
        elif path.is_dir() and has_pictures(path):
            features, labels, names = read_pictures(path, size=self.image_size)
        else:
            raise ValueError(f"{path} is no data set that can be read. Can be read: {KINDS}")
        features, labels = _arrays(features, labels, path)
        classes = len(names) if names else int(labels.max()) + 1
        names = None if names is None or names == tuple(range(classes)) else tuple(map(str, names))
        return described(
            self.name,
            features,
            labels,
            classes,
            f"read from {path.name}",
            encoding=encoding,
            class_names=names,
        )

    def _table(self, table):
        for name in (self.label, *self.drop):
            if name not in table:
                raise ValueError(f"{self.path}: there is no column {name!r}. There are: {listed(table)}")
        if self.encoding == "none":
            return *_as_it_is(table, self), None
        encoding = self.encoding or Encoding.of(table, label=self.label, drop=self.drop)
        return encoding.features(table), encoding.labels({encoding.label: table[self.label]}), encoding

    def _npz(self, path):
        arrays = read_npz(path, max_bytes=most_bytes())
        for x, y in (("x", self.label or "y"), ("features", self.label or "labels")):
            if {x, y} <= set(arrays):
                return arrays[x], arrays[y]
        raise ValueError(f"{path} must hold the arrays x and y. Received: {listed(arrays)}")


@functools.lru_cache(maxsize=1)
def _read_once(file):
    return file.read()


def _as_it_is(table, file):
    """Features and labels of a table of numbers."""
    names = [name for name in table if name != file.label and name not in file.drop]
    texts = [name for name in (*names, file.label) if table[name].dtype == object]
    if texts or not names:
        raise ValueError(
            f"{file.path}: {listed(texts, 'nothing')} is text, and takes the encoding that the model was trained "
            "with: --encoding encoding.json, as mpreg.datasets.load(...).encoding.to_json writes it"
        )
    return np.stack([table[name] for name in names], axis=1).astype(np.float32), table[file.label]


def _saved_dataset(path):
    import tensorflow as tf  # nothing else here needs it

    try:
        dataset = tf.data.Dataset.load(str(path))
    except Exception as error:  # a stranger's files can make TensorFlow raise anything
        raise ValueError(f"{path} cannot be read as a saved tf.data.Dataset: {error}") from error
    return check_pair(dataset, str(path))


def _arrays(features, labels, path):
    """One array of numbers, one record a row of at least two axes, and class indices."""
    features, labels = check_pair((features, labels), str(path))
    if not isinstance(features, np.ndarray) or features.ndim < 2:
        raise ValueError(
            f"{path}: features must be one array of shape (records, ...). Received: "
            f"{features.shape if isinstance(features, np.ndarray) else 'several arrays'}"
        )
    features, labels = conform(
        features, label_indices(labels), path, shape=features.shape[1:], classes=None, values="any"
    )
    if labels.max() >= MAX_CLASSES:
        raise ValueError(
            f"{path}: labels must be class indices 0, 1, 2, ..., below {MAX_CLASSES:,}. Received: {labels.max()}"
        )
    return features, labels


def digest_of_file(path):
    """Returns the SHA-256 of a file, or of the names and contents of all files in a folder.

    Raises:
        ValueError: what is neither file nor folder, such as a pipe or a device, which may have no end.
        OSError: a file that cannot be read.
    """
    path, digest = Path(path), hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode("utf-8"))
        if not file.is_dir():
            if file.exists() and not file.is_file():
                raise ValueError(f"{file} is neither a file nor a folder: remove it from the data")
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
