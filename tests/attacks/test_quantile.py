"""Quantile regression: a threshold for each record, learned from non-members like it."""

import numpy as np
import pytest

from mpreg import metrics
from mpreg.attacks import Access, QuantileAttack, cross_fit, suite
from mpreg.signals import logit_confidence, read_answers

SIDE = 300


def world(*, lift, wide=1, seed=0):
    """Records whose confidence has a mean and a spread that follow from their first feature; members' is higher."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (2 * SIDE, 2)).astype(np.float32)
    mean, spread = 3.0 * x[:, 0], np.where(x[:, 0] > 0, 1.0, 0.3)
    members = np.arange(2 * SIDE) < SIDE
    confidence = mean + spread * (rng.normal(size=2 * SIDE) + lift * members)
    own = 1 / (1 + np.exp(-confidence))
    labels = rng.integers(0, 2, 2 * SIDE)
    answers = np.where(np.arange(2) == labels[:, None], own[:, None], 1 - own[:, None])
    sides = [read_answers(answers[rows], labels[rows]) for rows in (slice(SIDE), slice(SIDE, None))]
    if wide > 1:
        x = np.tile(x, (1, wide)).reshape(2 * SIDE, wide, 2)
    return Access(*sides, inputs=(x[:SIDE], x[SIDE:])), (confidence - mean) / spread


def judged(access):
    attack = QuantileAttack()
    return cross_fit(attack, access.members, access.nonmembers, scores=attack.prepare(access))


def area(scores):
    return metrics.auc(scores[:SIDE], scores[SIDE:])


@pytest.mark.parametrize("wide", [1, 30])
def test_it_comes_near_to_whoever_knows_how_sure_the_model_is_of_nonmembers(wide):
    """Also where records are wide, of which principal components are read: they keep what tells records apart."""
    access, oracle = world(lift=2.0, wide=wide)
    found = judged(access)
    confidence = logit_confidence(access.answers)
    reached = metrics.auc(found.member_scores, found.nonmember_scores)
    assert area(oracle) > area(confidence) + 0.1
    assert area(confidence) + 0.06 < reached < area(oracle) + 0.02
    assert wide > 1 or reached > area(oracle) - 0.05
    accuracy = metrics.balanced_accuracy(found.member_decisions, found.nonmember_decisions)
    plain = metrics.best_threshold(confidence[:SIDE], confidence[SIDE:])
    assert accuracy > metrics.balanced_accuracy(confidence[:SIDE] >= plain, confidence[SIDE:] >= plain) + 0.03


def test_scores_are_in_distances_from_median_to_upper_quantile():
    """Of known non-members that are all alike: 0 at their median, 1 at their .95 quantile."""
    rng = np.random.default_rng(0)
    known = np.column_stack([np.zeros((2000, 2)), rng.normal(size=2000)])
    attack = QuantileAttack().fit(known[:10] + np.array([0, 0, 5]), known)
    places = np.quantile(known[:, -1], [0.5, 0.95])
    rows = np.column_stack([np.zeros((2, 2)), places])
    np.testing.assert_allclose(attack.score(rows), [0.0, 1.0], atol=0.05)


def test_where_nothing_leaks_it_finds_nothing():
    found = [judged(world(lift=0.0, seed=seed)[0]) for seed in range(2)]
    accuracies = [metrics.balanced_accuracy(one.member_decisions, one.nonmember_decisions) for one in found]
    assert abs(np.mean(accuracies) - 0.5) < 0.05


def test_answers_that_are_all_alike_give_finite_scores():
    answers, labels = np.tile([1.0, 0.0], (8, 1)), np.zeros(8, int)
    sides = [read_answers(answers[rows], labels[rows]) for rows in (slice(4), slice(4, None))]
    x = np.arange(8.0)[:, None]
    found = judged(Access(*sides, inputs=(x[:4], x[4:])))
    assert np.isfinite(found.member_scores).all() and np.isfinite(found.nonmember_scores).all()


def test_it_stands_in_the_strong_suite_and_by_key():
    assert any(isinstance(attack, QuantileAttack) for attack in suite("strong"))
    assert isinstance(suite(["quantile"])[1], QuantileAttack)
