"""The accuracy that stands at the top of a report: that of the strongest of all attacks tried."""

from mpreg import metrics
from mpreg.attacks.crossfit import WIDENING

CONFIDENCE = 0.95


def headline(found, *, learns, tried):
    """An attack's accuracy, with limits that hold for all attacks tried (Bonferroni): it was picked by looking.

    Attacks are so alike that this has room for cross-fitting too, unless few are tried: then the attack's own limits,
    widened for it, are the wider ones.

    Args:
        found: what has `member_decisions` and `nonmember_decisions`, bool (n,).
        learns: whether the attack learned from records of known membership.
        tried: number of attacks.
    """
    said = found.member_decisions, found.nonmember_decisions
    accuracy = metrics.balanced_accuracy(*said)
    own = metrics.Estimate(accuracy, *metrics.balanced_accuracy_interval(*said, confidence=CONFIDENCE))
    own = own.widened(WIDENING) if learns else own
    low, high = metrics.balanced_accuracy_interval(*said, confidence=1 - (1 - CONFIDENCE) / tried)
    return metrics.Estimate(accuracy, min(low, own.low), max(high, own.high))
