"""A privacy budget: reports the epsilon spent each epoch and stops training before it is exceeded."""

import keras

from mpreg.private import DPSGD
from mpreg.private.accounting import check_delta, check_epsilon, steps_within, warn_of_delta


class PrivacyBudget(keras.callbacks.Callback):
    """Adds `epsilon` to `logs` each epoch, and stops a `DPSGD` before its budget is exceeded.

    `epsilon` is what all training of the model has cost so far at `delta`, the smaller of the bounds by Renyi
    differential privacy and by privacy loss distributions; `epsilon_rdp` is the former alone. Steps count whose weights
    were put back since, such as by `EarlyStopping(restore_best_weights=True)`. Training ends within an epoch where the
    next step would exceed the budget. The number of steps that fit is found ahead, in a few seconds.

    Put it ahead of callbacks that use its keys.

    Args:
        epsilon, delta: the budget, of all training of the model.

    Raises:
        ValueError: a budget out of range; at the start of training, one that is spent already.
        TypeError: at the start of training, a model that is not a `DPSGD`.

    Example:
    ```python
    model.fit(mpreg.poisson_batches(x, y, batch_size=128), epochs=100, callbacks=[PrivacyBudget(epsilon=8, delta=1e-5)])
    ```
    """

    def __init__(self, *, epsilon: float, delta: float):
        super().__init__()
        check_epsilon(epsilon)
        check_delta(delta)
        self.epsilon, self.delta = epsilon, delta

    def on_train_begin(self, logs=None):
        model = self.model
        if not isinstance(model, DPSGD):
            raise TypeError(
                f"PrivacyBudget counts the noisy steps of an mpreg.DPSGD; wrap the model in one. Received: {model!r}"
            )
        warn_of_delta(self.delta, model.sampling)
        self._begin()

    def on_train_batch_begin(self, batch, logs=None):
        if self._changed():
            self._begin()

    def on_train_batch_end(self, batch, logs=None):
        if self._changed():
            self._look_ahead()
        if self.model.noisy_steps + self.model.steps_per_execution > self._last:
            self.model.stop_training = True

    def _begin(self):
        self._look_ahead()
        steps = self.model.steps_per_execution
        if self.model.noisy_steps + steps > self._last:
            spent = self.model.privacy_spent(self.delta).epsilon
            raise ValueError(
                f"the budget does not allow another {steps} steps: of epsilon={self.epsilon!r} at "
                f"delta={self.delta!r}, {spent:.4g} is spent"
            )

    def _changed(self):
        """Whether steps were booked, or cost, otherwise than was foreseen.

        Another callback may have loaded a file or trained on batches of its own, or a batch held a record twice.
        """
        return (self.model.ledger.elsewhere, self.model.sampling) != self._foreseen

    def _look_ahead(self):
        """Finds the last step that fits."""
        model = self.model
        self._foreseen = model.ledger.elsewhere, model.sampling
        budget = {"epsilon": self.epsilon, "delta": self.delta}
        left = steps_within(model.privacy_history(), model.sampling, model.noise_multiplier, **budget)
        self._last = model.noisy_steps + left

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            cost = self.model.privacy_spent(self.delta)
            logs.update({"epsilon": cost.epsilon, "epsilon_rdp": cost.rdp})
