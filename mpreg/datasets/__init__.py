"""Data sets of the membership-inference literature, and data in files of your own.

    from mpreg import datasets

    data = datasets.load("location30")
    print(data.description)
    data.features.shape, data.labels.max()

    data = datasets.load("patients.csv", label="outcome")  # files of one's own: tables, arrays, pictures
    data.encoding.to_json("encoding.json")

Files of the literature are looked for in the folder named by the environment variable MPREG_DATA_DIR, then in the cache
(`cache_dir`, else MPREG_CACHE_DIR, else `~/.cache/mpreg`), then downloaded into the cache. `digits` and
`purchase100-like` need neither files nor a network. Nothing is ever unpickled, and what is downloaded is kept
only if its hash is right.
"""

import functools
import os
from typing import Any

import numpy as np

from mpreg._registry import Registry
from mpreg.datasets import lookup, synthetic
from mpreg.datasets.dataset import Dataset, Loader, described
from mpreg.datasets.encoding import Encoding
from mpreg.datasets.own import OwnFile, is_own
from mpreg.datasets.registry import KERAS, SPECS

__all__ = ["Dataset", "Encoding", "Loader", "OwnFile", "encode", "load", "loader_of", "names", "register"]

_SYNTHETIC = "purchase100-like"


def names() -> tuple[str, ...]:
    """Returns the names that `load` accepts, in the documented order."""
    return tuple(LOADERS)


def register(loader: Any, *, replace: bool = False):
    """Registers a data set of your own, so that `load` accepts its name; returns the loader.

    Args:
        loader: a `Loader`, or an `OwnFile`.
        replace: whether it may take the place of one of the same name.

    Raises:
        ValueError: the name is taken, or is none.
    """
    return LOADERS.register(_known_as(loader.name), loader, replace=replace)


def loader_of(name):
    """Returns the loader of a data set, a function without arguments.

    Raises:
        ValueError: an unknown name; the message lists all.
    """
    known = _known_as(name)
    if known in LOADERS:
        return LOADERS[known]
    if known in KERAS:
        raise ValueError(f"{name!r} of keras.datasets is not read: {KERAS[known]}")
    raise ValueError(
        f"There is no data set {name!r}. Choose one of: {', '.join(names())}; or the path of a file of your own"
    )


def _known_as(name):
    return name.replace("_", "-") if isinstance(name, str) else name


