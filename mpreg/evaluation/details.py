"""Details of a report beyond its figures, computed for the pages that show them."""

import math

import numpy as np

from mpreg import metrics
from mpreg.evaluation.headline import for_all_tried
from mpreg.metrics.low_fpr import tpr_at_fpr_interval_of, tpr_at_fpr_of
from mpreg.metrics.membership_privacy import PRIORS, implied_gamma, posterior
from mpreg.metrics.shapes import histogram
from mpreg.metrics.tally import tally
from mpreg.reports.words import RETEST

VULNERABLE = 10  # records
LOG_PROBABILITY = (
    "loss_threshold"  # the key of the attack whose scores are logarithms of the true class's probability
)


def details(report):
    """Returns the details of a `PrivacyReport` as plain values, as `docs/report-schema.md` describes them."""
    leaks, at_fpr = report.leakage_per_class(), list(best_at_fpr(report))
    return {
        "epsilon_lower_bound": max(result.epsilon_lower_bound for result in report.attacks.values()),
        "per_class": [leak.to_dict() for leak in leaks],
        "unusual_classes": unusual(leaks, float(report.attack_accuracy)),
        "most_vulnerable": [_vulnerable(record, report) for record in report.most_vulnerable(VULNERABLE)],
        "risk": report.member_risk.to_dict(),
        "true_class_probability": _true_class(report),
        "best_at_fpr": [{"fpr": fpr, "attack": best.name, "tpr": tpr.to_dict()} for fpr, best, tpr in at_fpr],
        "beliefs": list(_beliefs(report, at_fpr)),
        "adaptive": bool(report.cost.get("shadow_models")),
        "retest": list(RETEST),
    }


def unusual(leaks, whole):
    """Counts the classes that leak more than the whole model by more than their interval, and those compared.

    Args:
        leaks: `ClassLeakage`s; those without an attack accuracy are not judged.
        whole: the attack's accuracy on all records.
    """
    judged = [leak for leak in leaks if not math.isnan(leak.attack_accuracy)]
    return {"above": sum(leak.attack_accuracy.low > whole for leak in judged), "judged": len(judged)}


def _vulnerable(record, report):
    return {
        "index": record.index,
        "label": record.label,
        "risk": record.risk,
        "called_member": record.called_member,
        "alike": round(record.fpr * report.nonmembers),
        "tied": record.tied,
    }


def _true_class(report):
    """What the model says of the true class, for members and others; None where no attack looked at it."""
    for result in report.attacks.values():
        if result.key == LOG_PROBABILITY:
            sides = np.exp(result.member_scores), np.exp(result.nonmember_scores)
            return {"attack": result.name, **histogram(*sides, limits=(0.0, 1.0))}
    return None


def best_at_fpr(report):
    """Returns `(fpr, AttackResult, TPR)` of the attack that finds most members at each low false positive rate.

    The limits of that rate hold for all attacks at once, because it was picked as the highest.
    """
    tallies = {}  # scores are sorted once for all rates
    for fpr in report.strongest.tpr_at_fpr:
        able = [result for result in report.attacks.values() if fpr in result.tpr_at_fpr]
        best = max(able, key=lambda result: float(result.tpr_at_fpr[fpr]))
        if best.name not in tallies:
            tallies[best.name] = tally(best.distinct.member_scores, best.distinct.nonmember_scores)
        of_rate = tpr_at_fpr_of, tpr_at_fpr_interval_of
        yield (
            fpr,
            best,
            for_all_tried(*of_rate, (tallies[best.name],), widen=False, tried=len(able), fpr=fpr),
        )


def _beliefs(report, at_fpr):
    """What an attacker believes of a record that was called a member, by way of calling."""
    strongest = report.strongest
    if not math.isnan(strongest.precision):
        # At even odds the precision is the belief itself, so that its odds are the likelihood ratio.
        decisions = strongest.distinct.member_decisions, strongest.distinct.nonmember_decisions
        of_calls = metrics.precision, metrics.precision_interval
        precision = for_all_tried(*of_calls, decisions, widen=False, tried=len(report.attacks))
        yield _belief(strongest.name, None, precision, precision.low)
    for fpr, best, tpr in at_fpr:
        if tpr > 0 and fpr > 0:  # no false alarm was seen, which is no proof that none will be
            yield _belief(best.name, fpr, tpr / (tpr + fpr), tpr.low / (tpr.low + fpr))


def _belief(attack, fpr, *precisions):
    """From the precision at even odds and its low end: beliefs at other priors, and the gamma that they refute."""

    def after(prior):
        value, low = (posterior(prior, tpr=even, fpr=1.0 - even) for even in map(float, precisions))
        return {"prior": prior, "value": value, "low": max(prior, low)}

    gamma = implied_gamma(0.5, posterior(0.5, tpr=float(precisions[1]), fpr=1.0 - float(precisions[1])))
    return {
        "attack": attack,
        "fpr": fpr,
        "after": [after(prior) for prior in PRIORS],
        "gamma": gamma if math.isfinite(gamma) else None,
    }
