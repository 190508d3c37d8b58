"""`MembershipSplit`: roles that are drawn, read and checked, and records that stand in one role only."""

import copy
import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from mpreg import MembershipSplit
from mpreg.data import check_pair, flatten, is_batched, label_indices, map_arrays, take
from mpreg.data.duplicates import digest_records, first_equal


def table(records=60, features=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(records, features)).astype(np.float32), rng.integers(0, classes, records)


def three_roles(x, y, sizes=(20, 10)):
    ends = np.cumsum(sizes)
    return [(part, label) for part, label in zip(np.split(x, ends), np.split(y, ends), strict=True)]


def roles_of(split):
    return [split.members, split.reference, split.nonmembers]


class TestFromArrays:
    def test_roles_have_the_sizes_asked_for_and_share_no_record(self):
        x, y = np.arange(100)[:, None], np.arange(100) % 4
        split = MembershipSplit.from_arrays(x, y, members=30, reference=20, seed=0)
        rows = [part[0][:, 0] for part in roles_of(split)]
        assert [len(part) for part in rows] == [30, 20, 50]
        assert sorted(np.concatenate(rows)) == list(range(100))
        for part, labels in roles_of(split):
            np.testing.assert_array_equal(labels, part[:, 0] % 4)

    def test_the_seed_alone_decides(self):
        x, y = table()
        first, again, other = (
            MembershipSplit.from_arrays(x, y, members=20, reference=10, seed=seed) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first.members[0], again.members[0])
        assert not np.array_equal(first.members[0], other.members[0])

    def test_the_number_of_nonmembers_may_be_limited(self):
        split = MembershipSplit.from_arrays(*table(), members=20, reference=10, nonmembers=7, seed=0)
        assert len(split.nonmembers[1]) == 7

    def test_no_reference_is_none(self):
        split = MembershipSplit.from_arrays(*table(), members=20, reference=0, seed=0)
        assert split.reference is None
        assert repr(split) == "MembershipSplit(members=20, reference=None, nonmembers=40)"

    def test_drop_removes_copies_before_the_draw(self):
        x, y = table(30)
        split = MembershipSplit.from_arrays(
            np.r_[x, x], np.r_[y, y], members=10, reference=5, seed=0, duplicates="drop"
        )
        assert sum(len(labels) for _, labels in roles_of(split)) == 30

    def test_numpy_counts_serve(self):
        split = MembershipSplit.from_arrays(
            *table(), members=np.int64(20), reference=np.int32(0), seed=np.int64(3)
        )
        assert len(split.members[1]) == 20


