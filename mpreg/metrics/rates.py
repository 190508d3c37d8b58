"""Accuracy, precision and recall of an attack's decisions at a 50/50 prior, with exact binomial limits."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mpreg._validate import check_count, check_fraction
from mpreg.metrics.checks import check_decisions


def clopper_pearson(successes: ArrayLike, trials: int, *, confidence: float = 0.95):
    """Returns the exact (never too narrow) limits of a binomial proportion.

    Args:
        successes: a whole number from 0 to `trials`, or an array of them.
        trials: a whole number of at least 1.
        confidence: strictly between 0 and 1; each limit alone fails with probability at most
            `(1 - confidence) / 2`.

    Returns:
        `(low, high)`: floats for a number, arrays of the shape of `successes` for an array.

    Raises:
        ValueError: if an argument is out of range or not whole.

    Example:
        >>> low, high = clopper_pearson(0, 100)
        >>> low, round(high, 4)
        (0.0, 0.0362)

    Source: Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 1934.
    """
    trials = check_count("trials", trials, 1, what="a whole number of at least 1")
    tail = (1.0 - check_fraction("confidence", confidence)) / 2.0
    successes = np.asarray(successes)
    wrong = ~((successes >= 0) & (successes <= trials) & (successes == np.floor(successes)))
    if wrong.any():
        raise ValueError(
            f"successes must be whole numbers from 0 to trials={trials}. Received: {successes[wrong].flat[0]}"
        )
    low, high = lower_limit(successes, trials, tail), 1.0 - lower_limit(trials - successes, trials, tail)
    return (float(low), float(high)) if successes.ndim == 0 else (low, high)


def balanced_accuracy(member_decisions: ArrayLike, nonmember_decisions: ArrayLike) -> float:
    """Returns `(TPR + TNR) / 2`, the attack's accuracy on an even mix of members and non-members.

    Args:
        member_decisions, nonmember_decisions: 1-D booleans, True where the attack said "member".

    Raises:
        ValueError: if a side is empty, not 1-D or not boolean.

    Example:
        >>> balanced_accuracy([True, True, False, False], [True, False, False, False])
        0.625

    Source: Yeom et al., "Privacy Risk in Machine Learning", CSF 2018.
    """
    (tp, members), (fp, nonmembers) = _positives(member_decisions, nonmember_decisions)
    return (tp / members + (nonmembers - fp) / nonmembers) / 2.0


def balanced_accuracy_interval(
    member_decisions: ArrayLike, nonmember_decisions: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns limits for the balanced accuracy, combined (MOVER) from the exact limits of TPR and TNR.

    They hold for decisions made without sight of the records' membership: fit the threshold on other records.

    Args and errors: as for `balanced_accuracy`, and `confidence`, strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1].

    Example:
        >>> low, high = balanced_accuracy_interval([True] * 60 + [False] * 40, [True] * 40 + [False] * 60)
        >>> round(low, 3), round(high, 3)
        (0.527, 0.668)

    Source: Zou & Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    2008.
    """
    (tp, members), (fp, nonmembers) = _positives(member_decisions, nonmember_decisions)
    tpr_low, tpr_high = clopper_pearson(tp, members, confidence=confidence)
    tnr_low, tnr_high = clopper_pearson(nonmembers - fp, nonmembers, confidence=confidence)
    tpr, tnr = tp / members, (nonmembers - fp) / nonmembers
    centre = (tpr + tnr) / 2.0
    low = centre - math.hypot(tpr - tpr_low, tnr - tnr_low) / 2.0
    high = centre + math.hypot(tpr_high - tpr, tnr_high - tnr) / 2.0
    return max(0.0, low), min(1.0, high)


def precision(member_decisions: ArrayLike, nonmember_decisions: ArrayLike) -> float:
    """Returns `TPR / (TPR + FPR)`, how often "member" is right at a 50/50 prior; NaN if it was never said.

    Args and errors: as for `balanced_accuracy`.

    Example:
        >>> precision([True, True, True, False], [True, False, False, False])
        0.75

    Source: Jayaraman et al., "Revisiting Membership Inference Under Realistic Assumptions", PoPETs 2021,
    at prior 1/2.
    """
    (tp, members), (fp, nonmembers) = _positives(member_decisions, nonmember_decisions)
    tpr, fpr = tp / members, fp / nonmembers
    return tpr / (tpr + fpr) if tpr + fpr else math.nan


def precision_interval(
    member_decisions: ArrayLike, nonmember_decisions: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns limits for the precision; (near 0, near 1) if "member" was said too rarely to know.

    Precision rises with TPR and falls with FPR, so each limit takes one limit of either rate. The four share
    the error (Bonferroni), which makes the interval hold at any sample size, at the price of some width.

    Args and errors: as for `balanced_accuracy`, and `confidence`, strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1].

    Example:
        >>> precision_interval([False, False], [False, False])
        (0.0, 1.0)

    Source: Clopper & Pearson, Biometrika 1934, for either rate; Bonferroni's inequality for both.
    """
    (tp, members), (fp, nonmembers) = _positives(member_decisions, nonmember_decisions)
    confidence = (1.0 + check_fraction("confidence", confidence)) / 2.0
    tpr_low, tpr_high = clopper_pearson(tp, members, confidence=confidence)
    fpr_low, fpr_high = clopper_pearson(fp, nonmembers, confidence=confidence)
    return tpr_low / (tpr_low + fpr_high), tpr_high / (tpr_high + fpr_low)


def recall(member_decisions: ArrayLike, nonmember_decisions: ArrayLike) -> float:
    """Returns the TPR, the share of members called members. Non-members are checked, but not used.

    Args and errors: as for `balanced_accuracy`.

    Example:
        >>> recall([True, True, True, False], [True, False])
        0.75

    Source: Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 2006, section 2.
    """
    (tp, members), _ = _positives(member_decisions, nonmember_decisions)
    return tp / members


def recall_interval(
    member_decisions: ArrayLike, nonmember_decisions: ArrayLike, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the Clopper-Pearson limits of the recall.

    Args and errors: as for `balanced_accuracy`, and `confidence`, strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1].

    Example:
        >>> low, high = recall_interval([True] * 100, [False])
        >>> round(low, 4), high
        (0.9638, 1.0)

    Source: Clopper & Pearson, Biometrika 1934.
    """
    (tp, members), _ = _positives(member_decisions, nonmember_decisions)
    return clopper_pearson(tp, members, confidence=confidence)


def lower_limit(successes: Any, trials: Any, tail: float):
    """Returns the proportion at which `successes` or more have probability `tail`; 0 for none. Unchecked."""
    limit = special.betaincinv(np.maximum(successes, 1), trials - successes + 1.0, tail)
    return np.where(successes > 0, limit, 0.0)


def _positives(member_decisions, nonmember_decisions):
    """Return (times "member" was said, records) of either side."""
    member_decisions = check_decisions(member_decisions, "member_decisions")
    nonmember_decisions = check_decisions(nonmember_decisions, "nonmember_decisions")
    return tuple((int(side.sum()), side.size) for side in (member_decisions, nonmember_decisions))
