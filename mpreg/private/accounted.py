"""Privacy accounting of a model: its ledger and statements, kept in files and copies."""

import keras

from mpreg.private import accounting
from mpreg.private.budget import Budget
from mpreg.private.ledger import Ledger
from mpreg.private.statement import write_statement
from mpreg.training.core.wrapping import Wrapper


class Accounted(Wrapper):
    """Base class of wrappers whose noisy steps are counted permanently, whatever happens to the weights.

    Loading weights or a model takes over the history that was saved with them; restoring, averaging or setting weights
    changes nothing in it. A copy made from the configuration, such as `keras.models.clone_model`'s, has the history up
    to then, as it may be given the weights too.

    Args:
        target: the model whose weights the steps change.
        noise_multiplier: of every step.
        delta: delta of the statements, or None.
        name: name of the wrapper.

    Raises:
        ValueError: a delta out of range.
    """

    def __init__(self, target, *, noise_multiplier, delta, name):
        if delta is not None:
            accounting.check_delta(delta)
        super().__init__(target, name=name)
        self.delta = delta
        self.ledger = Ledger(float(noise_multiplier), target=target)
        self.budget = None

    @property
    def noise_multiplier(self):
        """Standard deviation of the noise as a multiple of the clip norm."""
        return self.ledger.noise_multiplier

    @property
    def sampling(self):
        """The `Sampling` of the batches of the `fit` in progress."""
        return self.ledger.charged

    @property
    def noisy_steps(self):
        """Number of noisy steps so far."""
        return self.ledger.steps

    def privacy_history(self):
        """Returns the noisy steps so far, a list of `Segment`s: sampling, noise and number of steps."""
        return self.ledger.history()

    def privacy_spent(self, delta=None):
        """Returns the privacy spent so far: a `PrivacySpent` with `epsilon`, `rdp`, `pld` and `delta`.

        Raises:
            ValueError: no delta here and none in the model.
        """
        return accounting.spent(self.privacy_history(), self._delta(delta))

    def privacy_statement(self, delta=None):
        """Returns a statement of what may be claimed of the trained model, and of the assumptions it rests on.

        Raises:
            ValueError: no delta here and none in the model.
        """
        return write_statement(self, self.privacy_history(), self._delta(delta))

    def _delta(self, delta):
        delta = self.delta if delta is None else delta
        if delta is None:
            raise ValueError("say at which delta, well below 1 / records: privacy_statement(delta=1e-5)")
        accounting.check_delta(delta)
        return delta

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["privacy_history"] = self.ledger.to_array()

    def load_own_variables(self, store):
        # First of all, so that no weights come without it. Older files count steps in a second weight.
        self.ledger.restore(store["privacy_history"])
        super().load_own_variables({str(at): store[str(at)] for at in range(len(self._own_variables))})

    @property
    def _own_variables(self):
        return self._trainable_variables + self._non_trainable_variables

    def get_config(self):
        config = {
            "name": self.name,
            "target": keras.saving.serialize_keras_object(self.target_model),
            "noise_multiplier": self.noise_multiplier,
            "delta": self.delta,
        }
        if self.budget is not None:
            config["budget"] = self.budget.get_config()
        if self.noisy_steps:
            config["privacy_history"] = self.ledger.to_rows()
        return config

    @classmethod
    def from_config(cls, config):
        options = {**config, "target": keras.saving.deserialize_keras_object(config["target"])}
        budget, history = options.pop("budget", None), options.pop("privacy_history", ())
        model = cls(**options)
        model.budget = None if budget is None else Budget.from_config(budget)
        model.ledger.take_over(history)
        return model
