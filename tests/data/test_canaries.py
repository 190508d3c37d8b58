"""`plant_canaries`: which records stand out, how, and what stays as it was."""

import numpy as np
import pytest

import mpreg
from mpreg.data import plant_canaries
from mpreg.data.canaries import KINDS


def drawn(records=120, features=12, classes=4, seed=0, binary=True):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (records, features)) if binary else rng.normal(size=(records, features))
    x = np.unique(x.astype(np.float32), axis=0)
    return rng.permutation(x), rng.integers(0, classes, len(x))


def split_of(x, y, **options):
    options = {"members": 40, "reference": 20, "seed": 0, **options}
    return mpreg.MembershipSplit.from_arrays(x, y, **options)


@pytest.fixture
def split():
    return split_of(*drawn())


def sides(split, planted):
    """Before, after and the canaries' rows, of either side."""
    yield split.members, planted.members, planted.canaries.members
    yield split.nonmembers, planted.nonmembers, planted.canaries.nonmembers


class TestAllKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_all_but_the_canaries_and_the_reference_stay_as_they_are(self, split, kind):
        planted = mpreg.plant_canaries(split, 10, kind, seed=3)
        assert planted.canaries.kind == kind
        for role in (0, 1):
            np.testing.assert_array_equal(planted.reference[role], split.reference[role])
        for before, after, rows in sides(split, planted):
            assert len(np.unique(rows)) == len(rows) == 10
            others = np.setdiff1d(np.arange(len(before[1])), rows)
            for old, new in zip(before, after, strict=True):
                assert new.dtype == old.dtype
                assert new.shape == old.shape
                np.testing.assert_array_equal(new[others], old[others])
            changed = (before[0] != after[0]).any(axis=1) | (before[1] != after[1])
            assert changed[rows].mean() > 0.8
            assert not changed[others].any()

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_canary_equals_another_record(self, split, kind):
        planted = mpreg.plant_canaries(split, 10, kind)
        x = np.concatenate([role[0] for role in (planted.members, planted.reference, planted.nonmembers)])
        assert len(np.unique(x, axis=0)) == len(x)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_seed_alone_decides(self, split, kind):
        first, again, other = (plant_canaries(split, 10, kind, seed=seed) for seed in (1, 1, 2))
        for role in (0, 1):
            np.testing.assert_array_equal(first.members[role], again.members[role])
            np.testing.assert_array_equal(first.nonmembers[role], again.nonmembers[role])
        assert not np.array_equal(first.canaries.members, other.canaries.members)

    def test_what_is_passed_in_is_not_changed(self, split):
        before = [array.copy() for role in (split.members, split.nonmembers) for array in role]
        for kind in KINDS:
            plant_canaries(split, 10, kind)
        for old, new in zip(before, [*split.members, *split.nonmembers], strict=True):
            np.testing.assert_array_equal(old, new)

    def test_copies_of_records_never_become_canaries(self):
        x, y = drawn(80)
        members = np.concatenate([x[:20], x[:18]]), np.concatenate([y[:20], y[:18]])
        split = mpreg.MembershipSplit(members=members, reference=None, nonmembers=(x[20:], y[20:]))
        planted = plant_canaries(split, 2)
        assert sorted(planted.canaries.members) == [18, 19]
        with pytest.raises(ValueError, match="there are 38 members, 2 of them without"):
            plant_canaries(split, 3)

    def test_it_says_that_it_has_canaries(self, split):
        assert "10 twins canaries a side" in repr(plant_canaries(split, 10, "twins"))

    def test_dicts_of_features_serve(self):
        x, y = drawn(binary=False)
        split = split_of({"a": x[:, :5], "b": x[:, 5:]}, y)
        for kind in KINDS:
            planted = plant_canaries(split, 6, kind)
            rows = np.setdiff1d(np.arange(40), planted.canaries.members)
            for name in "ab":
                np.testing.assert_array_equal(planted.members[0][name][rows], split.members[0][name][rows])


class TestMislabelled:
    def test_features_stay_and_every_label_is_another_one_that_occurs(self, split):
        planted = plant_canaries(split, 30)
        for before, after, rows in sides(split, planted):
            np.testing.assert_array_equal(after[0], before[0])
            assert (after[1][rows] != before[1][rows]).all()
            assert set(after[1]) <= set(range(4))

    def test_each_other_class_is_as_likely(self):
        x, y = drawn(4_000, 14)
        split = split_of(x, y, members=1_500, reference=0)
        planted = plant_canaries(split, 1_200)
        rows = planted.canaries.members
        moved = (planted.members[1][rows] - split.members[1][rows]) % 4
        counts = np.bincount(moved, minlength=4)
        assert counts[0] == 0
        assert (abs(counts[1:] / 1_200 - 1 / 3) < 0.05).all()  # 3.7 standard deviations

    def test_classes_that_do_not_occur_are_not_used(self):
        x, y = drawn()
        split = split_of(x, np.where(y < 2, 1, 5))
        planted = plant_canaries(split, 20)
        assert set(planted.members[1]) == {1, 5}

    @pytest.mark.parametrize("form", ["one-hot", "column"])
    def test_the_form_of_the_labels_is_kept(self, form):
        x, y = drawn()
        shaped = np.eye(4, dtype=np.float32)[y] if form == "one-hot" else y[:, None]
        flat, other = plant_canaries(split_of(x, y), 10), plant_canaries(split_of(x, shaped), 10)
        assert other.members[1].shape == (40, 4 if form == "one-hot" else 1)
        assert other.members[1].dtype == shaped.dtype
        np.testing.assert_array_equal(mpreg.data.label_indices(other.members[1]), flat.members[1])

    def test_text_serves(self):
        x = np.array([f"record {number}" for number in range(60)])
        planted = plant_canaries(split_of(x, np.arange(60) % 3, members=20, reference=10), 4)
        assert len(planted.canaries) == 4


