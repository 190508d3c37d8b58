"""Threshold attacks: call a record a member if one signal is high enough."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import Attack
from mpreg.metrics import best_threshold

SIGNALS = {
    "confidence": signals.confidence,
    "loss": signals.loss,
    "entropy": signals.entropy,
    "modified entropy": signals.modified_entropy,
}


class ThresholdAttack(Attack):
    """Thresholds one signal, globally or for each class.

    A class's threshold is the one that adds most to the overall balanced accuracy; a class that the attacker
    has not seen on both sides keeps the threshold for all. Scores of the per-class form are the distance from
    the class's threshold, which makes classes comparable.

    Source: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models",
    USENIX Security 2021, section 4.1.

    Args:
        signal: `"confidence"`, `"loss"`, `"entropy"` or `"modified entropy"`.
        per_class: whether each class has its own threshold.

    Raises:
        ValueError: an unknown signal.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[ThresholdAttack("loss"), ThresholdAttack("loss", per_class=True)])
    ```
    """

    threat_model = "sees the model's answers and knows who was a member among other records"

    def __init__(self, signal, *, per_class: bool = False):
        if signal not in SIGNALS:
            raise ValueError(f"signal must be one of {sorted(SIGNALS)}. Received: {signal!r}")
        self.signal = signal
        self.per_class = per_class
        self.name = f"{signal} threshold{', per class' if per_class else ''}"
        self.key = f"{signal.replace(' ', '_')}_threshold{'_per_class' if per_class else ''}"

    def fit(self, members, nonmembers, *, seed=0):
        signal = SIGNALS[self.signal]
        known, unknown = signal(members), signal(nonmembers)
        if not self.per_class:
            self.threshold = best_threshold(known, unknown)
            return self
        classes, thresholds = group_thresholds(known, unknown, members.labels, nonmembers.labels)
        self._class_thresholds = np.empty(members.classes)
        if len(classes) < members.classes:
            nobody = np.nextafter(max(known.max(), unknown.max()), np.inf)
            self._class_thresholds[:] = min(best_threshold(known, unknown), nobody)
        self._class_thresholds[classes] = thresholds
        self.threshold = 0.0
        return self

    def score(self, answers):
        values = SIGNALS[self.signal](answers)
        return values - self._class_thresholds[answers.labels] if self.per_class else values


def group_thresholds(member_values, nonmember_values, member_groups, nonmember_groups):
    """Returns for each group seen on both sides the threshold that adds most to the balanced accuracy.

    One sort serves all groups. A threshold lies midway between neighbouring values of its group, or just
    above the highest where no threshold gains anything.

    Args:
        member_values, nonmember_values: signal of each record, finite, (m,) and (n,).
        member_groups, nonmember_groups: group of each record, integers from 0, (m,) and (n,).

    Returns:
        `(groups, thresholds)`, the groups seen on both sides, ascending, and the threshold of each.
    """
    sides = len(member_values), len(nonmember_values)
    values = np.concatenate([member_values, nonmember_values])
    groups = np.concatenate([member_groups, nonmember_groups])
    # Whole numbers in the ratio of 1 / m to 1 / n, so that equal gains are equal.
    gains = np.repeat([sides[1], -sides[0]], sides)
    order = np.argsort(-values)
    # In few bits, for then NumPy sorts by counting: 20 times as fast as lexsort for up to 2**16 groups.
    narrow = groups.astype(np.min_scalar_type(groups.max()))
    order = order[np.argsort(narrow[order], kind="stable")]
    values, groups, gains = values[order], groups[order], gains[order]
    new_group = np.r_[True, groups[1:] != groups[:-1]]
    starts = np.flatnonzero(new_group)
    sizes = np.diff(np.r_[starts, len(values)])
    total = np.cumsum(gains)
    # What is gained by admitting all of the group down to this value; equal values are admitted together.
    gained = total - np.repeat(np.r_[0, total][starts], sizes)
    tied_below = np.r_[(values[1:] == values[:-1]) & ~new_group[1:], False]
    gained[tied_below] = np.iinfo(np.int64).min
    most = np.maximum.reduceat(gained, starts)
    is_most = gained == np.repeat(most, sizes)
    best = np.minimum.reduceat(np.where(is_most, np.arange(len(values)), len(values)), starts)
    below = np.where(best + 1 < starts + sizes, np.r_[values, 0.0][best + 1], values[best])
    middle = 0.5 * (values[best] + below)
    middle = np.where(middle > below, middle, values[best])  # between adjacent floats there is nothing
    thresholds = np.where(most > 0, middle, np.nextafter(values[starts], np.inf))
    present = groups[starts]
    counts = [np.bincount(side, minlength=present[-1] + 1) for side in (member_groups, nonmember_groups)]
    both = np.minimum(*counts)[present] > 0
    return present[both], thresholds[both]
