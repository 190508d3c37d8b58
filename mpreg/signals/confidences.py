"""The signals, each a function of `Answers`; higher values indicate members.

Answers that were rounded or truncated may sum to something else than one, even to 0: then the probability of not
being in a class is one minus that of the class, and not the sum of the others. All signals stay finite.
"""

import functools

import numpy as np

from mpreg.classifiers.floors import LOWEST, ROUNDING
from mpreg.signals.answers import per_record

ROOTS = {2.0: 1, 4.0: 2}  # square roots that soften by a temperature


@per_record
def correctness(answers):
    """Returns 1 where the predicted class is the label, else 0: what a label-only attacker sees (gap attack)."""
    return (np.argmax(answers.log_probabilities, axis=1) == answers.labels).astype(np.float64)


@per_record
def confidence(answers):
    """Returns the log of the largest probability, (n,); needs no label. Salem et al., NDSS 2019, section V."""
    return _finite(np.max(answers.log_probabilities, axis=1))


@per_record
def loss(answers):
    """Returns the log-probability of the label (minus the cross-entropy), (n,). Yeom et al., CSF 2018, section 3.2."""
    return _finite(answers.true_class)


@per_record
def entropy(answers):
    """Returns minus the prediction's entropy in nats, (n,). Song and Mittal, USENIX Security 2021, section 4.1."""
    return np.sum(answers.probabilities * _finite(answers.log_probabilities), axis=1)


@per_record
def modified_entropy(answers):
    """Returns minus the modified entropy, which takes the label into account, in nats, (n,).

    For label y: (1 - p_y) log p_y + sum over other classes of p_j log(1 - p_j). 1 - p of the likeliest class is
    taken as the sum of the others, so that it is exact where p is nearly 1, and finite where p is 1.

    Source: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models",
    USENIX Security 2021, section 4.1, equation 9.
    """
    rows = np.arange(len(answers))
    highest = np.argmax(answers.log_probabilities, axis=1)
    rest = answers.probabilities.copy()
    rest[rows, highest] = 0.0
    rest = np.where(_is_coarse(answers), 1.0 - answers.probabilities[rows, highest], np.sum(rest, axis=1))
    with np.errstate(divide="ignore"):
        log_others = np.log1p(-np.minimum(answers.probabilities, 1.0))
        log_others[rows, highest] = np.log(rest)
    terms = answers.probabilities * _finite(log_others)
    own = np.where(highest == answers.labels, rest, 1.0 - answers.probabilities[rows, answers.labels])
    terms[rows, answers.labels] = own * _finite(answers.true_class)
    return np.sum(terms, axis=1)


@per_record
def logit_confidence(answers):
    """Returns log p_y - log(1 - p_y), (n,), computed without cancellation. Carlini et al., S&P 2022, section IV-C."""
    others = answers.probabilities.copy()
    others[np.arange(len(answers)), answers.labels] = 0.0
    coarse = _is_coarse(answers)
    with np.errstate(divide="ignore"):
        others = np.log(np.sum(others, axis=1))
        others[coarse] = np.log1p(-np.minimum(np.exp(answers.true_class[coarse]), 1.0))
    return _finite(answers.true_class) - _finite(others)


@functools.cache
def softened_loss(temperature):
    """Returns the signal `loss` for predictions softened by a temperature: p ** (1 / temperature), renormalized.

    Members of a network that answers with certainty are told apart by the tail of their answers, which softening
    shows. `softened_loss(1.0)` is `loss`.
    """
    if temperature == 1:
        return loss

    @per_record
    def softened(answers):
        powers, highest = np.maximum(answers.probabilities, LOWEST), 0.0
        if temperature in ROOTS:  # several times as fast as a power
            for _ in range(ROOTS[temperature]):
                np.sqrt(powers, out=powers)
        else:
            largest = np.max(powers, axis=1)
            powers, highest = (powers / largest[:, None]) ** (1 / temperature), np.log(largest)
        total = highest / temperature + np.log(np.sum(powers, axis=1))
        return _finite(answers.true_class) / temperature - total

    return softened


@per_record
def _is_coarse(answers):
    """Which records' probabilities do not sum to one."""
    return np.abs(np.sum(answers.probabilities, axis=1) - 1.0) > ROUNDING


def _finite(log_probabilities):
    """Log-probabilities with that of the lowest probability in place of -inf."""
    return np.maximum(log_probabilities, np.log(LOWEST))
