"""Some of the records that a fit trains on, to measure the target on them."""

import keras
import numpy as np

from mpreg.data import map_arrays


def members_of(x, y, validation_split=0.0):
    """A function of a number: about so many of the records that `fit(x, y)` trains on, a pair of arrays.

    Arrays give evenly spaced records, a `tf.data.Dataset` or `keras.utils.PyDataset` its first batches.
    """
    return lambda count: _some(x, y, count, 1.0 - (validation_split or 0.0))


def _some(x, y, count, share):
    if hasattr(x, "element_spec"):
        return _of_elements(x, count)
    if isinstance(x, keras.utils.PyDataset):
        return _of_elements((x[index] for index in range(x.num_batches)), count)
    if y is None:
        raise ValueError(
            "the training accuracy, which opens and closes the penalty, cannot be measured on a generator, whose "
            f"records come once only. Give fit arrays, a tf.data.Dataset or a PyDataset, or say gap=0. Received: {x!r}"
        )
    records = int(len(y) * share)  # Keras validates on the last ones
    rows = np.unique(np.linspace(0, records - 1, min(count, records)).astype(int))
    return map_arrays(lambda array: np.asarray(array)[rows], x), np.asarray(y)[rows]


def _of_elements(elements, count):
    taken, records = [], 0
    for element in elements:
        x, y = element[:2]
        taken.append((x, y))
        records += len(y)
        if records >= count:
            break
    return keras.tree.map_structure(lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *taken)
