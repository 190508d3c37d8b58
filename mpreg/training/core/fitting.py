"""What parts need of `fit` beside its steps: some of the records it trains on, and callbacks of their own."""

import keras
import numpy as np

from mpreg.data import evenly_spaced, map_arrays, take


def fit_with(controls, fit, bound):
    """Calls a bound `fit` with more callbacks, ahead of the caller's."""
    callbacks = bound.arguments.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks[:0] = controls
        try:
            return fit(*bound.args, **bound.kwargs)
        finally:
            for control in controls:
                callbacks.callbacks.remove(control)
    bound.arguments["callbacks"] = [*controls, *keras.tree.flatten(callbacks or [])]
    return fit(*bound.args, **bound.kwargs)


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
    return take((map_arrays(np.asarray, x), np.asarray(y)), evenly_spaced(records, count))


def _of_elements(elements, count):
    taken, records = [], 0
    for element in elements:
        x, y = element[:2]
        taken.append((x, y))
        records += len(y)
        if records >= count:
            break
    return keras.tree.map_structure(lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *taken)
