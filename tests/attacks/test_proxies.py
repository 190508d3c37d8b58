"""The offline ratio with proxies: it is as a naive loop has it, and does not look at a record's own IN models."""

import numpy as np
import pytest
from scipy import stats

from mpreg import metrics, signals
from mpreg.attacks import Access, LikelihoodRatioAttack, ProxyAttack, ShadowModels, suite
from mpreg.attacks.proxies import PROXIES
from mpreg.signals import read_answers

SIDE, MODELS = 100, 8


def world(*, lift, seed=0):
    """Two classes; members' confidence is higher, the less so the easier a record is."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 2 * SIDE)
    ease = rng.normal(size=2 * SIDE)
    membership = np.array([rng.permutation(2 * SIDE) < SIDE for _ in range(MODELS)])
    membership[1::2] = ~membership[::2]

    def answers(trained):
        confidence = 2 * ease + lift * (1 - 0.5 * np.tanh(ease)) * trained + 0.3 * rng.normal(size=2 * SIDE)
        own = 1 / (1 + np.exp(-confidence))
        return np.where(np.arange(2) == labels[:, None], own[:, None], 1 - own[:, None])

    target = answers(np.arange(2 * SIDE) < SIDE)
    shadows = ShadowModels(membership, np.stack([answers(own) for own in membership]), labels)
    sides = [read_answers(target[rows], labels[rows]) for rows in (slice(SIDE), slice(SIDE, None))]
    return Access(*sides, shadows=shadows, seed=0)


def naive(access):
    membership = access.shadows.membership
    values = np.stack([signals.logit_confidence(access.shadows.answers(model)) for model in range(MODELS)])
    target = signals.logit_confidence(access.answers)

    def moments(chosen):
        groups = [values[chosen[:, record], record] for record in range(2 * SIDE)]
        within = sum(((one - one.mean()) ** 2).sum() for one in groups) / sum(len(one) - 1 for one in groups)
        return np.array([one.mean() for one in groups]), within

    (near, inner), (far, outer) = moments(membership), moments(~membership)
    ranked = list(np.argsort(far))
    scores = []
    for record in range(2 * SIDE):
        place = ranked.index(record)
        start = min(max(place - PROXIES // 2, 0), 2 * SIDE - PROXIES - 1)
        proxies = [other for other in ranked[start : start + PROXIES + 1] if other != record]
        own = stats.norm(near[proxies].mean(), np.sqrt(inner + near[proxies].var()))
        scores.append(
            own.logpdf(target[record]) - stats.norm.logpdf(target[record], far[record], np.sqrt(outer))
        )
    return np.array(scores)


def test_scores_are_those_of_a_naive_loop():
    access = world(lift=1.0)
    np.testing.assert_allclose(ProxyAttack().score_all(access), naive(access), atol=1e-9)


def test_a_records_own_models_with_it_are_not_looked_at():
    """One record of very many: what shadow models trained on it answer moves its score by next to nothing."""
    access = world(lift=1.0)
    before = ProxyAttack().score_all(access)
    own, record = access.shadows.membership[:, 7], 7
    access.shadows.predictions = access.shadows.predictions.copy()
    access.shadows.predictions[own, record] = access.shadows.predictions[own, record][:, ::-1]
    after = ProxyAttack().score_all(access)
    ratio = LikelihoodRatioAttack().score_all(access)
    assert abs(after[record] - before[record]) < 0.5 < abs(ratio[record] - before[record])


def test_records_that_no_model_was_trained_on_are_judged():
    access = world(lift=1.5)
    access.shadows.membership = access.shadows.membership.copy()
    access.shadows.membership[:, ::2] = False
    scores = ProxyAttack().score_all(access)
    assert np.isfinite(scores).all()
    assert metrics.auc(scores[:SIDE:2], scores[SIDE::2]) > 0.9  # those that are in none


def test_it_goes_by_its_key_and_coverage_is_checked():
    assert isinstance(suite(["likelihood_ratio_proxies"])[1], ProxyAttack)
    access = world(lift=1.0)
    access.shadows.membership = access.shadows.membership.copy()
    access.shadows.membership[:, 3] = True
    with pytest.raises(ValueError, match="trained on by all"):
        ProxyAttack().score_all(access)
