"""Membership of users: rows a user, and what is found of them."""

import numpy as np
import pytest

from mpreg import metrics
from mpreg.attacks.user_level import audit_users, rank_rows, score_rows
from mpreg.signals.by_user import RANKS


def test_rows_are_those_of_a_loop_over_users():
    rng = np.random.default_rng(0)
    scores, users = rng.normal(size=50), rng.choice(["b", "a", "c"], 50)
    rows, ids = score_rows(scores, users)
    assert list(ids) == ["a", "b", "c"]
    for row, user in zip(rows, ids, strict=True):
        own = scores[users == user]
        np.testing.assert_allclose(row, [own.mean(), *np.quantile(own, (0.05, 0.25, 0.5, 0.75, 0.95))])


def test_ranks_are_counted_in_bins_that_double():
    words = 40
    order = np.argsort(np.random.default_rng(1).normal(size=(3, 2, words)), axis=-1)
    probabilities = np.full((3, 2, words), 0.0)
    np.put_along_axis(
        probabilities, order, np.linspace(2, 1, words) / np.linspace(2, 1, words).sum(), axis=-1
    )
    ranks = np.array([[0, 1], [2, 3], [39, 0]])
    tokens = np.take_along_axis(order, ranks[..., None], axis=-1)[..., 0]
    rows, ids = rank_rows(probabilities, tokens, [7, 7, 5])
    assert list(ids) == [5, 7] and rows.shape == (2, RANKS + 6)
    expected = np.zeros((2, RANKS))
    expected[0, [0, 5]] = 0.5
    expected[1, [0, 1, 2]] = [0.25, 0.5, 0.25]  # ranks 0; 1 and 2; 3
    np.testing.assert_allclose(rows[:, :RANKS], expected)
    np.testing.assert_allclose(rows[:, :RANKS].sum(axis=1), 1)
    mean = np.log(np.take_along_axis(probabilities, tokens[..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(rows[:, RANKS], [mean[2].mean(), mean[:2].mean()])


def test_users_are_found_that_records_hide_and_strangers_to_the_scores_are_not():
    """A little of each record's score is the user's membership: one record tells little, forty tell nearly all."""
    rng = np.random.default_rng(2)
    users = np.repeat(np.arange(80), 40)
    member = users < 40
    scores = rng.normal(size=len(users)) + 0.5 * member
    sides = [score_rows(scores[side], users[side]) for side in (member, ~member)]
    found = audit_users(*sides)
    assert found.auc > 0.95 and found.accuracy > 0.85
    assert len(found.member_scores) == 40 and list(found.nonmember_users) == list(range(40, 80))
    scores = rng.normal(size=len(users))
    nothing = audit_users(*(score_rows(scores[side], users[side]) for side in (member, ~member)))
    assert abs(nothing.auc - 0.5) < 0.2


def test_limits_have_room_for_users_that_judge_each_other():
    """As in `evaluate`: without, they missed one half in 12 of 100 draws where users say nothing, and so in none."""
    rows = np.random.default_rng(0).normal(size=(2, 40, 6))
    found = audit_users((rows[0], np.arange(40)), (rows[1], np.arange(40, 80)))
    low, high = metrics.auc_interval(found.member_scores, found.nonmember_scores)
    reach = np.subtract(found.auc.interval, found.auc)
    np.testing.assert_allclose(reach, np.sqrt(2) * np.subtract((low, high), found.auc))
    said = found.member_scores >= 0, found.nonmember_scores >= 0
    low, high = metrics.balanced_accuracy_interval(*said)
    reach = np.subtract(found.accuracy.interval, found.accuracy)
    np.testing.assert_allclose(reach, np.sqrt(2) * np.subtract((low, high), found.accuracy))


def test_wrong_calls_are_refused_in_words():
    rows = np.zeros((2, 6)), np.array([1, 2])
    with pytest.raises(ValueError, match="1 users are members and non-members, such as"):
        audit_users(rows, (rows[0], np.array([2, 3])))
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\)"):
        score_rows(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"tokens of shape \(2,\), 2 users"):
        rank_rows(np.full((2, 3, 4), 0.25), np.zeros(2, int), [0, 1])
