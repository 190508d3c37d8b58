"""Records as one numeric table, for methods that need one."""

import numpy as np

from mpreg.data.records import flatten
from mpreg.data.text import is_text

LARGEST = 1e18  # of a number in a table: the squares of larger ones are infinite as float32
COLUMNS = 256  # looked at together, so that what is computed on the way takes little memory


def as_table(x):
    """Returns records as one numeric table, float32 (n, features): inputs concatenated, images flattened.

    Raises:
        ValueError: text.
    """
    arrays = [np.asarray(array) for array in flatten(x)]
    if any(map(is_text, arrays)):
        raise ValueError(
            "this scorer reads numbers, and the records hold text: give scorer= a model that reads it, such as "
            "mpreg.FleetScorer for mpreg.Screening, or the predict of a trained model for mpreg.PublicScreening"
        )
    with np.errstate(over="ignore"):
        table = np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in arrays], axis=1)
    return np.clip(table, -LARGEST, LARGEST, out=table)


def scaled(table, *, by=None):
    """Returns columns of two values as 0 and 1, others standardized, as in the table `by`; None is the table itself."""
    shift, scale = scaling_of(table if by is None else by)
    moved = table - shift
    return np.divide(moved, scale, out=moved)


def scaling_of(table):
    """What is taken off each column, and what it is divided by then, to scale it: two of (features,)."""
    parts = [_scaling(table[:, at : at + COLUMNS]) for at in range(0, table.shape[1], COLUMNS)]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _scaling(columns):
    low, high = columns.min(axis=0), columns.max(axis=0)
    binary = ((columns == low) | (columns == high)).all(axis=0)
    scale = np.where(binary, high - low, columns.std(axis=0))
    return np.where(binary, low, columns.mean(axis=0)), np.where(scale > 0, scale, np.float32(1))