class TestOutOfDistribution:
    def test_features_of_a_table_lose_what_joins_them(self):
        rng = np.random.default_rng(0)
        first = rng.normal(size=2_000)
        x = np.stack([first, first + 0.01 * rng.normal(size=2_000)], axis=1)
        planted = plant_canaries(
            split_of(x, np.arange(2_000) % 2, members=900, reference=0), 400, "out-of-distribution"
        )
        made = planted.members[0][planted.canaries.members]
        others = np.delete(planted.members[0], planted.canaries.members, axis=0)
        assert np.corrcoef(others.T)[0, 1] > 0.99
        assert abs(np.corrcoef(made.T)[0, 1]) < 0.25
        assert set(made[:, 0]) <= set(x[:, 0])  # values are some record's

    def test_labels_stay(self, split):
        planted = plant_canaries(split, 10, "out-of-distribution")
        np.testing.assert_array_equal(planted.members[1], split.members[1])

    def test_images_are_noise_of_the_same_range(self):
        rng = np.random.default_rng(0)
        x = (rng.random((80, 6, 6, 1)) * 16).round().astype(np.float32)
        split = split_of(x, np.arange(80) % 4)
        planted = plant_canaries(split, 10, "out-of-distribution")
        made = planted.members[0][planted.canaries.members]
        assert made.shape == (10, 6, 6, 1)
        assert 0 <= made.min() < 4 and 12 < made.max() <= 16

    def test_features_that_take_too_few_values_are_refused(self):
        x = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T  # every record that there can be
        with pytest.raises(ValueError, match="features take too few values"):
            plant_canaries(split_of(x, np.arange(32) % 2, members=14, reference=4), 8, "out-of-distribution")


class TestTwins:
    @pytest.mark.parametrize("binary", [True, False])
    def test_pairs_differ_in_three_features_and_share_a_wrong_label(self, binary):
        split = split_of(*drawn(binary=binary))
        planted = plant_canaries(split, 10, "twins")
        for before, (x, y), rows in sides(split, planted):
            first, second = rows[::2], rows[1::2]
            np.testing.assert_array_equal(x[first], before[0][first])
            assert ((x[first] != x[second]).sum(axis=1) == 3).all()
            np.testing.assert_array_equal(y[first], y[second])
            assert (y[first] != before[1][first]).all()

    def test_an_odd_count_is_refused(self, split):
        with pytest.raises(ValueError, match="count must be even, for twins are pairs. Received: count=5"):
            plant_canaries(split, 5, "twins")
        with pytest.raises(ValueError, match="count must be at least 4 for twins.* Received: count=2"):
            plant_canaries(split, 2, "twins")  # one pair a side leaves none to learn from


class TestRefused:
    def test_too_many(self, split):
        with pytest.raises(ValueError, match="there are 40 members, 40 of them without. Received: count=39"):
            plant_canaries(split, 39)

    def test_one_class(self):
        x, _ = drawn()
        with pytest.raises(ValueError, match="but all records are of class 3"):
            plant_canaries(split_of(x, np.full(len(x), 3)), 4)

    def test_text_without_numbers(self):
        x = np.array([f"record {number}" for number in range(60)])
        split = split_of(x, np.arange(60) % 3, members=20, reference=10)
        with pytest.raises(ValueError, match="Received: text. Use kind='mislabelled'"):
            plant_canaries(split, 4, "twins")

    def test_a_split_that_has_canaries(self, split):
        with pytest.raises(ValueError, match="has canaries already: 4 mislabelled canaries a side"):
            plant_canaries(plant_canaries(split, 4), 4)

    @pytest.mark.parametrize("count", [1, 2.5, True, "10"])
    def test_a_count_that_is_none(self, split, count):
        with pytest.raises(ValueError, match="count must be a whole number, at least 2"):
            plant_canaries(split, count)

    def test_an_unknown_kind_and_something_else_than_a_split(self, split):
        with pytest.raises(ValueError, match="kind must be one of mislabelled, out-of-distribution, twins"):
            plant_canaries(split, 4, "wrong")
        with pytest.raises(TypeError, match=r"split must be an mpreg.MembershipSplit. Received: \(1, 2\)"):
            plant_canaries((1, 2), 4)

    def test_a_split_with_canaries_cannot_drop_records(self, split):
        planted = plant_canaries(split, 4)
        with pytest.raises(ValueError, match="canaries are known by their rows"):
            mpreg.MembershipSplit(
                planted.members, None, planted.nonmembers, duplicates="drop", canaries=planted.canaries
            )