class TestDuplicates:
    def test_copies_are_counted_and_named_across_all_roles(self):
        x, y = table(40)
        members, reference, nonmembers = three_roles(x, y)
        reference[0][3], nonmembers[0][4], nonmembers[0][6] = members[0][7], members[0][0], reference[0][9]
        message = (
            "records that stand in an earlier role too: 3 (reference[3] equals members[7], "
            "nonmembers[4] equals members[0], nonmembers[6] equals reference[9]). "
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            MembershipSplit(members, reference, nonmembers)

    def test_only_the_first_few_are_named(self):
        x, y = table(20)
        with pytest.raises(ValueError, match=r"too: 20 \(.*nonmembers\[2\] equals members\[2\], \.\.\.\)\. "):
            MembershipSplit((x, y), None, (x, y))

    @pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float16, np.float64, bool])
    def test_equal_numbers_are_copies_whatever_type_they_are_stored_as(self, dtype):
        x = np.eye(6, dtype=np.float32)
        y = np.arange(6) % 2
        with pytest.raises(ValueError, match="too: 1 "):
            MembershipSplit((x[:3], y[:3]), None, (x[2:].astype(dtype), y[2:]))

    def test_minus_zero_is_zero(self):
        x = np.array([[0.0, 1.0], [2.0, 3.0]])
        with pytest.raises(ValueError, match="too: 1 "):
            MembershipSplit((x, [0, 1]), None, (np.array([[-0.0, 1.0]]), [0]))

    def test_large_integers_that_float32_cannot_tell_apart_are_distinct(self):
        x = 2**24 + np.arange(4)[:, None]
        split = MembershipSplit((x[:2], [0, 1]), None, (x[2:], [0, 1]))
        assert len(split.nonmembers[1]) == 2
        with pytest.raises(ValueError, match="too: 1 "):
            MembershipSplit((x[:3], [0, 1, 0]), None, (x[2:], [0, 1]))

    def test_order_of_features_counts(self):
        MembershipSplit(([[1.0, 2.0]], [0]), None, ([[2.0, 1.0]], [0]))

    def test_text_of_different_widths_is_compared_as_text(self):
        members, others = np.array([["ab"], ["c"]]), np.array([["c"], ["longer"]])
        assert members.dtype != others.dtype
        with pytest.raises(ValueError, match=r"too: 1 \(nonmembers\[0\] equals members\[1\]\)"):
            MembershipSplit((members, [0, 1]), None, (others, [0, 1]))
        with pytest.raises(ValueError, match="too: 1 "):
            MembershipSplit((members.astype("S"), [0, 1]), None, (others, [0, 1]))

    def test_records_of_several_inputs_are_equal_only_as_a_whole(self):
        a, b = np.arange(4)[:, None], np.zeros((4, 2))
        MembershipSplit(({"a": a, "b": b}, [0] * 4), None, ({"b": b, "a": a + 10}, [0] * 4))
        with pytest.raises(ValueError, match="too: 4 "):
            MembershipSplit(({"a": a, "b": b}, [0] * 4), None, ({"b": b, "a": a}, [0] * 4))

    def test_drop_keeps_the_earliest_role(self):
        x, y = table(30)
        members, reference, nonmembers = (x[:10], y[:10]), (x[5:20], y[5:20]), (x[15:], y[15:])
        split = MembershipSplit(members, reference, nonmembers, duplicates="drop")
        for part, rows in zip(roles_of(split), (range(10), range(10, 20), range(20, 30)), strict=True):
            np.testing.assert_array_equal(part[0], x[list(rows)])
            np.testing.assert_array_equal(part[1], y[list(rows)])

    def test_allow_keeps_all(self):
        x, y = table(10)
        split = MembershipSplit((x, y), None, (x, y), duplicates="allow")
        assert len(split.nonmembers[1]) == 10

    def test_copies_within_a_role_are_no_ones_business(self):
        x, y = table(10)
        MembershipSplit((np.r_[x, x], np.r_[y, y]), None, (x + 1, y))

    def test_digests_agree_with_a_naive_comparison(self):
        x = np.random.default_rng(0).integers(0, 2, (300, 6)).astype(np.uint8)
        naive = [next(j for j in range(len(x)) if np.array_equal(x[j], x[i])) for i in range(len(x))]
        np.testing.assert_array_equal(first_equal(digest_records(x)), naive)

    def test_single_bits_change_both_digests(self):
        x = np.zeros((65, 64), np.float32)
        x[1:] = np.eye(64)
        digests = digest_records(x)
        assert all(len(np.unique(digests[:, lane])) == 65 for lane in range(2))

    def test_digests_do_not_depend_on_memory_layout_or_blocks(self):
        x = np.random.default_rng(0).normal(size=(50, 7))
        digests = digest_records(x)
        np.testing.assert_array_equal(digest_records(np.asfortranarray(x)), digests)
        np.testing.assert_array_equal(digest_records(x, at_once=8), digests)


