"""Random records, and records with features changed at random."""

import numpy as np

from mpreg._validate import check_count, short_repr


class Randomize:
    """Draws and changes records at random, given the values that features can take.

    Features of two values are flipped where they change; others are drawn anew between their limits.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section V-C,
    the RANDRECORD of Algorithm 1.

    Args:
        shape: shape of a record.
        low, high: least and greatest value of each feature, a number or an array of this shape.
        whole: whether features take whole numbers only, a bool or an array of them of this shape.
        dtype: NumPy type of the records.

    Raises:
        ValueError: limits or a shape that do not fit each other, or `low` above `high`.

    Example:
    ```python
    bits = Randomize((600,), whole=True)                     # 0 or 1
    pixels = Randomize((32, 32, 3), high=1.0)
    table = Randomize((3,), low=[18, 0, 0], high=[99, 1, 2.5], whole=[True, True, False])
    ```
    """

    def __init__(self, shape, *, low=0.0, high=1.0, whole=False, dtype=np.float32):
        self.shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        for size in self.shape or (None,):
            check_count("each size in shape", size, 1)
        self.low, self.high = (
            _limits(name, limits, self.shape) for name, limits in (("low", low), ("high", high))
        )
        self.whole = _spread("whole", whole, bool, self.shape)
        self.dtype = np.dtype(dtype)
        if (self.low > self.high).any():
            raise ValueError(
                f"low must not be above high for any feature. Received: low={short_repr(low)}, high={short_repr(high)}"
            )
        self._flips = self.whole & (self.high - self.low == 1)

    @classmethod
    def like(cls, x):
        """Returns a `Randomize` with the limits of records `x`, (n, ...): by column for tables, overall for others."""
        x = check_numbers(x)
        axes = (0,) if x.ndim == 2 else None
        whole = (x == np.floor(x)).all(axis=axes)
        return cls(x.shape[1:], low=x.min(axis=axes), high=x.max(axis=axes), whole=whole, dtype=x.dtype)

    def draw(self, count, rng):
        """Returns random records, (count, ...), each feature uniform and independent."""
        values = self.low + (self.high - self.low + self.whole) * rng.random((count, *self.shape))
        values = np.where(self.whole, np.floor(values), values)
        return np.minimum(values, self.high).astype(self.dtype)  # rounding may step past the upper limit

    def change(self, x, features, rng):
        """Returns copies of records `x` with `features` features of each changed at random.

        Args:
            x: records, (n, ...).
            features: how many to change, a whole number or one a record, (n,); more than there are means all.
            rng: a NumPy generator.
        """
        chosen = choose_features(np.broadcast_to(features, len(x)), int(np.prod(self.shape)), rng).reshape(
            x.shape
        )
        fresh = self.low + self.high - x
        if not self._flips.all():
            fresh = np.where(self._flips, fresh, self.draw(len(x), rng))
        return np.where(chosen, fresh.astype(self.dtype), x)


def choose_features(counts, features, rng):
    """Draws a number of features of each record: bool (n, features)."""
    counts = np.minimum(counts, features)
    keys = rng.random((len(counts), features))
    wanted = np.unique(counts[counts > 0]) - 1
    if not len(wanted):
        return np.zeros(keys.shape, bool)
    # The largest key that is still chosen, one a record; there are few different counts, so no full sort.
    last = np.partition(keys, wanted, axis=1)[np.arange(len(keys)), counts - 1]
    return (keys <= last[:, None]) & (counts > 0)[:, None]


def check_numbers(x):
    """Checks and returns records as one numeric array.

    Raises:
        ValueError: they are not one array of numbers, (n, ...), or there are none.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "biuf" or x.ndim < 2 or 0 in x.shape:
        raise ValueError(
            "records must be one array of numbers, (n, ...), with at least one record. "
            f"Received: shape {x.shape}, type {x.dtype}"
        )
    return x


def _limits(name, values, shape):
    values = _spread(name, values, np.float64, shape)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite. Received: {name}={short_repr(values)}")
    return values


def _spread(name, values, dtype, shape):
    try:
        return np.broadcast_to(np.asarray(values, dtype), shape)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be one value or one a feature, shape {shape}. Received: {short_repr(values)}"
        ) from error
