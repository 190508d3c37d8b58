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
            "mpreg.FleetScorer, or any function (x, y, folds) of the probability of each label"
        )
    return np.concatenate([array.reshape(len(array), -1).astype(np.float32) for array in arrays], axis=1)


def scaled(table):
    """Returns columns of two values as 0 and 1, others standardized."""
    low, high = table.min(axis=0), table.max(axis=0)
    binary = ((table == low) | (table == high)).all(axis=0)
    deviation = table.std(axis=0)
    scale = np.where(binary, high - low, deviation)
    return (table - np.where(binary, low, table.mean(axis=0))) / np.where(scale > 0, scale, 1)