class TestRoles:
    def test_it_is_frozen_and_changes_nothing(self):
        x, y = table(40)
        given = three_roles(x, y)
        before = copy.deepcopy(given)
        split = MembershipSplit(*given, duplicates="drop")
        for (x_now, y_now), (x_then, y_then) in zip(given, before, strict=True):
            np.testing.assert_array_equal(x_now, x_then)
            np.testing.assert_array_equal(y_now, y_then)
        with pytest.raises(dataclasses.FrozenInstanceError):
            split.members = None

    def test_it_can_be_compared_and_hashed(self):
        split = MembershipSplit.from_arrays(*table(), members=20, reference=0, seed=0)
        assert split == split and len({split, split}) == 1

    def test_a_pair_may_be_a_list_and_records_plain_lists(self):
        split = MembershipSplit([[[0.0], [1.0]], [0, 1]], None, ([[2.0]], [1]))
        assert split.members[0].shape == (2, 1)

    @pytest.mark.parametrize(
        "make", [lambda y: y[:, None], lambda y: np.eye(3)[y], lambda y: y.astype(float)]
    )
    def test_labels_are_kept_as_given(self, make):
        x, y = table(30)
        split = MembershipSplit.from_arrays(x, make(y), members=10, reference=10, seed=0)
        plain = MembershipSplit.from_arrays(x, y, members=10, reference=10, seed=0)
        assert split.members[1].shape[1:] == make(y).shape[1:]
        np.testing.assert_array_equal(label_indices(split.members[1]), plain.members[1])

    def test_a_table_of_numbers_and_flags_is_numbers(self):
        class Frame:  # as pandas has it: columns of floats and of booleans together are an array of objects
            def __array__(self, dtype=None, copy=None):
                return np.array([[0.5, True], [2, False], [3, True]], dtype=object)

        split = MembershipSplit.from_arrays(Frame(), [0, 1, 1], members=2, reference=0, seed=0)
        assert split.members[0].dtype == np.float64
        assert split.members[0].shape == (2, 2)

    def test_tables_of_pandas_serve(self):
        pandas = pytest.importorskip("pandas")
        x, y = table(30)
        frame = pandas.DataFrame(x, columns=list("abcde")).assign(flag=x[:, 0] > 0)
        labels = pandas.Series(y, index=range(100, 130))
        split = MembershipSplit.from_arrays(frame, labels, members=10, reference=0, seed=0)
        assert split.members[0].dtype == np.float64
        assert split.members[0].shape == (10, 6)


class TestDatasets:
    @pytest.mark.parametrize("one_hot", [False, True])
    @pytest.mark.parametrize("batch", [None, 8])
    @pytest.mark.parametrize("drop_remainder", [False, True])
    def test_a_dataset_is_its_arrays(self, one_hot, batch, drop_remainder):
        x, y = table(32)
        y = np.eye(3, dtype=np.float32)[y] if one_hot else y
        dataset = tf.data.Dataset.from_tensor_slices((x, y))
        if batch:
            dataset = dataset.batch(batch, drop_remainder=drop_remainder)
        read_x, read_y = check_pair(dataset, "members")
        np.testing.assert_array_equal(read_x, x)
        np.testing.assert_array_equal(read_y, y)

    @pytest.mark.parametrize("features", [3, 4])
    def test_one_hot_records_as_long_as_their_labels_are_no_batches(self, features):
        x, y = table(12, features=features)
        dataset = tf.data.Dataset.from_tensor_slices((x, np.eye(features, dtype=np.float32)[y]))
        assert not is_batched(dataset)
        assert check_pair(dataset, "members")[0].shape == (12, features)

    def test_a_fixed_batch_as_long_as_a_record_is_a_batch(self):
        x, y = table(20, features=5)
        assert is_batched(tf.data.Dataset.from_tensor_slices((x, y)).batch(5, drop_remainder=True))

    def test_several_inputs(self):
        a, b = np.arange(12.0)[:, None], np.arange(24.0).reshape(12, 2)
        for x in ({"b": b, "a": a}, (a, b)):
            dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(12) % 2)).batch(5)
            read = check_pair(dataset, "members")[0]
            for name in x if isinstance(x, dict) else range(2):
                np.testing.assert_array_equal(read[name], x[name])

    def test_text(self):
        dataset = tf.data.Dataset.from_tensor_slices((["a", "bc", "d"], [0, 1, 0]))
        for read in (dataset, dataset.batch(2)):
            assert check_pair(read, "members")[0].tolist() == [b"a", b"bc", b"d"]

    def test_roles_may_be_datasets(self):
        x, y = table(40)
        roles = [tf.data.Dataset.from_tensor_slices(role).batch(4) for role in three_roles(x, y)]
        split = MembershipSplit(*roles)
        np.testing.assert_array_equal(np.concatenate([part for part, _ in roles_of(split)]), x)


class TestStructures:
    def test_arrays_come_in_one_order_everywhere(self):
        x = {"b": np.ones((3, 1)), "a": np.zeros((3, 2))}
        assert [array.shape[1] for array in flatten(x)] == [2, 1]
        assert list(map_arrays(len, x)) == ["a", "b"]

    def test_take_takes_rows_of_each_input(self):
        x, y = take(((np.arange(4), np.arange(8).reshape(4, 2)), np.arange(4)), [2, 0])
        assert x[0].tolist() == [2, 0] and x[1].tolist() == [[4, 5], [0, 1]] and y.tolist() == [2, 0]
