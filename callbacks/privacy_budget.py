"""A privacy budget: what is spent, each epoch, and an end before it is exceeded."""

import keras

from mpreg.private import DPSGD
from mpreg.private.accounting import check_delta, check_epsilon, steps_within


class PrivacyBudget(keras.callbacks.Callback):
    """Adds `epsilon` to `logs` each epoch, and stops a `DPSGD` before its budget is exceeded.

    `epsilon` is what all training of the model has cost so far at `delta`, the smaller of the bounds by Renyi
    differential privacy and by privacy loss distributions; `epsilon_rdp` is the former alone. Training ends within an
    epoch where the next step would exceed the budget. The number of steps that fit is found ahead, in a few seconds.

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

    def __init__(self, *, epsilon, delta):
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
        history = model.privacy_history()
        left = steps_within(
            history, model.sampling, model.noise_multiplier, epsilon=self.epsilon, delta=self.delta
        )
        if left < model.steps_per_execution:
            spent = model.privacy_spent(self.delta).epsilon
            raise ValueError(
                f"the budget does not allow another {model.steps_per_execution} steps: of epsilon={self.epsilon!r} at "
                f"delta={self.delta!r}, {spent:.4g} is spent"
            )
        self._last = int(model.noisy_steps.numpy()) + left

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.noisy_steps.numpy()) + self.model.steps_per_execution > self._last:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            cost = self.model.privacy_spent(self.delta)
            logs.update({"epsilon": cost.epsilon, "epsilon_rdp": cost.rdp})
