"""Threshold attacks: a record is called a member where one signal is high enough."""

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
    """One threshold on one signal, for all records or for each class.

    A class's threshold is the one that adds most to the overall balanced accuracy, so a class that the
    attacker has seen on one side only gets a threshold as good as any. Scores of the per-class form are the
    distance from the class's threshold, which makes classes comparable.

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

    def __init__(self, signal, *, per_class=False):
        if signal not in SIGNALS:
            raise ValueError(f"signal must be one of {sorted(SIGNALS)}. Received: {signal!r}")
        self.signal = signal
        self.per_class = per_class
        self.name = f"{signal} threshold{', per class' if per_class else ''}"

    def fit(self, members, nonmembers, *, seed=0):
        signal = SIGNALS[self.signal]
        known, unknown = signal(members), signal(nonmembers)
        self.threshold = best_threshold(known, unknown)
        if self.per_class:
            everywhere = np.full(members.classes, self.threshold)
            found = group_thresholds(known, unknown, members.labels, nonmembers.labels)
            everywhere[list(found)] = list(found.values())
            self._class_thresholds = np.where(np.isfinite(everywhere), everywhere, known.max())
            self.threshold = 0.0
        return self

    def score(self, answers):
        values = SIGNALS[self.signal](answers)
        return values - self._class_thresholds[answers.labels] if self.per_class else values


def group_thresholds(member_values, nonmember_values, member_groups, nonmember_groups):
    """For each group seen on both sides, the threshold that adds most to the overall balanced accuracy.

    One sort serves all groups. A threshold lies midway between neighbouring values of its group, or just
    above the highest where no threshold gains anything.

    Args:
        member_values, nonmember_values: signal of each record, finite, (m,) and (n,).
        member_groups, nonmember_groups: group of each record, integers (m,) and (n,).

    Returns:
        dict from group to threshold.
    """
    values = np.concatenate([member_values, nonmember_values])
    groups = np.concatenate([member_groups, nonmember_groups])
    gains = np.repeat(
        [1 / len(member_values), -1 / len(nonmember_values)], [len(member_values), len(nonmember_values)]
    )
    order = np.lexsort((-values, groups))
    values, groups, gains = values[order], groups[order], gains[order]
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    ends = np.r_[starts[1:], len(values)]
    total = np.cumsum(gains)
    gained = total - np.repeat(
        np.r_[0.0, total][starts], ends - starts
    )  # by admitting all down to this value
    tied_below = np.r_[(values[1:] == values[:-1]) & (groups[1:] == groups[:-1]), False]
    gained[tied_below] = -np.inf
    both = np.intersect1d(member_groups, nonmember_groups)
    thresholds = {}
    for start, end in zip(starts, ends, strict=True):
        if groups[start] in both:
            thresholds[int(groups[start])] = _threshold(values[start:end], gained[start:end])
    return thresholds


def _threshold(values, gained):
    best = int(np.argmax(gained))
    if gained[best] <= 0:
        return np.nextafter(values[0], np.inf)
    return values[best] if best + 1 == len(values) else 0.5 * (values[best] + values[best + 1])
