"""Lower bounds on epsilon from an attack's scores."""

import functools
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mpreg._validate import check_fraction, check_number
from mpreg.metrics.tally import tally

# How the error is shared among the numbers of mistakes that limits are made for: an attack that makes none tells most.
_NONE, _FEW, _MOST = 0.35, 0.39, 0.26


def epsilon_lower_bound(
    member_scores: ArrayLike,
    nonmember_scores: ArrayLike,
    *,
    delta: float = 0.0,
    confidence: float = 0.95,
    seed: int | None = None,
) -> float:
    """Returns the largest epsilon that the scores refute at a confidence; 0 if they refute none.

    Under (epsilon, delta)-differential privacy every threshold obeys `TPR <= exp(epsilon) * FPR + delta` and
    `TNR <= exp(epsilon) * FNR + delta`. All records judge all thresholds: the limits of either rate hold at every
    threshold at once, so the best threshold may be looked for on the records that judge it.

    For a number of mistakes k that is fixed beforehand, the share of all non-members at least as high as the
    (k+1)-th highest of n sampled ones is Beta(k + 1, n - k), or less where scores are equal. Its upper limit holds
    for every threshold with at most k false positives. Such limits for k of 0 and about `2 sqrt(n)` others, a standard
    deviation apart, share the error (Bonferroni), and so do members, whose mistakes are those below a threshold.

    It speaks about a training procedure only if membership was assigned at random, record by record: records
    that differ otherwise are told apart even by a private model. It counts records as independent trials;
    those of one training run are only approximately so, and an auditor's claim needs repeated runs or a
    one-run audit (Steinke et al., "Privacy Auditing with One (1) Training Run", NeurIPS 2023).

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        delta: the delta of the guarantee under test, at least 0 and below 1.
        confidence: strictly between 0 and 1.
        seed: has no effect since all records judge all thresholds, and goes in the next version.

    Returns:
        A float, finite and at least 0.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN, or an option is out of range.

    Example:
        >>> round(epsilon_lower_bound(range(1000, 2000), range(1000)), 2)
        5.35

    Source: Jagielski et al., "Auditing Differentially Private Machine Learning", NeurIPS 2020; Nasr et al.,
    "Adversary Instantiation", S&P 2021; David & Nagaraja, "Order Statistics", 3rd ed. 2003, section 2.3, for the
    limits of all thresholds.
    """
    if seed is not None:
        warnings.warn(
            "epsilon_lower_bound draws nothing any more: leave seed out", DeprecationWarning, stacklevel=2
        )
    delta = check_number("delta", delta, least=0, below=1, what="at least 0 and below 1")
    return epsilon_of(tally(member_scores, nonmember_scores), delta=delta, confidence=confidence)


def epsilon_of(counts: Any, *, delta: float = 0.0, confidence: float = 0.95):
    """Returns the largest epsilon that a `Tally` refutes."""
    tail = (1.0 - check_fraction("confidence", confidence)) / 2.0
    missed, accused = counts.members - counts.true_positives, counts.false_positives
    # Lower limits of TPR and TNR serve both inequalities at once, as they are upper limits of FNR and FPR.
    fnr, fpr = _highest_rates(counts.members, tail)[missed], _highest_rates(counts.nonmembers, tail)[accused]
    refuted = np.maximum(_log_ratio(1.0 - fnr - delta, fpr), _log_ratio(1.0 - fpr - delta, fnr))
    return max(0.0, float(refuted.max()))


def _highest_rates(records, tail):
    """Upper limits of the rate of mistakes where 0, 1, ... `records` were made, (records + 1,).

    They hold at every threshold at once but for a probability of `tail`.
    """
    ranks, limits = _limits(records, tail)
    return limits[np.searchsorted(ranks, np.arange(records + 1))]


@functools.lru_cache(maxsize=16)  # the attacks of an evaluation judge the same numbers of records
def _limits(records, tail):
    """Numbers of mistakes that limits are made for, (k,), and the limit up to each, (k + 1,)."""
    middle = records // 2
    steps = np.arange(2, 2 * np.sqrt(middle) + 1)
    few = np.unique(np.round(steps**2 / 4).astype(int))
    most = np.setdiff1d(records - few, [0, *few])
    ranks = np.concatenate([[0], few, most[most < records]])
    shares = np.concatenate(
        [
            [_NONE],
            _FEW * _part(1.0 / np.arange(1, len(few) + 1)),
            _MOST * _part(np.ones(len(ranks) - 1 - len(few))),
        ]
    )
    limits = special.betaincinv(ranks + 1.0, records - ranks, 1.0 - tail * shares)
    # A limit for k mistakes holds for fewer ones too; for as many as there are records, none does.
    return ranks, np.append(np.minimum.accumulate(limits[::-1])[::-1], 1.0)


def _part(weights):
    return weights / weights.sum() if len(weights) else weights


def _log_ratio(numerator, denominator):
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(numerator, 0.0)) - np.log(denominator)
