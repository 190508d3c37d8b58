"""Computes all metrics of one attack."""

from mpreg.metrics import curves, low_fpr, ranking, rates
from mpreg.metrics.checks import check_decisions, check_scores
from mpreg.metrics.estimate import Estimate
from mpreg.metrics.tally import tally


def estimates(
    member_scores,
    nonmember_scores,
    member_decisions,
    nonmember_decisions,
    *,
    confidence=0.95,
    fprs=low_fpr.FPRS,
):
    """Returns every metric of an attack with its interval.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.
        member_decisions, nonmember_decisions: booleans for the same records, True where the attack said
            "member".
        confidence: of each interval on its own, strictly between 0 and 1.
        fprs: the false positive rates at which the TPR is wanted.

    Returns:
        A dict of `Estimate`: `accuracy`, `precision`, `recall`, `auc`, `advantage`, and under `tpr_at_fpr` a
        dict from each rate of `fprs` to its `Estimate`.

    Raises:
        ValueError: if scores or decisions are not as the single metrics require, or differ in number.

    Example:
        >>> found = estimates([0.9, 0.8, 0.4], [0.7, 0.3, 0.2], [True, True, False], [True, False, False])
        >>> print(found["auc"], found["recall"])
        0.889 [0.261, 0.995] 0.667 [0.094, 0.992]

    Source: the single metrics'.
    """
    scores = check_scores(member_scores, "member_scores"), check_scores(nonmember_scores, "nonmember_scores")
    decisions = (
        check_decisions(member_decisions, "member_decisions"),
        check_decisions(nonmember_decisions, "nonmember_decisions"),
    )
    for side, of_scores, of_decisions in zip(("member", "nonmember"), scores, decisions, strict=True):
        if of_scores.size != of_decisions.size:
            raise ValueError(
                f"{side}_scores and {side}_decisions must be of the same records. "
                f"Received: {of_scores.size} scores and {of_decisions.size} decisions"
            )

    return estimates_of(tally(*scores), *decisions, confidence=confidence, fprs=fprs)


def estimates_of(counts, *decisions, confidence=0.95, fprs=low_fpr.FPRS):
    """Returns the same of a `Tally` of the scores, which sorted them once for all that reads them."""

    def estimate(metric, interval, *records, **options):
        return Estimate(metric(*records, **options), *interval(*records, **options, confidence=confidence))

    return {
        "accuracy": estimate(rates.balanced_accuracy, rates.balanced_accuracy_interval, *decisions),
        "precision": estimate(rates.precision, rates.precision_interval, *decisions),
        "recall": estimate(rates.recall, rates.recall_interval, *decisions),
        "auc": estimate(ranking.area_of, ranking.area_interval_of, counts),
        "advantage": estimate(curves.advantage_of, curves.advantage_interval_of, counts),
        "tpr_at_fpr": {
            fpr: estimate(low_fpr.tpr_at_fpr_of, low_fpr.tpr_at_fpr_interval_of, counts, fpr=fpr)
            for fpr in fprs
        },
    }
