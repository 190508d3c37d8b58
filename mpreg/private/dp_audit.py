"""An audit in one training run: what canaries prove about epsilon, beside what is claimed."""

import dataclasses

import numpy as np
import tensorflow as tf
from scipy import stats

from mpreg._validate import check_count, check_fraction
from mpreg.classifiers.calling import call_target
from mpreg.data import check_pair, flatten, map_arrays
from mpreg.private.accounting import Sampling, check_delta
from mpreg.private.dpsgd import DPSGD
from mpreg.private.sampling import sampled_dataset

SHARES = (
    1.0,
    0.5,
    0.25,
    0.125,
)  # of the canaries that are guessed about; the confidence is shared among them


@dataclasses.dataclass(frozen=True)
class DPAudit:
    """What an audit found.

    Args:
        epsilon_lower_bound: what epsilon is at least, with `confidence`.
        epsilon: what is claimed, at `delta`.
        confidence: probability with which the lower bound holds.
        canaries: number of canaries, each in or out by a fair coin.
        guesses, correct: of the guesses that proved most.
        delta: of both epsilons.
    """

    epsilon_lower_bound: float
    epsilon: float
    confidence: float
    canaries: int
    guesses: int
    correct: int
    delta: float

    @property
    def refuted(self):
        """Whether the claim is wrong, at this confidence."""
        return self.epsilon_lower_bound > self.epsilon

    def __str__(self):
        verdict = (
            "The claim is refuted: less noise, or less clipping, was at work than is claimed."
            if self.refuted
            else "The claim is not refuted; an audit never proves one."
        )
        return (
            f"Claimed: epsilon {self.epsilon:.4g} at delta {self.delta:g}. Audited: at least "
            f"{self.epsilon_lower_bound:.4g} with {self.confidence:.0%} confidence ({self.correct} of {self.guesses} "
            f"guesses about {self.canaries} canaries were right). {verdict}"
        )


def audit_dp(model, records, *, batch_size, epochs, canaries=100, confidence=0.95, delta=None, seed=None):
    """Trains a compiled `DPSGD` on records and canaries, and tells from the canaries what epsilon is at least.

    Canaries are records with a wrong label, copied from the given ones with noise in their features. A fair coin
    decides of each whether it is trained on. Afterwards those the model has learned best are guessed to be in, and
    those learned least to be out; under differential privacy only so many guesses can be right. One run is enough, as
    every canary is a trial of its own. The lower bound holds with the stated confidence; how near it comes to the
    true epsilon depends on canaries and guesses: with 100 canaries, all guessed right, it is 3.1.

    The model must not have been trained before, and is of no use afterwards: it has learned wrong labels. One that
    `for_budget` made must have been told of `len(y) + canaries` examples.

    Source: Steinke, Nasr and Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023, algorithm 1 and
    theorem 5.2.

    Args:
        model: a compiled, untrained `mpreg.DPSGD` of a classifier with integer labels.
        records: `(x, y)` to train on besides, floating-point features and integer labels.
        batch_size: expected records a step, drawn by Poisson sampling.
        epochs: passes.
        canaries: number of canaries, at least 10.
        confidence: strictly between 0 and 1.
        delta: of the claim; None takes the model's.
        seed: of canaries, coins and batches; None draws from the operating system.

    Returns:
        A `DPAudit`: print it.

    Raises:
        ValueError: an option out of range, a model that was trained before, or records that do not fit.
        TypeError: a model that is not a `DPSGD`.

    Example:
    ```python
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0, delta=1e-5)
    model.compile("sgd", "sparse_categorical_crossentropy")
    print(mpreg.audit_dp(model, split.members, batch_size=64, epochs=20))
    ```
    """
    if not isinstance(model, DPSGD):
        raise TypeError(f"model must be an mpreg.DPSGD. Received: {model!r}")
    check_count("canaries", canaries, 10)
    check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    check_fraction("confidence", confidence)
    delta = model.delta if delta is None else delta
    check_delta(delta)
    if model.privacy_history():
        raise ValueError(
            "the model has been trained before, so the canaries cannot tell about all of its training. "
            f"Build it anew. Received: {sum(part.steps for part in model.privacy_history())} steps"
        )
    x, y = check_pair(records, "records")
    rng = np.random.default_rng(seed)
    canary_x, canary_y = make_canaries(x, y, canaries, rng)
    included = rng.integers(0, 2, canaries).astype(bool)
    train = (
        _append(x, map_arrays(lambda part: part[included], canary_x)),
        np.concatenate([y, canary_y[included]]),
    )
    # The probability must not tell how many canaries are in: it is that of a data set with all of them.
    drawn = Sampling("poisson", len(y) + canaries, min(batch_size, len(y) + canaries))
    batches = sampled_dataset(*train, drawn, None if seed is None else seed + 1)
    model.fit(batches, epochs=epochs, verbose=0)
    scores = canary_scores(model, canary_x, canary_y)
    bound, guesses, correct = best_bound(scores, included, delta, confidence)
    claimed = model.privacy_spent(delta).epsilon
    return DPAudit(bound, claimed, confidence, canaries, guesses, correct, delta)


