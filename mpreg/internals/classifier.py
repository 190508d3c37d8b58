"""The membership classifier of a white-box attack: standardized signals, encoders, one logit."""

import contextlib
import random

import keras
import numpy as np
from keras import layers

from mpreg.internals.trees import MembershipTrees, short_columns
from mpreg.networks.membership import ENCODERS, compact

FARTHEST = 5.0  # standard deviations: what lies beyond is cut off
FLAT = 1e-6  # a number whose deviation is below this tells nothing
AT_ONCE = 512  # records


class MembershipClassifier:
    """Fits a membership classifier to a `Reading`: a network, for the compact one with boosted trees, the mean of both.

    Args:
        encoders: a name in `mpreg.networks.membership.ENCODERS`.
        epochs, learning_rate, batch_size, optimizer: of the training on the cross-entropy, in which members and
            non-members weigh alike.
    """

    def __init__(self, encoders, *, epochs, learning_rate, batch_size, optimizer):
        self.build = ENCODERS[encoders]
        self._with_trees = encoders == "compact"  # the published one is a network alone
        self.epochs, self.learning_rate, self.batch_size = epochs, learning_rate, batch_size
        self.optimizer = optimizer

    def fit(self, read, membership, *, seed=0):
        """Fits to records of known membership, bool (n,); returns self."""
        self._scale = {name: _Scale(value) for name, value in read.values.items()}
        with _random_state_kept():
            self.network = self.build(read.widths, seed=seed)
        optimizer = keras.optimizers.get(self.optimizer)
        optimizer.learning_rate = self.learning_rate
        self.network.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
        optimizer.build(self.network.trainable_variables)  # or the step would be traced twice
        share = membership.mean()
        self.network.fit(
            self._scaled(read),
            membership.astype(np.float32),
            sample_weight=np.where(membership, 0.5 / share, 0.5 / (1 - share)).astype(np.float32),
            epochs=self.epochs,
            batch_size=min(self.batch_size, len(membership)),
            verbose=0,
        )
        self._trees = None
        if self._with_trees and short_columns(read).shape[1]:
            self._trees = MembershipTrees().fit(read, membership, seed=seed)
        return self

    def score(self, read):
        """Returns log-odds of membership, float64 (n,)."""
        by_network = _answers(self.network, self._scaled(read))[:, 0]
        return by_network if self._trees is None else 0.5 * (by_network + self._trees.score(read))

    def _scaled(self, read):
        return [self._scale[name](value) for name, value in read.values.items()]


class _Scale:
    """Standardizes a signal by the mean and deviation of each of its numbers among known records."""

    def __init__(self, known):
        self.mean, self.deviation = known.mean(axis=0), known.std(axis=0)

    def __call__(self, values):
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (values - self.mean) / self.deviation
        return np.where(self.deviation > FLAT, np.clip(scaled, -FARTHEST, FARTHEST), 0.0).astype(np.float32)


def codes(read, told, *, width, epochs, seed):
    """Returns an autoencoder's codes of the signals, float64 (n, width).

    Args:
        read: a `Reading`.
        told: what to write down of each record, float (n, k).
        width: numbers of a code.
        epochs: of its training.
        seed: of its weights.
    """
    scaled = [_Scale(value)(value) for value in read.values.values()]
    with _random_state_kept():
        encoder = compact(read.widths, seed=seed, units=width)
        written = layers.Dense(told.shape[1])(layers.Dense(32, "relu")(encoder.output))
    network = keras.Model(encoder.input, written)
    network.compile("adam", "mse")
    network.fit(scaled, _Scale(told)(told), epochs=epochs, batch_size=128, verbose=0)
    return _answers(encoder, scaled)


@contextlib.contextmanager
def _random_state_kept():
    """Leaves Python's and NumPy's random state as it was: the seed of a network that is built sets it."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _answers(network, scaled):
    """What a network answers, float64 (n, k); called as it is, for a program of its own would take longer."""
    blocks = range(0, len(scaled[0]), AT_ONCE)
    found = [network([part[at : at + AT_ONCE] for part in scaled], training=False) for at in blocks]
    return np.concatenate([keras.ops.convert_to_numpy(answer) for answer in found]).astype(np.float64)
