"""Altered copies of records on which a student learns its teachers' predictions."""

from typing import Any

import numpy as np

from mpreg._validate import check_count, check_number
from mpreg.data.records import flatten, map_arrays


class Erased:
    """Yields copies of records in which a random share of the features is set to 0.

    For features that are 0 where nothing is known, such as a person's visits or purchases.

    Args:
        most: the largest share of features that is erased, above 0 and below 1; shares are drawn evenly below it.
        copies: number of copies, at least 1.
        seed: non-negative integer of the draw.

    Raises:
        ValueError: an argument out of range.

    Example:
    ```python
    model = mpreg.SplitDistillation(build_and_compile, copies=mpreg.ensembles.Erased(0.6, copies=8))
    ```
    """

    def __init__(self, most: float = 0.6, *, copies: int = 8, seed: int = 0):
        check_number("most", most, above=0, below=1, what="above 0 and below 1")
        check_count("copies", copies, 1)
        check_count("seed", seed, 0)
        self.most, self.copies, self.seed = most, copies, seed

    def __call__(self, x: Any):
        rng = np.random.default_rng(self.seed)
        shares = rng.random((self.copies, len(flatten(x)[0]))) * self.most
        for share in shares:
            yield map_arrays(lambda array, share=share: _erase(array, share, rng), x)


def join_copies(copies, x):
    """Returns all copies of records concatenated, and their number.

    Raises:
        ValueError: there are none, or copies of other shapes than the records'.
    """
    found = list(copies(x))
    shapes = [array.shape for array in flatten(x)]
    for copy in found:
        if [np.shape(array) for array in flatten(copy)] != shapes:
            raise ValueError(
                f"copies must yield all records, altered, each time: arrays of shapes {shapes}. Received shapes "
                f"{[np.shape(array) for array in flatten(copy)]}"
            )
    if not found:
        raise ValueError("copies must yield at least one altered copy of the records. Received none")
    columns = iter([np.concatenate(column) for column in zip(*map(flatten, found), strict=True)])
    dtypes = iter([array.dtype for array in flatten(x)])
    return map_arrays(lambda _: next(columns).astype(next(dtypes), copy=False), x), len(found)


def _erase(array, share, rng):
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"only features that are numbers can be erased. Received: type {array.dtype}. Give copies a function of "
            "the records that yields altered ones"
        )
    kept = rng.random(array.shape, np.float32) >= share.reshape(-1, *[1] * (array.ndim - 1))
    return array * kept.astype(array.dtype)
