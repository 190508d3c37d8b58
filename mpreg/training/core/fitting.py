"""Support for parts in `fit`: access to some training records, and callbacks of their own."""

import math

import keras
import numpy as np

from mpreg.data import evenly_spaced, map_arrays, take


def fit_with(controls, fit, bound):
    """Calls a bound `fit` with more callbacks, before the caller's."""
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


class Members:
    """Gives access to the records of `fit`: calling it with a number returns about that many, as arrays.

    Arrays give evenly spaced records, a `tf.data.Dataset` or `keras.utils.PyDataset` its first batches. Those of sample
    weight 0 are left out, as padding is no member.

    Args:
        x, y, sample_weight, validation_split, batch_size, steps_per_epoch: as `fit` was given them.
    """

    def __init__(
        self, x, y, *, sample_weight=None, validation_split=0.0, batch_size=None, steps_per_epoch=None
    ):
        self._x, self._y, self._weight = x, y, sample_weight
        self._share = 1.0 - (validation_split or 0.0)
        self._batch_size, self._steps = batch_size, steps_per_epoch

    def __call__(self, count):
        elements = self._elements()
        if elements is not None:
            return _joined(elements, count)[0]
        x, y = self._arrays()
        return take((x, y), evenly_spaced(len(y), count))

    def all(self):
        """Returns `((x, y), batch size)`: all records, or those of one epoch of a dataset."""
        elements = self._elements()
        if elements is not None:
            return _joined(elements, math.inf)
        return self._arrays(), self._batch_size or 32

    def _elements(self):
        """The batches of an epoch of a dataset; None for arrays."""
        if hasattr(self._x, "element_spec"):
            return self._x.take(self._steps) if self._steps else self._x
        if isinstance(self._x, keras.utils.PyDataset):
            return (self._x[index] for index in range(self._steps or self._x.num_batches))
        return None

    def _arrays(self):
        """Without those that Keras validates on, which are the last ones."""
        if self._y is None:
            raise ValueError(
                "the records in training cannot be read ahead from a generator, which yields them once only. "
                f"Give fit arrays, a tf.data.Dataset or a PyDataset. Received: {self._x!r}"
            )
        first = slice(int(len(self._y) * self._share))
        pair = take((map_arrays(np.asarray, self._x), np.asarray(self._y)), first)
        return _of_weight(pair, None if self._weight is None else np.asarray(self._weight)[first])


def _joined(elements, count):
    """The records of so many batches that they are `count` or more, and the size of the first batch."""
    taken, sizes = [], []
    for element in elements:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(element)
        sizes.append(len(y))
        taken.append(_of_weight(keras.tree.map_structure(np.asarray, (x, y)), weights))
        if sum(len(own) for _, own in taken) >= count:
            break
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *taken), sizes[0]


def _of_weight(pair, weights):
    """The records of a pair whose weight is a number other than 0; all where there are no weights."""
    if weights is None:
        return pair
    (weights,) = keras.tree.flatten(weights)
    weights = np.asarray(weights).reshape(-1)
    return take(pair, np.isfinite(weights) & (weights != 0))
