"""Chapter 3.4 of the assessment: what an attacker comes to believe of a single person, and what bounds it."""

import math

from mpreg._text import percent
from mpreg.metrics.membership_privacy import implied_gamma, posterior, posterior_bound
from mpreg.reports.document import Points, Section, Table, Text

PRIORS = (0.01, 0.1, 0.5)


def check_guarantee(epsilon, delta):
    """Raises a `ValueError` that quotes the values unless they are a guarantee, or `epsilon` is None."""
    if epsilon is not None and not (epsilon > 0 and 0 <= delta < 1):
        raise ValueError(
            f"epsilon must be above 0 and delta from 0 to below 1. Received: epsilon={epsilon}, delta={delta}"
        )


def person(report, epsilon, delta):
    rows = []
    for name, (value, low) in _beliefs(report).items():
        cells = [f"{_share(value(prior))} (at least {_share(max(prior, low(prior)))})" for prior in PRIORS]
        gamma = implied_gamma(0.5, low(0.5))
        rows.append((name, *cells, f"{gamma:.2f}" if math.isfinite(gamma) else "unbounded"))
    proven = max(result.epsilon_lower_bound for result in report.attacks.values())
    header = (
        "the attack calls a record a member",
        *(f"believed before: {chosen_rate(p)}" for p in PRIORS),
        "γ at least",
    )
    blocks = [
        Text(
            "What an attacker then believes depends on what was believed before, for instance because one in a "
            "hundred people of that kind is in the data. Each cell is the belief after the attack has called a record "
            "a member, by Bayes' rule from the measured rates, and the least that the 95 % interval of the rates "
            "allows."
        ),
        Table(header, tuple(rows)),
        Points(
            (
                "Assumed: records are alike but for membership, and the attacker meets them at the stated prior. The "
                "beliefs are averages over records; some people are exposed more. At a stated share of false alarms, "
                "the attack is the one that finds most there, with its own interval.",
                "γ is the factor of positive membership privacy (Li et al., CCS 2013) at a prior of 50 %: belief stays "
                "below γ times the prior, and disbelief above the prior's disbelief divided by γ. The measurement "
                "refutes every γ smaller than the one stated. It confirms none: a stronger attack may refute more.",
                f"The attacks prove a privacy loss ε of at least {proven:.2f}, with 95 % confidence for each attack, "
                "where membership was drawn at random for each record.",
            )
        ),
    ]
    return Section("3.4 A single person", (*blocks, *_guarantee(epsilon, delta)), 3)


def _beliefs(report):
    """By way of calling: functions of the prior that give the belief, and its lower end."""
    strongest = report.strongest
    found = {}
    if strongest.precision == strongest.precision:
        # At even odds the precision is the belief itself, so that its odds are the likelihood ratio.
        found[f"{strongest.name}, at its own threshold"] = _after(
            strongest.precision, strongest.precision.low
        )
    for fpr in strongest.tpr_at_fpr:
        best = max(report.attacks.values(), key=lambda result: float(result.tpr_at_fpr[fpr]))
        tpr = best.tpr_at_fpr[fpr]
        if tpr > 0:
            found[f"{best.name}, at {chosen_rate(fpr)} false alarms"] = _after(
                tpr / (tpr + fpr), tpr.low / (tpr.low + fpr)
            )
    return found


def _after(*precisions):
    return tuple(
        lambda prior, even=float(even): posterior(prior, tpr=even, fpr=1.0 - even) for even in precisions
    )


def _guarantee(epsilon, delta):
    if epsilon is None:
        return (
            Text(
                "No guarantee of differential privacy was stated for the training of this model: there is no upper "
                "bound on what a stronger attack could find."
            ),
        )
    gamma = math.exp(min(epsilon, 700.0))
    bounds = "; ".join(
        f"{chosen_rate(p)} before, at most {_share(posterior_bound(p, gamma))} after" for p in PRIORS
    )
    rare = (
        "The bound is exact for δ = 0."
        if delta == 0
        else f"With δ = {delta:g} it may be exceeded in outcomes whose probability δ limits only roughly."
    )
    return (
        Text(
            f"Stated guarantee: differential privacy with ε = {epsilon:g} and δ = {delta:g}, as given by those who "
            f"trained the model; it was not checked here. It limits every attacker, whatever they know: {bounds}. "
            f"Assumed: training followed the mechanism, one record is one person, and records were drawn "
            f"independently, for which γ = exp(ε). {rare}"
        ),
    )


def _share(belief):
    return percent(belief) if belief < 0.9995 else "nearly 100 %"


def chosen_rate(rate):
    """A rate that was chosen, not measured: `0.01` as `1 %`."""
    return f"{100 * rate:g} %"
