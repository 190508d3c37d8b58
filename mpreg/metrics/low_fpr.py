"""TPR at low false positive rates, with limits that include the uncertainty of the threshold."""

import bisect
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mpreg._validate import check_count, check_fraction, check_number
from mpreg.metrics.rates import clopper_pearson
from mpreg.metrics.tally import tally

FPRS = (0, 0.001, 0.01)  # where the field reports it (Carlini et al., S&P 2022, section III)
_ENOUGH = 10  # false positives: with fewer, the threshold itself is mostly chance
_SURE = 0.05  # the chance that the highest non-member is the only sign of a larger FPR


def tpr_at_fpr(member_scores: ArrayLike, nonmember_scores: ArrayLike, *, fpr: float) -> float:
    """Returns the largest TPR of any threshold whose FPR on these records is at most `fpr`.

    Equal scores stand or fall together and nothing is interpolated: every value is one an attacker can reach.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        fpr: the false positive rate allowed, at least 0 and below 1; at 0 a member must score above every non-member.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN, or `fpr` is out of range.

    Example:
        >>> tpr_at_fpr([5, 4, 2, 1], [3, 0, 0, 0], fpr=0.01)
        0.5

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section III.
    """
    return tpr_at_fpr_of(tally(member_scores, nonmember_scores), fpr=fpr)


