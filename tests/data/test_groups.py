"""Rows that belong to one record are found, and dealt together."""

import numpy as np
import pytest

from mpreg.data import group_records, join_groups


def partition(groups):
    """The sets of rows that are in one group."""
    return {frozenset(np.flatnonzero(groups == group)) for group in set(groups.tolist())}


def test_different_records_are_groups_of_their_own_in_order():
    x = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_array_equal(group_records(x), np.arange(20))
    np.testing.assert_array_equal(join_groups(x), np.arange(20))


def test_equal_records_are_one_group_counted_by_first_appearance():
    x = np.array([[1.0, 2], [3, 4], [1, 2], [5, 6], [3, 4]])
    np.testing.assert_array_equal(group_records(x), [0, 1, 0, 2, 1])
    np.testing.assert_array_equal(group_records({"a": x[:, :1], "b": x[:, 1:]}), [0, 1, 0, 2, 1])


def test_near_records_are_the_connected_components_of_a_naive_loop():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, size=(60, 7)).astype("float32")
    near = np.linalg.norm(x[:, None] - x[None], axis=-1) <= 1.0
    reach = near.copy()
    for _ in range(60):
        reach = reach @ near
    assert partition(group_records(x, distance=1.0)) == {frozenset(np.flatnonzero(row)) for row in reach}


def test_groups_of_a_user_and_equal_records_join_in_chains():
    x = np.array([[0.0], [1], [1], [2], [3]])
    persons = ["ann", "ann", "bob", "bob", "cy"]
    assert partition(join_groups(x, persons)) == {frozenset({0, 1, 2, 3}), frozenset({4})}
    assert partition(join_groups(np.arange(5.0)[:, None], [7, 7, 3, 3, 7])) == {
        frozenset({0, 1, 4}),
        frozenset({2, 3}),
    }


@pytest.mark.parametrize("groups", [[0, 1], [[0], [1], [2]], [0.5, 1.0, 2.0], [None, 1, 2]])
def test_what_is_not_one_group_a_record_is_refused(groups):
    with pytest.raises(ValueError, match="groups must be whole numbers or text, one for each of 3 records"):
        join_groups(np.arange(3.0)[:, None], groups)


def test_distances_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="distance must be a finite number, at least 0"):
        group_records(np.zeros((2, 2)), distance=-1)
    with pytest.raises(ValueError, match="text has no distance"):
        group_records(np.array([["a"], ["b"]]), distance=1.0)
