"""The privacy loss that an attack proves: a lower bound on epsilon."""

import numpy as np

from mpreg._validate import check_fraction, check_number
from mpreg.metrics.checks import check_scores
from mpreg.metrics.rates import lower_limit
from mpreg.metrics.tally import tally

_FEW = 100  # thresholds tried before the others are sifted


def epsilon_lower_bound(member_scores, nonmember_scores, *, delta=0.0, confidence=0.95, seed=0):
    """Return the largest epsilon that these scores refute with this confidence; 0 if they refute none.

    Under (epsilon, delta)-differential privacy every threshold obeys `TPR <= exp(epsilon) * FPR + delta` and
    `TNR <= exp(epsilon) * FNR + delta`. One half of the records (drawn with `seed`) picks the threshold; the
    other half judges it, with one-sided Clopper-Pearson limits on TPR and FPR that share the
    error (Bonferroni).

    It speaks about a training procedure only if membership was assigned at random, record by record: records
    that differ otherwise are told apart even by a private model. It counts records as independent trials;
    those of one training run are only approximately so, and an auditor's claim needs repeated runs or a
    one-run audit (Steinke et al., "Privacy Auditing with One (1) Training Run", NeurIPS 2023).

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        delta: the delta of the guarantee under test, at least 0 and below 1.
        confidence: strictly between 0 and 1.
        seed: of the permutation that splits the records.

    Returns:
        A float, finite and at least 0; 0.0 if a side has a single record.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN, or an option is out of range.

    Example:
        >>> round(epsilon_lower_bound(range(1000, 2000), range(1000)), 2)
        4.9

    Source: Jagielski et al., "Auditing Differentially Private Machine Learning", NeurIPS 2020; Nasr et al.,
    "Adversary Instantiation", S&P 2021.
    """
    delta = check_number("delta", delta, least=0, below=1, what="at least 0 and below 1")
    tail = (1.0 - check_fraction("confidence", confidence)) / 2.0
    rng = np.random.default_rng(seed)
    members = rng.permutation(check_scores(member_scores, "member_scores"))
    nonmembers = rng.permutation(check_scores(nonmember_scores, "nonmember_scores"))
    if min(members.size, nonmembers.size) < 2:
        return 0.0
    (choosing_members, members), (choosing_nonmembers, nonmembers) = _halves(members), _halves(nonmembers)
    threshold = _most_telling_threshold(choosing_members, choosing_nonmembers, delta, tail)
    tp, fp = (members >= threshold).sum(), (nonmembers >= threshold).sum()
    return max(0.0, float(_refuted(tp, members.size, fp, nonmembers.size, delta, tail)))


def _halves(scores):
    return scores[: scores.size // 2], scores[scores.size // 2 :]


def _most_telling_threshold(member_scores, nonmember_scores, delta, tail):
    """Return the score that, as a threshold, refutes most on these records; the highest of equals."""
    counts = tally(member_scores, nonmember_scores)
    # Lowering a threshold costs nothing until the next non-member, and pays only at a member: these corners
    # hold the maximum, and they are the only places where the slow exact limits are needed.
    pays = np.diff(counts.true_positives) > 0
    next_costs = np.append(np.diff(counts.false_positives)[1:] > 0, True)
    corners = np.flatnonzero(pays & next_costs)
    tp, fp = counts.true_positives[corners + 1], counts.false_positives[corners + 1]

    def refuted(at):
        return _refuted(tp[at], counts.members, fp[at], counts.nonmembers, delta, tail)

    # The observed rates bound what their limits refute: most corners fall short of the best of a few.
    tpr, fpr = tp / counts.members, fp / counts.nonmembers
    bound = np.maximum(_log_ratio(tpr - delta, fpr), _log_ratio(1.0 - fpr - delta, 1.0 - tpr))
    few = np.linspace(0, corners.size - 1, min(_FEW, corners.size)).astype(int)
    hopeful = np.flatnonzero(~(bound < refuted(few).max()))  # a bound of 0 / 0 bounds nothing
    return counts.values[corners[hopeful[refuted(hopeful).argmax()]]]


def _refuted(tp, members, fp, nonmembers, delta, tail):
    """Return the epsilon refuted by these counts, -inf where none is.

    Lower limits of TPR and TNR serve both inequalities at once, as they are upper limits of FNR and FPR. The
    better of the two therefore needs no further correction.
    """
    tpr_low, tnr_low = lower_limit(tp, members, tail), lower_limit(nonmembers - fp, nonmembers, tail)
    return np.maximum(_log_ratio(tpr_low - delta, 1.0 - tnr_low), _log_ratio(tnr_low - delta, 1.0 - tpr_low))


def _log_ratio(numerator, denominator):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(numerator, 0.0)) - np.log(denominator)
