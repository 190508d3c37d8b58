"""Records as one numeric table, for methods that need one."""

import numpy as np

from mpreg.data.records import flatten
from mpreg.data.text import is_text


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
    return np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in arrays], axis=1)


def scaled(table, *, by=None):
    """Returns columns of two values as 0 and 1, others standardized, as in the table `by`; None is the table itself."""
    by = table if by is None else by
    low, high = by.min(axis=0), by.max(axis=0)
    binary = ((by == low) | (by == high)).all(axis=0)
    scale = np.where(binary, high - low, by.std(axis=0))
    return (table - np.where(binary, low, by.mean(axis=0))) / np.where(scale > 0, scale, 1)
