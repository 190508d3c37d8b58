"""Running average of a model's weights over the epochs of a fit."""

import keras
import numpy as np

MIN_EPOCHS = 10  # in fewer, the first epochs would still count for much
HEAD_START = 3  # after t epochs at most t / (t + 3) stays: an epoch counts as the square of its number


class WeightAverage:
    """Averages a model's weights, including those of BatchNormalization; other state is left alone.

    At the end of an epoch a share `keep` of the average stays and the weights of the epoch make up the rest; less stays
    in the first epochs, t / (t + 3) after t of them. So an average of `keep=0.7` looks back some three epochs, and one
    of `keep=0.95` over about the last quarter of up to 60.

    Source: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 1992;
    Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth Optimization: Convergence Results and Optimal
    Averaging Schemes", ICML 2013, whose polynomial decay the first epochs follow.

    Args:
        model: a built Keras model.
        keep: share of the average that stays, at least 0 and below 1.
        state: function `(name, value, dtype, shape)` that makes a variable to keep it in; None keeps it in arrays,
            which no file holds.
    """

    def __init__(self, model, keep, state=None):
        self.keep = keep
        self._weights = [w for w in model.weights if keras.backend.is_float_dtype(w.dtype)]
        state = state or _Array
        self._averages = [
            state(f"average_{index}", 0.0, weight.dtype, weight.shape)
            for index, weight in enumerate(self._weights)
        ]
        self._epochs = state("average_epochs", 0.0)

    @property
    def epochs(self):
        """Number of epochs in the average."""
        return int(np.asarray(self._epochs))

    @property
    def values(self):
        """Returns the average, a list of arrays."""
        return [np.array(average) for average in self._averages]

    def update(self):
        """Adds the current weights to the average."""
        fresh = self.epochs == 0
        keep = min(self.keep, self.epochs / (self.epochs + HEAD_START))
        for weight, average in zip(self._weights, self._averages, strict=True):
            now = keras.ops.convert_to_tensor(weight)
            if not fresh:  # as a step, so that what does not change stays what it is
                before = keras.ops.convert_to_tensor(average)
                now = before + keras.ops.cast(1 - keep, now.dtype) * (now - before)
            average.assign(now)
        self._epochs.assign(self.epochs + 1)

    def forget(self):
        """Resets the average."""
        self._epochs.assign(0)

    def put(self, values=None):
        """Sets the model's weights to the average or other values; returns the previous ones."""
        had = [np.array(keras.ops.convert_to_numpy(weight)) for weight in self._weights]
        for weight, value in zip(self._weights, self.values if values is None else values, strict=True):
            weight.assign(value)
        return had


class _Array:
    """What stands for a variable that no file holds."""

    def __init__(self, name, value, dtype="float32", shape=()):
        self._value = np.full(shape, value, dtype)

    def assign(self, value):
        self._value = np.asarray(value)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._value, dtype)
