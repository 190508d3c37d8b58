"""Entropy bonus: a negative penalty on confident predictions."""

import keras
import tensorflow as tf

from mpreg._validate import check_number
from mpreg.training.core.batch import add_penalty, mean_present, presence
from mpreg.training.core.part import DefencePart


@keras.saving.register_keras_serializable("mpreg")
class EntropyBonus(DefencePart):
    """Subtracts a weight times the mean entropy of the target's predictions, in nats, from the loss.

    Args:
        weight: at least 0.
    """

    def __init__(self, *, weight, **kwargs):
        super().__init__(**{"name": "entropy_bonus", **kwargs})
        self.strength = self.state("strength", weight)

    def penalize(self, batch, loss):
        logs = batch.log_probabilities
        entropy = -tf.reduce_sum(tf.exp(logs) * logs, axis=-1)
        return add_penalty(loss, -self.strength * mean_present(entropy, presence(batch.weights, logs)))

    def get_config(self):
        return {**super().get_config(), "weight": float(self.strength.numpy())}


def open_bonus(name, weight):
    """Returns an `EntropyBonus`, checking the weight under the name of its option."""
    check_number(name, weight, least=0)
    return EntropyBonus(weight=weight)
