"""Mixing: trains on blends of two records each (MixUp)."""

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from mpreg._validate import check_count, check_number
from mpreg.training.core.batch import weight_row
from mpreg.training.core.part import MIX, MIXTURES, DefencePart
from mpreg.training.core.seed import Seed

QUANTILES = 1 << 14  # XLA has no Beta distribution: its quantiles are drawn from, at steps of 1/16384


@keras.saving.register_keras_serializable("mpreg")
class Mixing(DefencePart):
    """Trains the target on blends of pairs of records, towards blends of their labels.

    Records of weight 0 are blended with each other only. The compiled metrics judge a blend by the label of which it
    has more.

    Args: as `MixUpMMD`.
    """

    stage = MIX
    decides = frozenset({MIXTURES})
    private_reason = "mixes records with each other, so that no gradient belongs to one alone"

    def __init__(self, *, alpha, seed=0, **kwargs):
        super().__init__(**{"name": "mixing", **kwargs})
        check_number("alpha", alpha, above=0)
        check_count("seed", seed, 0)
        self.alpha, self.seed = float(alpha), int(seed)
        self.step = self.state("step", 0, dtype="int64")
        self.draws = Seed(seed)
        middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
        self._quantiles = np.float32(special.betaincinv(self.alpha, self.alpha, middles))

    def prepare(self, batch):
        share, partner = self._draw(batch.present)
        batch.inputs = keras.tree.map_structure(lambda x: _blend(x, share, partner), batch.x)
        batch.judged = keras.tree.map_structure(
            lambda y: tf.where(share >= 0.5, y, tf.gather(y, partner)), batch.judged
        )
        own, other = share, 1 - share
        if batch.sample_weight is not None:
            weights = weight_row(batch.sample_weight)
            own, other = own * weights, other * tf.gather(weights, partner)
            batch.weights = own + other
            own, other = (tf.math.divide_no_nan(part, batch.weights)[:, None] for part in (own, other))
        batch.notes[self] = own, other, partner

    def relabel(self, batch):
        own, other, partner = batch.notes[self]
        labels = batch.distributions
        batch.labels = own * labels + other * tf.gather(labels, partner)

    def _draw(self, present):
        """One share of the batch, and for each record the number of another to blend it with."""
        size = tf.shape(present)[0]
        drawn = tf.random.stateless_uniform(
            (size + 1,), seed=[self.draws.value, tf.cast(self.step.value, tf.int32)]
        )
        self.step.assign_add(1)
        share = tf.gather(self._quantiles, tf.cast(drawn[0] * QUANTILES, tf.int32))
        # Those present come first, in their order and in a random one: the first takes the place of the second.
        order = tf.argsort(1.0 - present, stable=True)
        shuffled = tf.argsort(drawn[1:] + 2.0 * (1.0 - present))
        return share, tf.gather(shuffled, tf.argsort(order))

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "seed": self.seed}


def _blend(x, share, partner):
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:
        raise ValueError(
            "MixUp blends features, so they must be floating point numbers. "
            f"Received features of type {x.dtype.name}: cast them, or leave MixUp out with alpha=0"
        )
    share = tf.cast(share, x.dtype)
    return share * x + (1 - share) * tf.gather(x, partner)
