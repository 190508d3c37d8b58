"""Lower bounds on epsilon from correct guesses about canaries in one training run."""

import dataclasses
import functools

import numpy as np
from scipy import optimize, special, stats

from mpreg.private.trade_off import GaussianTradeOff

SHARES = (1.0, 0.5, 0.25, 0.125)  # of the canaries that are guessed about; they share the error
CHOICES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.125)  # of which one is chosen ahead, and has it to itself


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


def telling_share(claimed, canaries, confidence):
    """Returns the share of canaries to guess about that proves most, where what is claimed is true.

    It is chosen ahead of the scores, so that nothing of the error goes to the choice: with a Gaussian mechanism that
    tells two canaries apart as well as the claimed one, guesses about a share are right so often, and refute so much.

    Args:
        claimed: trade-off curve.
        canaries: how many there are.
        confidence: of the bound.
    """
    rates = np.linspace(0.001, 0.999, 333)
    apart = max(rate - claimed.least_false(rate) for rate in rates)
    return _telling_share(round(min(apart, 0.999), 3), canaries, confidence)


@functools.cache
def _telling_share(apart, canaries, confidence):
    half = special.ndtri(0.5 + 0.5 * apart)  # of the distance of the two means

    def refuted(share):
        def out_of_reach(at):  # how many scores are further than that from the middle
            return special.ndtr(half - at) + special.ndtr(-half - at) - share

        at = optimize.brentq(out_of_reach, 0.0, 20.0) if share < 1 else 0.0
        made = 2 * max(1, int(canaries * share / 2))
        expected = Guesses(canaries, made, int(made * special.ndtr(half - at) / share))
        low, high = np.log(0.05), np.log(50.0)
        while high - low > 0.05:
            middle = 0.5 * (low + high)
            curve = GaussianTradeOff(float(np.exp(middle)))
            low, high = (low, middle) if refutes(expected, curve, 1 - confidence) else (middle, high)
        return high

    return min(CHOICES, key=refuted)


def most_noise(scores, included, trade_off_of, confidence, *, claimed, least, most=1e3):
    """Returns the largest noise multiplier that the guesses do not refute.

    Args:
        scores, included: of the canaries, as for `guesses`.
        trade_off_of: makes the curve of the mechanism with a noise multiplier; more noise must tell less.
        confidence: probability with which the training had at most the noise returned.
        claimed: noise multiplier, by which the number of guesses is chosen; as if it were `least` where it is less, for
            a curve of hardly any noise takes gigabytes to compute.
        least, most: where it is looked for; the result is at most 3 % too high, and `least` at the lowest.

    Returns:
        `(noise multiplier, Guesses)`; infinite where not even `most` is refuted.
    """
    share = telling_share(trade_off_of(max(claimed, least)), len(scores), confidence)
    (made,) = guesses(scores, included, (share,))
    if not refutes(made, trade_off_of(most), 1 - confidence):
        return np.inf, made
    low, high = np.log(least), np.log(most)
    while high - low > 0.03:
        middle = 0.5 * (low + high)
        refuted = refutes(made, trade_off_of(float(np.exp(middle))), 1 - confidence)
        low, high = (low, middle) if refuted else (middle, high)
    return float(np.exp(high)), made
