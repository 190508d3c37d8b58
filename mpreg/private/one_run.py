"""Lower bounds on epsilon from correct guesses about canaries in one training run."""

import dataclasses

import numpy as np
from scipy import stats

SHARES = (1.0, 0.5, 0.25, 0.125)  # of the canaries that are guessed about; they share the error


@dataclasses.dataclass(frozen=True)
class Guesses:
    """Holds the number of canaries, of guesses made and of correct ones."""

    canaries: int
    made: int
    correct: int


def guesses(scores, included, shares=SHARES):
    """Returns `Guesses` for each share: the highest scores are guessed included, as many of the lowest excluded.

    Args:
        scores: (n,) higher = more likely trained on.
        included: (n,) bool, by a fair coin each.
        shares: of the canaries that are guessed about.
    """
    order = np.argsort(scores, kind="stable")
    found = []
    for share in shares:
        each = max(1, int(len(scores) * share / 2))
        correct = int(np.sum(included[order[-each:]]) + np.sum(~included[order[:each]]))
        found.append(Guesses(len(scores), 2 * each, correct))
    return found


def best_bound(scores, included, delta, confidence):
    """Returns `(lower bound, Guesses)` for the number of guesses that gives the highest bound."""
    tried = guesses(scores, included)
    bounds = [lower_bound(each, delta, (1 - confidence) / len(tried)) for each in tried]
    best = int(np.argmax(bounds))
    return bounds[best], tried[best]


def lower_bound(guessed, delta, error):
    """Returns the largest epsilon that the correct guesses refute at an error probability, at least 0."""
    if p_value(guessed, 0.0, delta) > error:
        return 0.0
    low, high = 0.0, 1.0
    while p_value(guessed, high, delta) < error:
        low, high = high, 2 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if p_value(guessed, middle, delta) < error else (low, middle)
    return low


def p_value(guessed, epsilon, delta):
    """Returns an upper limit on the probability of the correct guesses under (epsilon, delta)-DP.

    Each guess is right with probability at most e^epsilon / (1 + e^epsilon), whatever the others are, up to delta.

    Source: Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023, theorem 5.2.
    """
    correct, right = guessed.correct, 1.0 / (1.0 + np.exp(-epsilon))
    at_least = stats.binom.sf(correct - 1, guessed.made, right)
    fewer = stats.binom.sf(correct - 1 - np.arange(1, correct + 1), guessed.made, right) - at_least
    alpha = np.max(fewer / np.arange(1, correct + 1), initial=0.0)
    return min(1.0, at_least + 2.0 * guessed.canaries * delta * alpha)


def refutes(guessed, trade_off, error):
    """Returns whether the correct guesses are less probable than `error` under a trade-off curve.

    Source: Mahloujifar, Melis and Chaudhuri, "Auditing f-Differential Privacy in One Run", ICML 2025, the algorithm
    that bounds the tail of the number of correct guesses.

    Args:
        guessed: `Guesses`.
        trade_off: what the mechanism is claimed to have; has `least_false(rate)`.
        error: probability with which a true claim may be refuted.
    """
    right = error * guessed.correct / guessed.canaries
    wrong = error * (guessed.made - guessed.correct) / guessed.canaries
    for fewer in range(guessed.correct - 1, -1, -1):
        more = max(wrong, trade_off.least_false(right))
        if more == wrong:  # then neither moves any more
            break
        right = min(1.0, right + fewer / (guessed.made - fewer) * (more - wrong))
        wrong = more
    return right + wrong > guessed.made / guessed.canaries


def most_noise(scores, included, trade_off_of, confidence, *, least, most=1e3):
    """Returns the largest noise multiplier that the guesses do not refute.

    Args:
        scores, included: of the canaries, as for `guesses`.
        trade_off_of: makes the curve of the mechanism with a noise multiplier; more noise must tell less.
        confidence: probability with which the training had at most the noise returned.
        least, most: where it is looked for; the result is at most 3 % too high, and `least` at the lowest.

    Returns:
        `(noise multiplier, Guesses)`; infinite, with guesses about all, where not even `most` is refuted.
    """
    tried = guesses(scores, included)
    error = (1 - confidence) / len(tried)

    def proof(noise):
        curve = trade_off_of(noise)
        return next((each for each in tried if refutes(each, curve, error)), None)

    proven = proof(most)
    if proven is None:
        return np.inf, tried[0]
    low, high = np.log(least), np.log(most)
    while high - low > 0.03:
        middle = 0.5 * (low + high)
        found = proof(float(np.exp(middle)))
        low, high, proven = (low, middle, found) if found else (middle, high, proven)
    return float(np.exp(high)), proven
