"""Detects that the target has collapsed under too large a penalty, and restores it."""

import math
import warnings
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from mpreg.training.game import watchdog

YOUNG = 2  # epochs after the start, or after what was undone, in which all may happen
YOUNG_STEPS = 30  # so too as long as the batches were fewer
MIN_SHARE = 0.5  # of the best accuracy
MIN_RISE = 0.1  # of the cross-entropy, in nats, of a target that has never learned anything


class MemberTally:
    """Accumulates, on the device, the target's loss and accuracy on members in training mode, and their classes.

    Args:
        state: function `(name, value)` that makes a variable, and with `shape` an array of them.
        classes: number of classes.
    """

    def __init__(self, state, classes):
        self._loss, self._right = state("tally_loss", 0.0), state("tally_right", 0.0)
        self._steps = state("tally_steps", 0.0)
        self._counts = state("tally_classes", 0.0, shape=(classes,))

    def update(self, logs, labels, present):
        """Adds a batch: log-probabilities and one-hot labels (n, classes), and 1 where a member takes part (n,)."""
        labels = labels * present[:, None]
        right = tf.cast(tf.argmax(logs, axis=-1) == tf.argmax(labels, axis=-1), tf.float32)
        self._loss.assign_add(-tf.reduce_sum(tf.math.multiply_no_nan(logs, labels)))
        self._right.assign_add(tf.reduce_sum(right * present))
        self._counts.assign_add(tf.reduce_sum(labels, axis=0))
        self._steps.assign_add(1.0)

    def read(self):
        """Returns the sums as `EpochFigures`, or None if there was no member."""
        counts = keras.ops.convert_to_numpy(self._counts)
        members = counts.sum()
        if members == 0:
            return None
        shares = counts[counts > 0] / members
        loss, right, steps = (
            float(keras.ops.convert_to_numpy(total)) for total in (self._loss, self._right, self._steps)
        )
        uninformed = float(-np.sum(shares * np.log(shares)))
        return EpochFigures(loss / members, right / members, uninformed, int(steps))

    def reset(self):
        for total in (self._loss, self._right, self._counts, self._steps):
            total.assign(keras.ops.zeros_like(total))


class EpochFigures(NamedTuple):
    """Holds the target's loss and accuracy in an epoch.

    Attributes:
        loss: mean cross-entropy on the members, in nats.
        accuracy: on them.
        uninformed: entropy of their classes' frequencies, in nats: the cross-entropy of one who knows nothing else.
        steps: batches.
    """

    loss: float
    accuracy: float
    uninformed: float
    steps: int


class CollapseWatch:
    """Detects at the end of an epoch that the target has collapsed, and restores its best epoch.

    It has collapsed where, after three charged epochs of 30 batches in all at least, its cross-entropy on the members
    is above that of one who knows the classes' frequencies alone, and does not fall, though it was below once or has
    risen since the first of these epochs; or is not finite; or its accuracy is below half its best. It then gets back
    the weights of its best epoch, or the first ones, its optimizer starts afresh, and the weight of the gain is halved.

    Args:
        game: the `MembershipGame` in play.
        target: the model that is trained.
    """

    def __init__(self, game, target):
        self.game, self._target = game, target
        self._first = self._best = target.get_weights()
        self._best_accuracy = -1.0
        self._since = []

    def look(self, optimizer):
        """Reads the epoch's figures; returns whether it restored the target.

        Args:
            optimizer: of the target.
        """
        fare = self.game.tally.read()
        self.game.tally.reset()
        charged = float(self.game.strength.numpy()) * float(self.game.charging.numpy()) > 0
        if fare is None or not charged:
            return False
        self._since.append(fare)
        if self._collapsed(fare):
            self._undo(optimizer, fare)
            return True
        if fare.accuracy > self._best_accuracy and fare.loss < fare.uninformed:
            self._best, self._best_accuracy = self._target.get_weights(), fare.accuracy
        return False

    def _collapsed(self, fare):
        if len(self._since) <= YOUNG or sum(each.steps for each in self._since) < YOUNG_STEPS:
            return False
        lost = self._best_accuracy >= 0 or fare.loss > self._since[0].loss + MIN_RISE
        stuck = fare.loss > fare.uninformed and fare.loss >= self._since[-2].loss
        fallen = fare.accuracy < MIN_SHARE * self._best_accuracy
        return (lost and stuck) or fallen or not math.isfinite(fare.loss)

    def _undo(self, optimizer, fare):
        game, before = self.game, float(self.game.strength.numpy())
        self._target.set_weights(self._best)
        if optimizer is not None:
            watchdog.restart(optimizer, self._target.trainable_variables)
        game.strength.assign(before / 2)
        if game.average is not None:
            game.average.forget()
        if not math.isfinite(fare.loss):
            watchdog.rewarm(game)
        self._since = []
        knob = "strength" if game.options.relative else "penalty"
        back = "of its best epoch" if self._best_accuracy >= 0 else "it started with"
        warnings.warn(
            f"the classifier has collapsed: its cross-entropy on the members is {fare.loss:.2f}, that of guessing by "
            f"the frequency of the classes {fare.uninformed:.2f}, and its accuracy {fare.accuracy:.3f} (best: "
            f"{max(self._best_accuracy, 0.0):.3f}). It goes on from the weights {back}, with {knob} {before / 2:g} "
            f"instead of {before:g}. Give a smaller {knob}",
            UserWarning,
            stacklevel=2,
        )
