"""DP audit in one training run: a lower bound on epsilon from canaries, beside the claimed one."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from mpreg._text import html_lines
from mpreg._validate import check_count, check_fraction
from mpreg.classifiers.calling import call_target
from mpreg.data import check_pair, flatten, map_arrays
from mpreg.private.accounting import Sampling, check_delta, spent
from mpreg.private.dpsgd import DPSGD
from mpreg.private.observer import GradientObserver
from mpreg.private.one_run import best_bound, most_noise
from mpreg.private.sampling import sampled_dataset
from mpreg.private.trade_off import ProfileTradeOff

SEES = {"gradients": "every noisy gradient", "answers": "the trained model"}
LARGEST = 40.0  # epsilon up to which a bound is looked for


@dataclasses.dataclass(frozen=True)
class DPAudit:
    """Holds the result of an audit.

    Args:
        epsilon_lower_bound: what epsilon is at least, with `confidence`, of a training that is what it is claimed to
            be but for its noise; of a training without noise, of any mechanism.
        epsilon: what is claimed, at `delta`.
        confidence: probability with which a bound holds.
        canaries: number of canaries, each in or out by a fair coin.
        guesses, correct: of the guesses that proved most.
        delta: of all epsilons.
        noise_multiplier: what is claimed.
        most_noise: noise multiplier that the training has had at most, with `confidence`; infinite where the guesses
            prove nothing.
        least_noise: noise multiplier that the least noisy step has had at most, as its noise was seen; wrong once in
            a million audits; None where nobody saw it.
        any_mechanism: what epsilon is at least, with `confidence`, whatever the mechanism.
        adversary: who guessed, `"gradients"` or `"answers"`.
    """

    epsilon_lower_bound: float
    epsilon: float
    confidence: float
    canaries: int
    guesses: int
    correct: int
    delta: float
    noise_multiplier: float
    most_noise: float
    least_noise: float | None
    any_mechanism: float
    adversary: str

    @property
    def refuted(self):
        """Whether the claimed epsilon is refuted at this confidence."""
        too_little = self.least_noise is not None and self.least_noise < self.noise_multiplier
        return too_little or self.epsilon_lower_bound > self.epsilon

    def __str__(self):
        verdict = (
            "The claim is refuted: less noise, or less clipping, was at work than is claimed."
            if self.refuted
            else "The claim is not refuted; an audit never proves one."
        )
        noise = ""
        if np.isfinite(self.most_noise):
            noise = f" The noise multiplier was at most {self.most_noise:.3g}; {self.noise_multiplier:.3g} is claimed."
        if self.least_noise is not None:
            noise += f" The least noisy step was seen to have at most {self.least_noise:.3g}."
        return (
            f"Claimed: epsilon {self.epsilon:.4g} at delta {self.delta:g}. Audited: at least "
            f"{self.epsilon_lower_bound:.4g} with {self.confidence:.0%} confidence ({self.correct} of {self.guesses} "
            f"guesses about {self.canaries} canaries were right, by somebody who sees {SEES[self.adversary]}; at least "
            f"{self.any_mechanism:.4g} whatever the mechanism).{noise} {verdict}"
        )

    def _repr_html_(self):
        return html_lines(self)


def audit_dp(
    model: Any,
    records: Any,
    *,
    batch_size: int,
    epochs: int,
    canaries: int = 100,
    confidence: float = 0.95,
    delta: float | None = None,
    adversary: str = "gradients",
    seed: int | None = None,
) -> DPAudit:
    """Trains a compiled `DPSGD` with canaries and computes a lower bound on its epsilon from them.

    Canaries are records with a wrong label, copied from the given ones with noise added to their features. Each is
    included in the training with probability one half. Afterwards those with the highest scores are guessed to be
    included, and those with the lowest excluded; differential privacy limits how many guesses can be right. One
    training run suffices, since every canary is an independent trial.

    Two tests evaluate the guesses. The first assumes the claimed mechanism, Gaussian noise on clipped sums of sampled
    batches, and finds the most noise consistent with the guesses; the bound on epsilon is that of this noise. The
    second holds for any mechanism, and gives a lower bound. Either comes near the true epsilon only with many
    canaries whose gradients differ: use hundreds, and a model with many more weights than canaries.

    The model must be untrained, and must not be deployed afterwards: it has learned wrong labels. A model made by
    `for_budget` must have been given `len(y) + canaries` examples.

    Source: Mahloujifar, Melis and Chaudhuri, "Auditing f-Differential Privacy in One Run", ICML 2025; Steinke, Nasr and
    Jagielski, "Privacy Auditing with One (1) Training Run", NeurIPS 2023, algorithm 1 and theorem 5.2; Nasr et al.,
    "Tight Auditing of Differentially Private Machine Learning", USENIX Security 2023, for scores by gradients.

    Args:
        model: a compiled, untrained `mpreg.DPSGD` of a classifier with integer labels.
        records: `(x, y)` to train on besides, floating-point features and integer labels.
        batch_size: expected records a step, drawn by Poisson sampling.
        epochs: passes.
        canaries: number of canaries, at least 10.
        confidence: strictly between 0 and 1.
        delta: of the claim; None takes the model's.
        adversary: who guesses: `"gradients"`, somebody who sees every noisy gradient, from whom the claim protects too;
            or `"answers"`, somebody who sees the trained model alone and scores by the loss, which tells far less.
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
    print(mpreg.audit_dp(model, split.members, batch_size=64, epochs=20, canaries=500))
    ```
    """
    if not isinstance(model, DPSGD):
        raise TypeError(f"model must be an mpreg.DPSGD. Received: {model!r}")
    check_count("canaries", canaries, 10)
    check_count("epochs", epochs, 1)
    check_count("batch_size", batch_size, 1)
    check_fraction("confidence", confidence)
    if adversary not in SEES:
        raise ValueError(f"adversary must be one of {list(SEES)}. Received: adversary={adversary!r}")
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
    if adversary == "gradients":
        model.observer = GradientObserver((canary_x, canary_y), (x, y), canaries, drawn)
    try:
        model.fit(batches, epochs=epochs, verbose=0)
        (segment,) = model.privacy_history()
        scores, least_noise = _seen(model, canary_x, canary_y, segment)
    finally:
        model.observer = None
    found = judge(scores, included, segment, delta, confidence)
    return DPAudit(
        epsilon=model.privacy_spent(delta).epsilon,
        confidence=confidence,
        delta=delta,
        noise_multiplier=model.noise_multiplier,
        least_noise=least_noise,
        adversary=adversary,
        **found,
    )


def _seen(model, x, y, segment):
    """Scores of the canaries, and the noise of the least noisy step where that was seen."""
    if model.observer is None:
        return canary_scores(model, x, y), None
    noisy = segment.noise_multiplier > 0
    return model.observer.scores, model.observer.noise_limit(model, segment.steps) if noisy else None


def judge(scores, included, segment, delta, confidence):
    """Returns what the canaries' scores prove about a training claimed to be a `Segment`: fields of `DPAudit`."""
    any_mechanism, guessed = best_bound(scores, included, delta, confidence)
    noise, bound = np.inf, any_mechanism
    if segment.noise_multiplier > 0:

        def of(noise):
            return dataclasses.replace(segment, noise_multiplier=noise)

        def curve(noise):
            return ProfileTradeOff.of_training(segment.sampling, noise, segment.steps)

        least = _least_noise(lambda noise: spent([of(noise)], delta, tight_up_to=0).epsilon)
        noise, guessed = most_noise(
            scores, included, curve, confidence, claimed=segment.noise_multiplier, least=least
        )
        bound = spent([of(noise)], delta).epsilon if np.isfinite(noise) else 0.0
    return {
        "epsilon_lower_bound": bound,
        "most_noise": noise,
        "any_mechanism": any_mechanism,
        "canaries": guessed.canaries,
        "guesses": guessed.made,
        "correct": guessed.correct,
    }


def _least_noise(epsilon_of):
    """A noise whose epsilon is near `LARGEST`: below it nothing is looked for."""
    noise = 1.0
    while epsilon_of(noise) < LARGEST:
        noise /= 1.25
    while epsilon_of(noise) > LARGEST:
        noise *= 1.25
    return noise


def make_canaries(x, y, count, rng):
    """Returns records `(x, y)` like the given ones with wrong labels, which only memorization gets right."""
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
    """Returns minus the loss of each canary, (n,)."""

    def score(pair):
        record, label = tf.nest.map_structure(lambda part: part[None], pair)
        answer = call_target(model.target_model, record, training=False)
        return -tf.cast(model.data_loss(record, label, answer), tf.float32)

    score_all = tf.function(lambda pairs: tf.map_fn(score, pairs, fn_output_signature=tf.float32))
    scores = score_all(tf.nest.map_structure(tf.convert_to_tensor, (x, y))).numpy()
    return np.nan_to_num(scores, nan=-np.inf)
