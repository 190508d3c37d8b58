"""Attacks that weigh signals: they believe learned scores where those tell, and the plain mean where nothing does."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mpreg import metrics
from mpreg.attacks import cross_fit
from mpreg.attacks.weighing import WeighingAttack
from mpreg.signals.learned import weights_of

SIDE, COLUMNS = 700, 30


class Weighing(WeighingAttack):
    name = "weighing"
    plain = slice(2)

    def read(self, access):
        raise AssertionError("rows are given")


def rows_of(lifts, *, seed=0, side=SIDE, copies=1):
    """Normal columns, those of members higher by the lifts, a label, and a number that copies share; members first."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(2 * side, COLUMNS))
    rows[:side, : len(lifts)] += lifts
    rows = np.column_stack([rows, rng.integers(0, 5, 2 * side), np.arange(2 * side) % side])
    return np.repeat(rows, copies, axis=0)


def area(scores):
    return metrics.auc(*np.split(scores, 2))


def judged(rows, seed=0):
    side = np.zeros(len(rows) // 2)
    groups = [half[:, -1].astype(int) for half in np.split(rows, 2)]
    found = cross_fit(Weighing(), side, side, scores=rows, groups=groups, seed=seed)
    return np.concatenate([found.member_scores, found.nonmember_scores]), found


@pytest.mark.parametrize("seed", range(3))
def test_weak_signals_are_ranked_as_by_their_plain_mean(seed):
    rows = rows_of([0.12, 0.12], seed=seed)
    assert area(judged(rows)[0]) > area(rows[:, :2].mean(axis=1)) - 0.006


def test_what_other_columns_tell_is_learned():
    rows = rows_of([0.0, 0.0, 0.8, -0.8])
    assert area(judged(rows)[0]) > area(rows[:, 2] - rows[:, 3]) - 0.02
    bent = rows_of([0.0, 0.0])
    bent[:SIDE, 5] *= 3  # members' are further from 0 on either side, which no sum of columns shows
    assert area(judged(bent)[0]) > area(np.abs(bent[:, 5])) - 0.02 > 0.65


def test_where_nothing_leaks_it_finds_nothing():
    areas = [area(judged(rows_of([], seed=seed, side=200))[0]) for seed in range(8)]
    assert abs(np.mean(areas) - 0.5) < 0.03


def test_few_known_records_are_ranked_by_the_plain_mean():
    rows = rows_of([1.0, 1.0], side=5)
    attack = Weighing().fit(rows[:5], rows[5:])
    plain = rows[:, :2] / rows[:, :2].std(axis=0)
    assert (np.argsort(attack.score(rows)) == np.argsort(plain.sum(axis=1))).all()
    assert np.isfinite(attack.threshold)


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_not_taken_for_records_that_bear_each_other_out(seed):
    rows = rows_of([0.15, 0.15], seed=seed, side=200, copies=4)
    assert area(judged(rows)[0]) > area(rows[:, :2].mean(axis=1)) - 0.006


@pytest.mark.parametrize("known", [(1_000, 100), (100, 1_000), (2_400, 1_500), (1_500, 2_400)])
def test_its_threshold_does_not_lean_to_the_side_of_more_known_records(known):
    rows = rows_of([0.0, 0.0], side=3_400)
    rows[: len(rows) // 2, 2] *= 3  # which trees alone see: they take in how many there are of each side
    members, nonmembers = np.split(rows, 2)
    attack = Weighing().fit(members[: known[0]], nonmembers[: known[1]])
    recall, fallout = (
        (attack.score(side[2_400:]) >= attack.threshold).mean() for side in (members, nonmembers)
    )
    accuracy = (recall + 1 - fallout) / 2
    best = max(
        (attack.score(members[2_400:]) >= cut).mean() / 2
        + (attack.score(nonmembers[2_400:]) < cut).mean() / 2
        for cut in np.quantile(attack.score(rows), np.linspace(0, 1, 200))
    )
    assert accuracy > best - 0.025 > 0.65


@pytest.mark.parametrize("known", [(200, 200), (30, 1_500), (1_500, 30)])
def test_chance_is_seldom_believed(known):
    """The likelihood-ratio test, at 5 %, of columns that tell nothing, however unequal the sides are."""
    believed = 0
    for seed in range(20):
        rows = rows_of([], seed=seed, side=max(known))
        members, nonmembers = np.split(rows, 2)
        attack = Weighing().fit(members[: known[0]], nonmembers[: known[1]], seed=seed)
        believed += attack._weights[1:].any()
    assert believed <= 3


def test_constant_columns_and_one_value_everywhere_give_finite_scores():
    numbers = np.arange(40)
    for rows in (np.zeros((40, 5)), np.column_stack([np.ones((40, 4)), np.arange(40) % 3])):
        rows = np.column_stack([rows, numbers])
        attack = Weighing().fit(rows[:20], rows[20:])
        assert np.isfinite(attack.score(rows)).all() and np.isfinite(attack.threshold)


def test_weights_are_those_of_scikit_learn_where_none_would_be_negative():
    rows = rows_of([0.5, 0.7, 0.9])[:-300, :3] * [1.0, 10.0, 0.1]
    membership = np.arange(len(rows)) < SIDE
    weights, offset, _ = weights_of(rows, membership)
    oracle = LogisticRegression(class_weight="balanced", tol=1e-8)
    oracle.fit(rows / rows.std(axis=0), membership)
    np.testing.assert_allclose(weights * rows.std(axis=0), oracle.coef_[0], rtol=1e-3)
    assert offset == pytest.approx(oracle.intercept_[0], rel=1e-3)


def test_no_weight_is_negative():
    weights, _, _ = weights_of(rows_of([-0.5, -0.5, 1.0])[:, :3], np.arange(2 * SIDE) < SIDE)
    assert (weights >= 0).all() and weights[1] == 0 and weights[2] > 0
