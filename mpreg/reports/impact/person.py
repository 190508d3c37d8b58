"""Chapter 3.4 of the assessment: what an attacker comes to believe of a single person, and what bounds it."""

import math

from mpreg._text import percent
from mpreg.metrics.membership_privacy import PRIORS, posterior_bound
from mpreg.reports.document import Points, Section, Table, Text
from mpreg.reports.schema import worse_of
from mpreg.reports.words import support


def check_guarantee(epsilon, delta):
    """Raises a `ValueError` that quotes the values unless they are a guarantee, or both are None."""
    if epsilon is None and delta is not None:
        raise ValueError(f"delta goes with an epsilon: give both, or neither. Received: delta={delta}")
    if epsilon is not None and not (epsilon > 0 and 0 <= (delta or 0) < 1):
        raise ValueError(
            f"epsilon must be above 0 and delta from 0 to below 1. Received: epsilon={epsilon}, delta={delta}"
        )
    if epsilon is not None and delta is None:
        raise ValueError(
            "a guarantee has a delta too: give it as the training states it, 0 only where it states 0. "
            f"Received: epsilon={epsilon} alone"
        )


def person(report, epsilon, delta):
    worse = worse_of(report)
    return Section(
        "3.4 A single person", (*_measured(worse, worse is report), *_guarantee(epsilon, delta)), 3
    )


def _measured(report, of_members):
    """What was measured of an attacker's beliefs."""
    if "beliefs" not in report:
        return
    if not of_members:
        yield Text(
            "Reference records, which the defence learned from, are told from non-members better than members are: "
            "what follows is about them, and “member” stands for one of them."
        )
    priors = [at["prior"] for at in report["beliefs"][0]["after"]] if report["beliefs"] else PRIORS
    rows = [
        (
            _calling(belief, report),
            *(f"{_share(at['value'])} (at least {_share(at['low'])})" for at in belief["after"]),
            "unbounded" if belief["gamma"] is None else f"{belief['gamma']:.2f}",
        )
        for belief in report["beliefs"]
    ]
    header = (
        "the attack calls a record a member",
        *(f"believed before: {chosen_rate(prior)}" for prior in priors),
        "γ at least",
    )
    yield Text(
        "What an attacker then believes depends on what was believed before, for instance because one in a "
        "hundred people of that kind is in the data. Each cell is the belief after the attack has called a record "
        "a member, by Bayes' rule from the measured rates, and the least that the 95 % interval of the rates "
        "allows."
    )
    yield Table(header, tuple(rows))
    yield from _most_exposed(report)
    yield Points(
        (
            "Assumed: records are alike but for membership, and the attacker meets them at the stated prior. The "
            "beliefs are averages over records; some people are exposed more. At a stated share of false alarms, "
            "the attack is the one that finds most there, and its interval allows for the choice. Where a belief rests "
            "on so few non-members as stated, it may be chance.",
            "γ is the factor of positive membership privacy (Li et al., CCS 2013) at a prior of 50 %: belief stays "
            "below γ times the prior, and disbelief above the prior's disbelief divided by γ. The measurement "
            "refutes every γ smaller than the one stated. It confirms none: a stronger attack may refute more.",
            f"The attacks prove a privacy loss ε of at least {report['epsilon_lower_bound']:.2f}, with 95 % "
            "confidence for each attack, where membership was drawn at random for each record.",
        )
    )


def _most_exposed(report):
    """The figure of the one person that is exposed most, which is the same wherever single records are shown."""
    if report.get("most_vulnerable") and "risk" in report:
        first = report["most_vulnerable"][0]
        tied = f", as {first['tied']:,} others of the same score" if first.get("tied") else ""
        yield Text(
            f"These are averages. The record that “{report['risk']['attack']}” is surest of, row {first['index']:,}"
            f"{tied}, is a member with a probability of {_share(first['risk'])}, where half of all records are. "
            "Section 3.5, report.html and member_scores.npz state the same figure for a record."
        )


def _calling(belief, report):
    """Which attack calls records members, how, and on how few non-members that rests."""
    fpr = belief["fpr"]
    if fpr is None:
        return f"{belief['attack']}, at its own threshold"
    rests = support(report, fpr)
    return f"{belief['attack']}, at {chosen_rate(fpr)} false alarms{f' ({rests})' if rests else ''}"


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
