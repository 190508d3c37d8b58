"""The label-only attack and the altered copies it asks about."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mpreg import metrics, signals
from mpreg.attacks.access import Access
from mpreg.attacks.crossfit import cross_fit
from mpreg.attacks.gap import GapAttack
from mpreg.attacks.label_only import LabelOnlyAttack
from mpreg.attacks.suites import suite
from mpreg.data.augmentations import BitFlips, GaussianNoise, ShiftsAndFlips, default_augmentation
from mpreg.signals import read_both


def memory(x, y, *, classes=3):
    """A model that answers with the label of the nearest of these records, surer the nearer it is."""

    def ask(queries):
        flat, known = (np.reshape(array, (len(array), -1)).astype(float) for array in (queries, x))
        distances = ((flat[:, None] - known[None]) ** 2).sum(axis=2)
        logits = np.full((len(queries), classes), -50.0)
        for label in range(classes):
            logits[:, label] = -distances[:, y == label].min(axis=1)
        return logits

    return ask


def access_to(ask, x, y, members, *, read=None):
    read = read or {"from_logits": True}
    answers = read_both((ask(x[:members]), y[:members]), (ask(x[members:]), y[members:]), **read)
    return Access(*answers, inputs=(x[:members], x[members:]), query=ask, prediction_options=read, seed=0)


def records(count=120, *, kind="continuous", seed=0):
    rng = np.random.default_rng(seed)
    x = {
        "continuous": lambda: rng.normal(size=(count, 12)).astype("float32"),
        "binary": lambda: rng.integers(0, 2, (count, 40)).astype("float32"),
        "images": lambda: rng.random((count, 6, 6, 1)).astype("float32"),
    }[kind]()
    return x, rng.integers(0, 3, count)


def judged(attack, access):
    """The verdicts on all records, each by a copy of the attack that never saw its membership."""
    return cross_fit(attack, access.members, access.nonmembers, scores=attack.prepare(access))


def by_scikit_learn(rows, members, *, folds=5, seed=0):
    """The scores of a cross-fitted logistic regression on rows, members first, in the folds that a seed deals."""
    rng = np.random.default_rng(seed)
    parts = np.concatenate([rng.permutation(count) % folds for count in (members, len(rows) - members)])
    membership = np.arange(len(rows)) < members
    scores = np.empty(len(rows))
    for fold in range(folds):
        known = parts != fold
        weights = np.where(membership, 1 / np.sum(membership & known), 1 / np.sum(~membership & known))
        model = LogisticRegression(C=0.1 * known.sum() / 2, max_iter=5000, tol=1e-10).fit(
            rows[known], membership[known], weights[known]
        )
        scores[~known] = model.decision_function(rows[~known])
    return scores[:members], scores[members:]


class TestLabelOnly:
    def test_it_reads_which_labels_are_right(self):
        x, y = records(60)
        ask = memory(x[:30], y[:30])
        copies = [x + 0.4, x - 0.7, x * 2, x[::-1]]
        rows = LabelOnlyAttack(lambda x: copies).prepare(access_to(ask, x, y, 30))
        for record in range(60):
            for column, copy in enumerate([x, *copies]):
                assert rows[record, column] == (ask(copy[record : record + 1]).argmax() == y[record])

    def test_its_scores_are_those_of_a_logistic_regression_on_these(self):
        """Of scikit-learn, with weights written out, on folds dealt as cross-fitting deals them."""
        x, y = records(150)
        access = access_to(memory(x[:90], y[:90]), x, y, 90)
        attack = LabelOnlyAttack(lambda x: [x + 0.4, x - 0.7, x * 2, x[::-1]])
        found = judged(attack, access)
        expected = by_scikit_learn(attack.prepare(access), 90)
        np.testing.assert_allclose(found.member_scores, expected[0], atol=5e-3)
        np.testing.assert_allclose(found.nonmember_scores, expected[1], atol=5e-3)
        np.testing.assert_array_equal(found.member_decisions, found.member_scores >= 0)
        assert len(set(found.member_scores)) > 10

    def test_a_copy_that_tells_counts_for_more_than_many_that_do_not(self):
        """Members keep their label on one copy of twenty, others on another: a sum would see nothing."""
        members = np.arange(200) < 100
        noise = np.random.default_rng(0).random((200, 20)) < 0.5
        rows = np.column_stack([np.ones(200), noise, members, ~members]).astype(float)
        assert metrics.auc(rows[members].sum(axis=1), rows[~members].sum(axis=1)) < 0.6
        attack = LabelOnlyAttack().fit(rows[members][::2], rows[~members][::2])
        assert metrics.auc(attack.score(rows[members][1::2]), attack.score(rows[~members][1::2])) == 1.0

    @pytest.mark.parametrize("kind", ["continuous", "binary"])
    def test_it_finds_members_among_the_correctly_classified(self, kind):
        """Where the gap attack sees nothing: each non-member has a near copy of its own label among the members."""
        x, y = records(160, kind=kind)
        rng = np.random.default_rng(1)
        if kind == "binary":
            others = np.where(rng.random(x.shape) < 0.25, 1 - x, x)
        else:
            others = x + rng.normal(0, 0.9, x.shape).astype("float32")
        ask = memory(x, y)
        kept = ask(others).argmax(axis=1) == y
        access = access_to(ask, np.concatenate([x, others[kept]]), np.concatenate([y, y[kept]]), len(x))
        gap = cross_fit(GapAttack(), access.members, access.nonmembers)
        assert metrics.auc(gap.member_scores, gap.nonmember_scores) == 0.5
        augment = BitFlips((0.3,)) if kind == "binary" else GaussianNoise((0.5,))
        found = judged(LabelOnlyAttack(augment), access)
        assert metrics.auc(found.member_scores, found.nonmember_scores) > 0.65

    def test_only_the_predicted_label_is_read(self):
        x, y = records(80)
        ask = memory(x[:40], y[:40])

        def label_only(queries):
            return np.eye(3)[ask(queries).argmax(axis=1)]

        attack = LabelOnlyAttack()
        expected = attack.prepare(access_to(ask, x, y, 40))
        served = attack.prepare(access_to(label_only, x, y, 40, read={"from_logits": False}))
        np.testing.assert_array_equal(served, expected)
        assert len(set(expected.sum(axis=1))) > 3

    @pytest.mark.parametrize(("kind", "copies"), [("continuous", 32), ("binary", 32), ("images", 17)])
    def test_queries_are_counted(self, kind, copies):
        x, y = records(20, kind=kind)
        access = access_to(memory(x[:10], y[:10]), x, y, 10)
        LabelOnlyAttack().prepare(access)
        assert access.queries == copies * 20

    def test_the_seed_decides(self):
        x, y = records(60)
        ask = memory(x[:30], y[:30])
        first, again, other = (access_to(ask, x, y, 30) for _ in range(3))
        other.seed = 1
        rows = LabelOnlyAttack().prepare(first)
        np.testing.assert_array_equal(LabelOnlyAttack().prepare(again), rows)
        assert (LabelOnlyAttack().prepare(other) != rows).any()

    def test_cross_fitted_it_is_no_worse_than_the_gap(self):
        x, y = records(200)
        access = access_to(memory(x[:100], y[:100]), x, y, 100)
        attack = LabelOnlyAttack()
        scores = attack.prepare(access)
        reached = [
            metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)
            for verdicts in (
                cross_fit(each, access.members, access.nonmembers, scores=own)
                for each, own in ((attack, scores), (GapAttack(), None))
            )
        ]
        assert reached[0] > reached[1]

    def test_what_it_needs(self):
        assert LabelOnlyAttack.needs == {"records", "model"}

    def test_bad_augmentations_are_refused(self):
        with pytest.raises(ValueError, match="augment must be a function .* Received: 'noise'"):
            LabelOnlyAttack("noise")
        x, y = records(20)
        access = access_to(memory(x[:10], y[:10]), x, y, 10)
        with pytest.raises(ValueError, match="at least one altered copy"):
            LabelOnlyAttack(lambda x: iter(())).prepare(access)
        with pytest.raises(ValueError, match="5 predictions for 20 labels"):
            LabelOnlyAttack(lambda x: [x[:5]]).prepare(access)
        with pytest.raises(ValueError, match="only images.*shape \\(20, 12\\)"):
            LabelOnlyAttack(ShiftsAndFlips()).prepare(access)


class TestShiftsAndFlips:
    @pytest.mark.parametrize(("pixels", "copies"), [(0, 1), (1, 17), (2, 49)])
    def test_all_moves_but_none(self, pixels, copies):
        x, _ = records(4, kind="images")
        found = list(ShiftsAndFlips(pixels)(x))
        assert len(found) == copies
        assert len({copy.tobytes() for copy in [x, *found]}) == copies + 1
        assert all(copy.shape == x.shape and copy.dtype == x.dtype for copy in found)

    def test_a_move_repeats_the_edge(self):
        x = np.arange(12).reshape(1, 3, 4)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="edge")
        expected = {
            image.tobytes()
            for down in range(3)
            for right in range(3)
            for moved in [padded[:, down : down + 3, right : right + 4]]
            for image in (moved, moved[:, :, ::-1])
        }
        assert {np.ascontiguousarray(copy).tobytes() for copy in ShiftsAndFlips()(x)} == expected - {
            x.tobytes()
        }

    def test_every_array_of_a_record_moves(self):
        x = {"left": np.random.default_rng(0).random((2, 5, 5)), "right": np.zeros((2, 4, 4, 3))}
        for copy in ShiftsAndFlips()(x):
            assert sorted(copy) == ["left", "right"] and copy["right"].shape == (2, 4, 4, 3)


class TestNoise:
    def test_gaussian_noise_is_in_standard_deviations_of_each_feature(self):
        x = np.random.default_rng(0).normal(size=(4000, 3)).astype("float32") * [1.0, 100.0, 0.0]
        copies = list(GaussianNoise((0.5, 2.0), copies=3)(x.astype("float32")))
        assert len(copies) == 6 and copies[0].dtype == np.float32
        for copy, scale in zip(copies, [0.5] * 3 + [2.0] * 3, strict=True):
            noise = (copy - x).std(axis=0) / np.maximum(x.std(axis=0), 1e-9)
            np.testing.assert_allclose(noise, [scale, scale, 0.0], rtol=0.1)
        assert np.corrcoef((copies[0] - x)[:, 0], (copies[1] - x)[:, 0])[0, 1] < 0.1

    def test_noise_on_whole_numbers_is_not_rounded_away(self):
        x = np.random.default_rng(0).integers(0, 50, (100, 2))
        copy = next(GaussianNoise((0.1,))(x))
        assert copy.dtype == np.float32 and (copy != np.round(copy)).any()

    def test_integers_are_swapped_for_those_of_other_records(self):
        rng = np.random.default_rng(0)
        x = {"words": rng.integers(0, 50, (400, 9)) + 100 * np.arange(9), "weight": rng.normal(size=(400, 2))}
        copies = list(default_augmentation(x)(x))
        plain = list(GaussianNoise()(x["weight"]))
        assert len(copies) == len(plain) == 32
        for copy, share in zip(copies, [0.05] * 16 + [0.125] * 16, strict=True):
            assert copy["words"].dtype == x["words"].dtype and copy["weight"].dtype == x["weight"].dtype
            assert all(
                set(column) <= set(own) for column, own in zip(copy["words"].T, x["words"].T, strict=True)
            )
            assert (copy["words"] != x["words"]).mean() == pytest.approx(share * 0.98, abs=0.02)
            assert (copy["weight"] != x["weight"]).all()
        alone = list(default_augmentation(x["weight"])(x["weight"]))
        np.testing.assert_array_equal(alone, plain)

    @pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
    def test_bits_are_turned_at_their_rate(self, kind):
        x = np.random.default_rng(0).integers(0, 2, (500, 80)).astype(kind)
        copies = list(BitFlips((0.02, 0.4), copies=2)(x))
        assert len(copies) == 4 and all(copy.dtype == kind for copy in copies)
        assert all(set(np.unique(copy)) == {0, 1} for copy in copies)
        np.testing.assert_allclose([(copy != x).mean() for copy in copies], [0.02, 0.02, 0.4, 0.4], rtol=0.1)

    def test_the_seed_decides(self):
        x, _ = records(10)
        first, again, other = (next(GaussianNoise(seed=seed)(x)) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).all()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: GaussianNoise(()), r"scales must be numbers above 0. Received: scales="),
            (lambda: GaussianNoise((1.0, 0.0)), "scales must be"),
            (lambda: GaussianNoise((np.inf,)), "scales must be"),
            (lambda: GaussianNoise(copies=0), "copies must be"),
            (lambda: BitFlips((0.6,)), "rates must be numbers above 0 and at most 0.5. Received: rates="),
            (lambda: BitFlips((np.nan,)), "rates must be"),
            (lambda: BitFlips(copies=0), "copies must be"),
            (lambda: ShiftsAndFlips(-1), "pixels must be"),
            (lambda: next(BitFlips()(np.full((2, 3), 0.5))), "values 0 and 1"),
            (lambda: next(GaussianNoise()(np.array([["a"], ["b"]]))), "features that are numbers"),
        ],
    )
    def test_bad_options_are_refused(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(
    ("kind", "expected"), [("continuous", GaussianNoise), ("binary", BitFlips), ("images", ShiftsAndFlips)]
)
def test_the_usual_augmentation_suits_the_records(kind, expected):
    assert isinstance(default_augmentation(records(8, kind=kind)[0]), expected)


@pytest.mark.parametrize("attack", ["label_only", "moved_queries"])
def test_a_model_of_words_is_asked_about_words_alone(attack):
    """Whose embedding has no vector for a number between two words, or beyond them."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 3))

    def ask(words):
        assert words.dtype.kind == "i" and words.min() >= 0
        return vectors[words].mean(axis=1)

    access = access_to(ask, rng.integers(0, 30, (40, 8)), rng.integers(0, 3, 40), 20)
    (attack,) = suite(["gap", attack])[1:]
    assert np.isfinite(attack.prepare(access)).all()


def test_correctness_is_that_of_the_signals():
    """The one reading of "classified correctly" that all columns have."""
    x, y = records(30)
    access = access_to(memory(x[:15], y[:15]), x, y, 15)
    rows = LabelOnlyAttack(lambda x: [x]).prepare(access)
    np.testing.assert_array_equal(rows, np.column_stack([signals.correctness(access.answers)] * 2))