def tpr_at_fpr_interval(
    member_scores: ArrayLike, nonmember_scores: ArrayLike, *, fpr: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns limits for the TPR at an FPR, including the uncertainty of the threshold.

    Let R be the highest-scoring region that holds at most `fpr` of all non-members, `theta` the share of all
    members in R (the truth sought), Y1 >= Y2 >= ... the `n` sampled non-members, and alpha = 1 - confidence.

    - Of the sampled non-members, Binomial(n, fpr) fall in R if no tie stands at its edge. It is at most
      `k_high` but for alpha/4; R then excludes Y(k_high + 1), so the members above that score contain all
      those in R.
    - It is at least `k_low` but for alpha/4; R then includes Y(k_low), so the members above that score all
      lie in R. If `k_low` is 0, nothing bounds R from within and the lower limit is 0.
    - The sampled members in R are Binomial(members, theta): R does not depend on the sample. Clopper-Pearson
      limits grow with the count, so those of the two enclosing counts, each at alpha/4, hold a fortiori.

    The four errors add up to alpha (Bonferroni). If a tie stands at the edge, R holds fewer than `fpr`, which
    makes the first statement safer; for the second, R together with the tie holds more than `fpr`, hence
    Y(k_low), and the members strictly above Y(k_low) still lie in R: the limits then hold too.

    At an `fpr` of 0 no sample places the threshold that no non-member reaches. The limits are then Clopper-Pearson's of
    the share of all members above the highest non-member that was sampled, whose own false positive rate is small but
    not 0: below `1 - alpha ** (1 / n)`, about `3 / n`, with the same confidence.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        fpr: the false positive rate allowed, at least 0 and below 1.
        confidence: strictly between 0 and 1.

    Returns:
        `(low, high)`, within [0, 1]; (0, near 1) when there are too few non-members to place the threshold.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN, or an option is out of range.

    Example:
        >>> low, high = tpr_at_fpr_interval(range(50, 1050), range(1000), fpr=0.01)
        >>> round(low, 3), round(high, 3)
        (0.038, 0.088)

    Source: David & Nagaraja, "Order Statistics", 3rd ed. 2003, section 7.1, for the threshold; Clopper &
    Pearson, Biometrika 1934, for the rate.
    """
    return tpr_at_fpr_interval_of(tally(member_scores, nonmember_scores), fpr=fpr, confidence=confidence)


def mean_tpr(member_scores: ArrayLike, nonmember_scores: ArrayLike, *, fpr: float = 0.01) -> float:
    """Returns the mean TPR over all thresholds whose FPR on these records is at most `fpr`.

    It is how well an attack ranks the records it is surest of, and less a matter of single non-members than the TPR at
    one rate: the area under that end of the ROC, in steps, over its width. At least 10 false positives are looked at,
    where there are so many non-members.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        fpr: the false positive rate allowed, at least 0 and below 1.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN, or `fpr` is out of range.

    Example:
        >>> mean_tpr([5, 4, 2, 1], [3, 0, 0], fpr=0.4)  # TPR of 2, 4, 4 and 4 of 4 at 0, 1, 2 and 3 false positives
        0.875

    Source: McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 1989.
    """
    counts = tally(member_scores, nonmember_scores)
    allowed = max(_allowed(counts.nonmembers, _check_fpr(fpr)), min(_ENOUGH, counts.nonmembers))
    entries = np.searchsorted(counts.false_positives, np.arange(allowed + 1), side="right") - 1
    return float(counts.true_positives[entries].mean()) / counts.members


def supported_fpr(nonmembers: Any, fpr: float) -> str | None:
    """Returns a note if `fpr` allows fewer than 10 false positives among the non-members, else None.

    At an `fpr` of 0, it says what the threshold rests on.

    Args:
        nonmembers: how many non-members were scored, at least 1.
        fpr: the false positive rate of interest, at least 0 and below 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> supported_fpr(2010, 0.001)
        'TPR at 0.1% FPR rests on 2 of 2,010 non-members; at least 10,000 are needed for 10 false positives'

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section III, for
    why low rates matter; 10 is this library's choice (a relative standard error near 30 %).
    """
    nonmembers = check_count("nonmembers", nonmembers, 1, what="a whole number of at least 1")
    fpr = _check_fpr(fpr)
    if fpr == 0:
        highest = 100 * (1.0 - _SURE ** (1.0 / nonmembers))
        return (
            f"TPR at 0% FPR is that above the highest of {nonmembers:,} non-members, a threshold whose own FPR is "
            f"at most {highest:.2g}% with 95 % confidence; its limits are of that threshold"
        )
    allowed = _allowed(nonmembers, fpr)
    if allowed >= _ENOUGH:
        return None
    needed = math.ceil(_ENOUGH / fpr)
    return (
        f"TPR at {100 * fpr:g}% FPR rests on {allowed} of {nonmembers:,} non-members; "
        f"at least {needed:,} are needed for {_ENOUGH} false positives"
    )


def tpr_at_fpr_of(counts: Any, *, fpr: float):
    """Returns the TPR at an FPR of a `Tally`."""
    allowed = _allowed(counts.nonmembers, _check_fpr(fpr))
    return _members_admitted(counts, allowed) / counts.members


def tpr_at_fpr_interval_of(counts: Any, *, fpr: float, confidence: float):
    """Returns the limits of the TPR at an FPR of a `Tally`."""
    fpr, confidence = _check_fpr(fpr), check_fraction("confidence", confidence)
    if fpr == 0:
        found = clopper_pearson(_members_admitted(counts, 0), counts.members, confidence=confidence)
        return tuple(map(float, found))
    tail = (1.0 - confidence) / 4.0
    k_low = _binomial_quantile(tail, counts.nonmembers, fpr)
    k_high = _binomial_quantile(1.0 - tail, counts.nonmembers, fpr)
    inner, outer = (_members_admitted(counts, allowed) for allowed in (k_low - 1, k_high))
    # Two-sided limits at 1 - alpha/2 leave alpha/4 on each side.
    low, high = clopper_pearson([inner, outer], counts.members, confidence=(1.0 + confidence) / 2.0)
    return float(low[0]), float(high[1])


def _check_fpr(fpr):
    return check_number("fpr", fpr, least=0, below=1, what="at least 0 and below 1")


def _allowed(nonmembers, fpr):
    """Return the largest `k` with `k / nonmembers <= fpr`: 29 of 100 at 0.29, though 0.29 * 100 < 29."""
    return bisect.bisect_right(range(1, nonmembers + 1), fpr, key=lambda k: k / nonmembers)


def _members_admitted(counts, nonmembers_admitted):
    """Count the members at the lowest threshold that admits at most so many non-members; 0 if negative."""
    if nonmembers_admitted < 0:
        return 0
    entry = np.searchsorted(counts.false_positives, nonmembers_admitted, side="right") - 1
    return int(counts.true_positives[entry])


def _binomial_quantile(probability, trials, rate):
    """Return the smallest `k` with `P(Binomial(trials, rate) <= k) >= probability`."""
    return bisect.bisect_left(range(trials), probability, key=lambda k: special.bdtr(k, trials, rate))