def make_canaries(x, y, count, rng):
    """Records `(x, y)` like the given ones but with wrong labels: what only memory can get right."""
    if np.asarray(y).ndim > 1 and np.shape(y)[1] > 1:
        raise ValueError(f"audit_dp needs integer labels. Received: labels of shape {np.shape(y)}")
    rows = rng.choice(len(y), count, replace=count > len(y))
    classes = int(np.max(y)) + 1
    labels = (y[rows] + rng.integers(1, max(classes, 2), (count, *np.shape(y)[1:]))) % max(classes, 2)
    return map_arrays(lambda part: _blurred(part[rows], rng), x), labels.astype(np.asarray(y).dtype)


def _blurred(part, rng):
    if part.dtype.kind != "f":
        return part
    return (part + rng.normal(0.0, np.std(part) or 1.0, part.shape)).astype(part.dtype)


def _append(x, more):
    added = iter(flatten(more))
    return map_arrays(lambda part: np.concatenate([part, next(added)]), x)


def canary_scores(model, x, y):
    """Minus the loss of each canary, (n,)."""

    def score(pair):
        record, label = tf.nest.map_structure(lambda part: part[None], pair)
        answer = call_target(model.target_model, record, training=False)
        return -tf.cast(model.data_loss(record, label, answer), tf.float32)

    score_all = tf.function(lambda pairs: tf.map_fn(score, pairs, fn_output_signature=tf.float32))
    scores = score_all(tf.nest.map_structure(tf.convert_to_tensor, (x, y))).numpy()
    return np.nan_to_num(scores, nan=-np.inf)


def best_bound(scores, included, delta, confidence):
    """`(lower bound, guesses, correct)` of the number of guesses that proves most, the error shared among all tried."""
    order = np.argsort(scores, kind="stable")
    best = (0.0, 0, 0)
    for share in SHARES:
        each = max(1, int(len(scores) * share / 2))  # as many are guessed to be in as out
        correct = int(np.sum(included[order[-each:]]) + np.sum(~included[order[:each]]))
        bound = lower_bound(len(scores), 2 * each, correct, delta, (1 - confidence) / len(SHARES))
        best = max(best, (bound, 2 * each, correct))
    return best


def lower_bound(canaries, guesses, correct, delta, error):
    """The largest epsilon that so many correct guesses refute with this probability of error, at least 0."""
    if p_value(canaries, guesses, correct, 0.0, delta) > error:
        return 0.0
    low, high = 0.0, 1.0
    while p_value(canaries, guesses, correct, high, delta) < error:
        low, high = high, 2 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        below = p_value(canaries, guesses, correct, middle, delta) < error
        low, high = (middle, high) if below else (low, middle)
    return low


def p_value(canaries, guesses, correct, epsilon, delta):
    """The probability, at most, of so many correct guesses under (epsilon, delta)-differential privacy.

    Each guess is right with probability at most e^epsilon / (1 + e^epsilon), whatever the others are, up to delta.
    """
    right = 1.0 / (1.0 + np.exp(-epsilon))
    at_least = stats.binom.sf(correct - 1, guesses, right)
    fewer = stats.binom.sf(correct - 1 - np.arange(1, correct + 1), guesses, right) - at_least
    alpha = np.max(fewer / np.arange(1, correct + 1), initial=0.0)
    return min(1.0, at_least + 2.0 * canaries * delta * alpha)
