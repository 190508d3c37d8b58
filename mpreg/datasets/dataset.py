"""`Dataset`, and `Loader` for data sets of your own."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mpreg.datasets.conform import conform
from mpreg.datasets.encoding import Encoding


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Holds the features, labels and description of a data set.

    Attributes:
        name: the name under which `load` knows it.
        features: one record a row. Binary tables are uint8 of 0 and 1, because as float32 Texas-100 would
            take 1.7 GB: Keras casts each batch. All else of the literature is float32 from 0 to 1; a file of one's
            own stays as it is, but that tables are encoded.
        labels: int64 `(records,)`, from 0 to `classes - 1`.
        classes: how many classes there are.
        description: one line: what it is, how many records, where it comes from, whether it is synthetic.
        encoding: of a table of one's own, the `Encoding` that features and labels are by; else None.
        class_names: a name for each class, where they have names that are no indices; else None.

    Example:
    ```python
    x, y = mpreg.datasets.load("digits")  # the same as data.features, data.labels
    ```
    """

    name: str
    features: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    classes: int
    description: str
    encoding: Encoding | None = field(default=None, repr=False)
    class_names: tuple | None = field(default=None, repr=False)

    def __iter__(self):
        return iter((self.features, self.labels))


def described(name, features, labels, classes, origin, **options):
    """Returns the `Dataset` with a one-line description."""
    shape = " × ".join(f"{size:,}" for size in features.shape[1:])
    description = f"{name}: {len(labels):,} records of {shape} values in {classes} classes; {origin}"
    return Dataset(
        name=name, features=features, labels=labels, classes=classes, description=description, **options
    )


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Describes a data set of your own, which `load` accepts by name once it is registered.

    Attributes:
        name: as `load` takes it.
        read: function without arguments that returns `(features, labels)`: numbers, one record a row of at least two
            axes, and integers from 0 on.
        classes: how many classes there are; None is one more than the largest label.
        origin: what it is and where it comes from, for its description.

    Raises:
        ValueError: a `read` that cannot be called; when it is loaded, arrays that are not as above.

    Example:
    ```python
    datasets.register(Loader(name="baskets", read=read_baskets, origin="our shop's baskets of May"))
    data = datasets.load("baskets")
    ```
    """

    name: str
    read: Callable
    classes: int | None = None
    origin: str = "a data set of one's own"

    def __post_init__(self):
        if not callable(self.read):
            raise ValueError(
                f"read of the data set {self.name!r} must be a function that returns (features, labels). "
                f"Received: {self.read!r}"
            )

    def __call__(self, **_):
        """Reads and checks the data; returns a `Dataset`."""
        features, labels = map(np.asarray, self.read())
        if features.ndim < 2:
            raise ValueError(
                f"{self.name}: features must have the shape (records, ...). Received: {features.shape}"
            )
        shape = features.shape[1:]
        features, labels = conform(
            features, labels, self.name, shape=shape, classes=self.classes, values="any"
        )
        return described(self.name, features, labels, self.classes or int(labels.max()) + 1, self.origin)