def load(
    name: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    records: int | None = None,
    seed: int | None = None,
    **own: Any,
) -> Dataset:
    """Loads a data set by name (`-` and `_` are equivalent), or from a file or folder.

    | name | features | classes |
    |---|---|---|
    | `digits` | 1,797 × 64 pixels, from scikit-learn | 10 |
    | `location30` | 5,010 × 446 binary | 30 |
    | `purchase100` | 197,324 × 600 binary | 100 |
    | `texas100` | 67,330 × 6,169 binary | 100 |
    | `adult` | 48,842 × 108: 6 scaled numbers, 102 indicators (`mpreg.datasets.adult.COLUMNS`) | 2 |
    | `cifar10`, `cifar100` | 60,000 × 32 × 32 × 3 pixels, train part first | 10, 100 |
    | `mnist` | 70,000 × 28 × 28 × 1 pixels, train part first | 10 |
    | `purchase100-like` | `records` × 600 binary, synthetic | 100 |

    Train and test parts are joined, because a `MembershipSplit` draws its own. MPREG_DATA_DIR may hold a
    published archive, whose hash is checked, or a `<name>.npz` of your own with the arrays `features` and
    `labels`, which is taken at its word after its shapes and values are checked.

    A file of one's own is `.csv` or `.parquet` (with `label="column"`: text is encoded, see `Encoding`), `.npz` with
    `x` and `y`, `.npy` with `label="labels.npy"`, a folder with a folder of pictures for each class, or one that
    `tf.data.Dataset.save` wrote. Arrays and pictures keep their values.

    Args:
        name: one of `names()`, or a path.
        cache_dir: folder for downloads and for parsed copies of the two slowest archives.
        records: how many records of `purchase100-like` to draw; 60,000 if None.
        seed: seed of `purchase100-like`; 0 if None.
        **own: of a file of one's own `label`, `drop`, `encoding` and `image_size`, as of `OwnFile`.

    Returns:
        A `Dataset`, which also unpacks: `x, y = load(...)`.

    Raises:
        ValueError: if the name is unknown, an option does not apply, or a file is not what it should be, such as a
            table with missing values, which are counted by column.
        ConnectionError: if a download fails; the message says how to do without a network.
        OSError: if a folder cannot be read or written.

    Example:
        data = load("purchase100-like", records=2_000, seed=1)
        data.features.mean()  # the share of the 600 products that a household buys

    Source: Shokri, Stronati, Song and Shmatikov, "Membership Inference Attacks Against Machine Learning
    Models", IEEE S&P 2017, introduced Location-30, Purchase-100 and Texas-100.
    """
    known = _known_as(name)
    if known not in LOADERS and is_own(name):
        _refuse({"cache_dir": cache_dir, "records": records, "seed": seed}, f"the file {str(name)!r}")
        return OwnFile(path=str(name), **own).read()
    loader = loader_of(name)
    _refuse(own, f"the data set {known!r}")
    asked = {option: value for option, value in (("records", records), ("seed", seed)) if value is not None}
    if loader is not _purchase100_like:
        for option, value in asked.items():
            raise ValueError(
                f"{option} applies to {_SYNTHETIC!r} only: {known!r} is loaded whole. "
                f"Received: {option}={value!r}"
            )
    return loader(cache_dir=cache_dir, **asked)


def _refuse(options, what):
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{option} does not go with {what}. Received: {option}={value!r}")


def encode(table: Any, *, label: Any, drop: Any = ()):
    """Encodes a table in memory as a `Dataset`: one-hot categories, scaled numbers, labels as class indices.

    Args:
        table: a DataFrame, or a dict of columns by name.
        label: the column of labels.
        drop: columns to leave out.

    Raises:
        ValueError: missing values, which are counted by column, or as for `Encoding.of`.

    Example:
    ```python
    data = mpreg.datasets.encode(pandas.read_csv("patients.csv"), label="outcome", drop=["name"])
    split = mpreg.MembershipSplit.from_arrays(*data, members=1500, reference=1500, seed=0)
    ```
    """
    encoding = Encoding.of(table, label=label, drop=(drop,) if isinstance(drop, str) else drop)
    return described(
        "table",
        encoding.features(table),
        encoding.labels(table),
        len(encoding.classes),
        "a table in memory",
        encoding=encoding,
        class_names=tuple(map(str, encoding.classes)),
    )


def _from_files(name, *, cache_dir=None):
    spec = SPECS[name]
    features, labels, provenance = lookup.read(name, spec, cache_dir=cache_dir)
    return described(name, features, labels, spec.classes, f"{spec.origin}; {provenance}")


def _purchase100_like(*, cache_dir=None, records=60_000, seed=0):
    features, labels = synthetic.purchase100_like(records=records, seed=seed)
    origin = (
        f"synthetic households shaped like Purchase-100, drawn by mpreg with seed {seed}, nobody's purchases"
    )
    return described(_SYNTHETIC, features, labels, synthetic.CLASSES, origin)


def _digits(*, cache_dir=None):
    from sklearn.datasets import load_digits

    features, labels = load_digits(return_X_y=True)
    origin = "handwritten digits of 8 by 8 pixels (UCI), as shipped with scikit-learn"
    return described("digits", (features / 16).astype(np.float32), labels.astype(np.int64), 10, origin)


LOADERS = Registry("data set")
LOADERS.register("digits", _digits)
for _name in SPECS:
    LOADERS.register(_name, functools.partial(_from_files, _name))
LOADERS.register(_SYNTHETIC, _purchase100_like)
