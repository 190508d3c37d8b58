"""The rule that `PrivacyTarget` steers by: pure numbers in, a step of the strength out."""

import math

SMOOTHING = 0.6  # share of the past in the attack that is steered by
RAMP = 0.7  # share of the epochs after which the goal is the target
SPEED = 4.0  # steps of the logarithm of the strength by the distance from the goal
LONGEST = 0.2  # such step
MIN_ACCURACY = 0.85  # of the best on held-back records; below it the strength only falls
TOLERANCE = 0.01  # above the target that still meets it


class Steering:
    """Turns attacks, measured once an epoch, into steps of a strength.

    The goal rises in a straight line from what the attack shows before training, which is chance, to the target. With
    the target as the goal from the start the strength would fall while nothing is learned yet, and what is memorized
    meanwhile stays memorized.

    Args:
        target: attack accuracy to end at.
        floor: attack accuracy before training.
        epochs: of the fit.
        error: standard error of the difference of the accuracies on members and on held-back records.
    """

    def __init__(self, target, *, floor, epochs, error):
        self.target, self.epochs, self._error = target, epochs, error
        self._floor = min(floor, target)
        self._smooth = None
        self._top = 0.0

    def goal(self, epoch):
        """Returns the attack accuracy to reach by the end of an epoch."""
        return self._floor + (self.target - self._floor) * min(1.0, (epoch + 1) / (RAMP * self.epochs))

    def step(self, epoch, attack, accuracy, held_accuracy):
        """Returns the change of the logarithm of the strength; above 0 means more privacy.

        Args:
            epoch: counted from 0.
            attack: attack accuracy at its end.
            accuracy, held_accuracy: of the classifier, on members and on held-back records.
        """
        self._smooth = attack if self._smooth is None else SMOOTHING * self._smooth + (1 - SMOOTHING) * attack
        self._top = max(self._top, held_accuracy)
        step = min(max(SPEED * (self._smooth - self.goal(epoch)), -LONGEST), LONGEST)
        if held_accuracy < MIN_ACCURACY * self._top:
            return -LONGEST
        if step > 0 and accuracy - held_accuracy < 2 * self._error:
            return 0.0  # what the attack sees may be chance
        return step

    def meets(self, attack):
        """Returns whether the last attack accuracy, and the smoothed one, are at the target or below."""
        return max(attack, self._smooth) <= self.target + TOLERANCE


def error_of(members, held):
    """Returns an upper limit on the standard error of the mean of two accuracies, given the numbers of records."""
    return 0.5 * math.sqrt(0.25 / members + 0.25 / held)
