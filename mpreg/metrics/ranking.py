"""The area under the ROC curve: the probability that a member outscores a non-member."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mpreg._validate import check_fraction
from mpreg.metrics.tally import tally


def auc(member_scores: ArrayLike, nonmember_scores: ArrayLike) -> float:
    """Returns the probability that a random member outscores a random non-member; ties count one half.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> auc([0.9, 0.7], [0.7, 0.1])
        0.875

    Source: Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.
    """
    return area_of(tally(member_scores, nonmember_scores))


def auc_interval(
    member_scores: ArrayLike, nonmember_scores: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns limits for the AUC: DeLong's on the logit scale, or a score interval where those degenerate.

    DeLong's variance is zero, or unknown, when the sides are perfectly separated or tied or one has a single
    record; Newcombe's method 5 stays wide there.

    Args and errors: as for `auc`, and `confidence`, strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1].

    Example:
        >>> low, high = auc_interval(range(10, 20), range(10))
        >>> round(low, 3), high
        (0.8, 1.0)

    Source: Sun & Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 2014;
    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
    Statistics in Medicine 2006, method 5.
    """
    return area_interval_of(tally(member_scores, nonmember_scores), confidence=confidence)


def area_interval_of(counts: Any, *, confidence: float):
    """Returns the limits of the AUC of a `Tally`."""
    z = float(special.ndtri((1.0 + check_fraction("confidence", confidence)) / 2.0))
    area, variance = area_of(counts), _delong_variance(counts)
    if area in (0.0, 1.0) or not variance > 0.0:
        return _newcombe_interval(area, counts.members, counts.nonmembers, z)
    margin = z * math.sqrt(variance) / (area * (1.0 - area))
    centre = special.logit(area)
    return float(special.expit(centre - margin)), float(special.expit(centre + margin))


def area_of(counts: Any):
    """Returns the AUC of a `Tally`."""
    above, members = counts.true_positives[:-1], np.diff(counts.true_positives)
    nonmembers = np.diff(counts.false_positives)
    # Each non-member is outscored by the members above it and by half of those level with it.
    return int(((2 * above + members) * nonmembers).sum()) / (2 * counts.members * counts.nonmembers)


def _delong_variance(counts):
    """Return DeLong's variance of the AUC, NaN if a side has a single record."""
    if min(counts.members, counts.nonmembers) < 2:
        return math.nan
    members, nonmembers = np.diff(counts.true_positives), np.diff(counts.false_positives)
    # Twice the opponents beyond each score: whole numbers, so that equal places vary by exactly zero.
    below = 2 * (counts.nonmembers - counts.false_positives[1:]) + nonmembers
    above = 2 * counts.true_positives[:-1] + members
    of_members = _variance(below, members) / counts.nonmembers**2
    of_nonmembers = _variance(above, nonmembers) / counts.members**2
    return (of_members / counts.members + of_nonmembers / counts.nonmembers) / 4.0


def _variance(values, weights):
    deviations = values - np.average(values, weights=weights)
    return float((weights * deviations**2).sum() / (weights.sum() - 1))


def _newcombe_interval(area, members, nonmembers, z):
    def lower_limit(area):
        """Bisect for the area that lies `z` of its own standard errors below the observed one."""
        low, high = 0.0, area
        for _ in range(60):
            middle = (low + high) / 2.0
            too_far = (area - middle) ** 2 > z**2 * _hanley_mcneil_variance(middle, members, nonmembers)
            low, high = (middle, high) if too_far else (low, middle)
        return low

    return lower_limit(area), 1.0 - lower_limit(1.0 - area)


def _hanley_mcneil_variance(area, members, nonmembers):
    # Newcombe puts the mean of both sides' degrees of freedom in place of each: both sides weigh alike.
    freedom = (members + nonmembers) / 2.0 - 1.0
    spread = 1.0 + freedom * ((1.0 - area) / (2.0 - area) + area / (1.0 + area))
    return area * (1.0 - area) * spread / (members * nonmembers)
