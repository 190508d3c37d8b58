"""An attacker's posterior belief about a single person, and bounds on it.

Membership privacy compares what an attacker believes before and after seeing the model. A release has positive
membership privacy with gamma if, whatever it shows, belief that someone is in the data never grows beyond
`gamma` times the prior, and belief that someone is not in it never shrinks below the prior's `1 / gamma`.

Source: Li, Qardaji, Su, Wu & Yang, "Membership privacy: a unifying framework for privacy definitions", CCS 2013,
definition 3.1; for records drawn independently, epsilon-differential privacy gives it with gamma = exp(epsilon).
"""

import math

from mpreg._validate import check_number

PRIORS = (0.01, 0.1, 0.5)  # beliefs beforehand that an assessment reckons with


def posterior(prior: float, *, tpr: float, fpr: float) -> float:
    """Returns the belief that a record is a member once an attack calls it one (Bayes' rule); NaN if it never does.

    Args:
        prior: belief before, strictly between 0 and 1.
        tpr, fpr: how often the attack says "member" of members and of non-members.

    Raises:
        ValueError: a prior or a rate out of range.

    Example:
        >>> round(posterior(0.1, tpr=0.6, fpr=0.2), 3)
        0.25
    """
    _check_prior(prior)
    for name, rate in (("tpr", tpr), ("fpr", fpr)):
        check_number(name, rate, least=0, most=1, what="from 0 to 1")
    called = prior * tpr + (1.0 - prior) * fpr
    return prior * tpr / called if called else math.nan


def posterior_bound(prior: float, gamma: float) -> float:
    """Returns the highest belief under positive membership privacy: min(gamma p, 1 - (1 - p) / gamma).

    Raises:
        ValueError: a prior not strictly between 0 and 1, or a gamma below 1.

    Example:
        >>> posterior_bound(0.5, 2.0)
        0.75
    """
    _check_prior(prior)
    if not gamma >= 1.0:
        raise ValueError(f"gamma must be at least 1. Received: gamma={gamma}")
    return min(gamma * prior, 1.0 - (1.0 - prior) / gamma)


def implied_gamma(prior: float, belief: float) -> float:
    """Returns the smallest gamma whose bound allows a belief at a prior; infinite for certainty.

    A belief that was measured refutes every smaller gamma. One that did not grow refutes none: gamma is 1.

    Raises:
        ValueError: a prior not strictly between 0 and 1, or a belief outside [0, 1].

    Example:
        >>> implied_gamma(0.5, 0.75)
        2.0
    """
    _check_prior(prior)
    check_number("belief", belief, least=0, most=1, what="from 0 to 1")
    if belief == 1.0:
        return math.inf
    return max(1.0, belief / prior, (1.0 - prior) / (1.0 - belief))


def _check_prior(prior):
    check_number("prior", prior, above=0, below=1, what="strictly between 0 and 1")
