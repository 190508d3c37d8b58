"""Confidence limits for the highest figure of several attacks, corrected for having been selected."""

from mpreg import metrics
from mpreg.attacks.crossfit import WIDENING
from mpreg.metrics import Estimate

CONFIDENCE = 0.95
# What cross-fitting makes vary more; the limits of the other figures have room for it (`mpreg.evaluation.evaluate`).
# Where nothing leaks, the low end of the highest accuracy was above one half in 5.3 and 6.1 % of the runs without it
# (the fast suite, 400 and 1,500 records a side).
ROOM = 1.1
WIDENED = ("accuracy", "recall", "auc")


def strongest_accuracy(found, *, learns, tried):
    """Returns the accuracy of the strongest attack with limits corrected for the number of attacks (Bonferroni).

    Args:
        found: what has `member_decisions` and `nonmember_decisions`, bool (n,).
        learns: whether the attack learned from records of known membership.
        tried: number of attacks.
    """
    return for_all_tried(
        metrics.balanced_accuracy,
        metrics.balanced_accuracy_interval,
        (found.member_decisions, found.nonmember_decisions),
        widen=learns,
        tried=tried,
    )


def for_all_tried(metric, interval, sides, *, widen, tried, **options):
    """Returns the highest of several attacks' metric with limits corrected for their number.

    Attacks are so alike that Bonferroni's limits have room for most of what cross-fitting adds, and `ROOM` is the rest;
    where few are tried, the attack's own limits, widened for cross-fitting, are the wider ones.

    Args:
        metric, interval: of `mpreg.metrics`; functions of both sides.
        sides: what they take: scores or decisions of members and of non-members, or a `Tally` of scores alone.
        widen: whether the attack's own limits are to be widened for cross-fitting.
        tried: number of attacks that it was picked from.
        **options: of the metric, such as `fpr`.
    """
    value = metric(*sides, **options)
    own = Estimate(value, *interval(*sides, **options, confidence=CONFIDENCE))
    own = own.widened(WIDENING) if widen else own
    together = Estimate(value, *interval(*sides, **options, confidence=for_each_of(tried)))
    together = together.widened(ROOM) if widen and tried > 1 else together
    return Estimate(value, min(together.low, own.low), max(together.high, own.high))


def for_each_of(tried):
    """Returns the confidence that each of `tried` intervals needs for all to hold at 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / tried
