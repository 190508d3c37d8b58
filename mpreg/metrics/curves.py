"""The ROC curve, the attack advantage and the best threshold."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mpreg._validate import check_fraction
from mpreg.metrics.tally import tally


def roc(member_scores: ArrayLike, nonmember_scores: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the ROC curve; equal scores are one point.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.

    Returns:
        `(fpr, tpr, thresholds)`, each of shape `(distinct scores + 1,)`, from (0, 0) to (1, 1). Point `i` is
        reached by `score >= thresholds[i]`; the first threshold is +inf and stands for "nobody", even if a
        score is +inf.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> fpr, tpr, thresholds = roc([0.9, 0.7], [0.7, 0.1])
        >>> fpr.tolist(), tpr.tolist(), thresholds.tolist()
        ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0], [inf, 0.9, 0.7, 0.1])

    Source: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006, sections 4-5.
    """
    counts = tally(member_scores, nonmember_scores)
    thresholds = np.concatenate([[np.inf], counts.values])
    return counts.false_positives / counts.nonmembers, counts.true_positives / counts.members, thresholds


def attack_advantage(member_scores: ArrayLike, nonmember_scores: ArrayLike) -> float:
    """Returns the largest TPR - FPR over all thresholds, from 0 (guessing) to 1 (certainty).

    The threshold is chosen on the records it is judged on, so this point leans upward, by about
    `0.63 * sqrt(1 / members + 1 / nonmembers)` where nothing leaks; the interval takes that into account.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> attack_advantage([3, 2, 1, 1], [2, 1, 0, 0])
        0.5

    Source: Yeom et al., "Privacy Risk in Machine Learning", CSF 2018, definition 4, at the best threshold.
    """
    return advantage_of(tally(member_scores, nonmember_scores))


def attack_advantage_interval(
    member_scores: ArrayLike, nonmember_scores: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns limits for the attack advantage: the estimate -+ the Kolmogorov-Smirnov critical value.

    With this confidence, no threshold's TPR - FPR is farther from its true value than the critical value, so
    neither is the maximum: the limits hold however the threshold was chosen, and the point's upward lean is
    inside them. The critical value is exact (for many continuous scores) where nothing leaks, and
    conservative elsewhere: between unequal distributions the error is the same Brownian bridge under one
    further condition, which narrows it (Anderson 1955), and ties only leave thresholds out.

    Args and errors: as for `attack_advantage`, and `confidence`, strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1].

    Example:
        >>> low, high = attack_advantage_interval(range(100, 200), range(100))
        >>> round(low, 3), high
        (0.808, 1.0)

    Source: Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of
    Mathematical Statistics 1948; Anderson, "The integral of a symmetric unimodal function over a symmetric
    convex set", Proceedings of the AMS 1955.
    """
    return advantage_interval_of(tally(member_scores, nonmember_scores), confidence=confidence)


def best_threshold(member_scores: ArrayLike, nonmember_scores: ArrayLike) -> float:
    """Returns the threshold of highest balanced accuracy; apply it, as `score >= threshold`, to other records.

    It lies midway between the neighbouring distinct scores. Among equally good thresholds the highest is
    returned, so that where none beats guessing the answer is +inf: nobody is called a member.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> best_threshold([0.5, 0.75, 1.0], [0.0, 0.25])
        0.375

    Source: Yeom et al., "Privacy Risk in Machine Learning", CSF 2018, section 3: the threshold adversary.
    """
    counts = tally(member_scores, nonmember_scores)
    best = int(counts.gains.argmax())
    if best == 0:
        return math.inf
    # Calling everyone a member gains nothing, so a threshold that gains has a score below it.
    precision = np.result_type(np.asarray(member_scores), np.asarray(nonmember_scores))
    return _midway(float(counts.values[best]), float(counts.values[best - 1]), precision)


def advantage_of(counts: Any):
    """Returns the attack advantage of a `Tally`."""
    return int(counts.gains.max()) / (counts.members * counts.nonmembers)


def advantage_interval_of(counts: Any, *, confidence: float):
    """Returns the limits of the attack advantage of a `Tally`."""
    alpha = 1.0 - check_fraction("confidence", confidence)
    margin = special.kolmogi(alpha) * math.sqrt(1.0 / counts.members + 1.0 / counts.nonmembers)
    advantage = advantage_of(counts)
    return max(0.0, float(advantage - margin)), min(1.0, float(advantage + margin))


def _midway(lower, upper, precision):
    """Return a threshold that admits `upper` but not `lower`, even where they are infinite or adjacent."""
    middle = lower / 2.0 + upper / 2.0
    if np.issubdtype(precision, np.floating):
        # NumPy compares float32 scores with a Python float in float32, where it must not round to `lower`.
        middle = float(precision.type(middle))
    return middle if lower < middle <= upper else upper
