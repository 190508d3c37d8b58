"""Attacks against brute force, and what must hold of any of them when it is cross-fitted."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from mpreg import metrics, signals
from mpreg.attacks import Attack, GapAttack, ThresholdAttack, TrainedAttack, cross_fit, suite
from mpreg.attacks.suites import optional_in
from mpreg.attacks.threshold import SIGNALS, group_thresholds
from mpreg.signals import read_answers, read_both


def logits_and_labels(records, classes, margin, rng):
    labels = rng.integers(0, classes, records)
    logits = rng.normal(size=(records, classes)) * 2
    logits[np.arange(records), labels] += margin
    return logits, labels


def sides(members=120, nonmembers=90, classes=4, margins=(4.0, 2.0), seed=0):
    """Answers to members and non-members; a higher margin is a surer answer."""
    rng = np.random.default_rng(seed)
    both = zip((members, nonmembers), margins, strict=True)
    return read_both(
        *(logits_and_labels(size, classes, margin, rng) for size, margin in both), from_logits=True
    )


def accuracy(verdicts):
    return metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)


def assert_equal_verdicts(one, other, **tolerance):
    np.testing.assert_array_equal(one.member_decisions, other.member_decisions)
    np.testing.assert_array_equal(one.nonmember_decisions, other.nonmember_decisions)
    np.testing.assert_allclose(one.member_scores, other.member_scores, **tolerance)
    np.testing.assert_allclose(one.nonmember_scores, other.nonmember_scores, **tolerance)


every_attack = pytest.mark.parametrize(
    "attack", [*suite("fast"), TrainedAttack()], ids=lambda attack: attack.name
)
every_fast_attack = pytest.mark.parametrize("attack", suite("fast"), ids=lambda attack: attack.name)


class Memory(Attack):
    """Scores a record by whether it was among the known ones; records are told apart by their label."""

    name = "memory"
    threshold = 0.5

    def fit(self, members, nonmembers, *, seed=0):
        self.seen = {*members.labels.tolist(), *nonmembers.labels.tolist()}
        return self

    def score(self, answers):
        return np.array([float(label in self.seen) for label in answers.labels])


class TestCrossFitting:
    @pytest.mark.parametrize("folds", [2, 5, 7])
    def test_no_record_is_judged_by_an_attack_that_saw_it(self, folds):
        records = 31
        predictions = np.full((records, 2 * records), 1.0 / (2 * records))
        members, nonmembers = read_both(
            (predictions, np.arange(records)), (predictions, records + np.arange(records))
        )
        verdicts = cross_fit(Memory(), members, nonmembers, folds=folds)
        assert not verdicts.member_scores.any() and not verdicts.nonmember_scores.any()
        assert not verdicts.member_decisions.any() and not verdicts.nonmember_decisions.any()

    def test_an_attack_that_learns_nothing_is_asked_once(self):
        asked = []

        class Spy(GapAttack):
            def score(self, answers):
                asked.append(len(answers))
                return super().score(answers)

        one, many = (cross_fit(attack, *sides(20, 52)) for attack in (Spy(), GapAttack()))
        assert asked == [20, 52]
        assert_equal_verdicts(one, many)

    def test_folds_are_even_and_each_knows_the_rest(self):
        sizes = []

        class Spy(GapAttack):
            learns = True

            def fit(self, members, nonmembers, *, seed=0):
                sizes.append((len(members), len(nonmembers)))

        cross_fit(Spy(), *sides(20, 52), folds=5)
        assert [known for known, _ in sizes] == [16] * 5
        assert {known for _, known in sizes} == {41, 42}

    def test_the_attack_itself_is_not_changed(self):
        attack = ThresholdAttack("loss", per_class=True)
        before = dict(attack.__dict__)
        cross_fit(attack, *sides())
        assert attack.__dict__ == before

    @every_attack
    def test_the_seed_decides(self, attack):
        members, nonmembers = sides(40, 40)
        first, again = (cross_fit(attack, members, nonmembers, seed=3) for _ in range(2))
        assert_equal_verdicts(first, again, rtol=0)

    @every_attack
    @pytest.mark.parametrize(("members", "nonmembers"), [(2, 2), (2, 40), (40, 2), (3, 5)])
    def test_tiny_sides(self, attack, members, nonmembers):
        verdicts = cross_fit(attack, *sides(members, nonmembers))
        assert (len(verdicts.member_scores), len(verdicts.nonmember_scores)) == (members, nonmembers)

    def test_scores_of_the_wrong_form_are_refused(self):
        for scores, message in (
            (0.5, r"Received: shape \(\)"),
            (np.full(24, np.nan), "gave NaN for 24 of 24"),
        ):
            attack = Memory()
            attack.score = lambda answers, scores=scores: scores
            with pytest.raises(ValueError, match=f"attack 'memory' .*{message}"):
                cross_fit(attack, *sides(120, 120))


class TestProperties:
    @every_attack
    def test_a_model_that_leaks_everything_is_seen_through(self, attack):
        classes = 3
        y = np.arange(60) % classes
        sure = np.where(np.eye(classes)[y] > 0, 0.98, 0.01)
        wrong = np.where(np.eye(classes)[(y + 1) % classes] > 0, 0.4, 0.3)
        verdicts = cross_fit(attack, *read_both((sure, y), (wrong, y)))
        assert accuracy(verdicts) == 1.0
        assert metrics.auc(verdicts.member_scores, verdicts.nonmember_scores) == 1.0

    @every_attack
    def test_equal_answers_give_no_advantage(self, attack):
        y = np.arange(60) % 3
        answer = np.full((60, 3), 1 / 3)
        verdicts = cross_fit(attack, *read_both((answer, y), (answer, y)))
        assert abs(accuracy(verdicts) - 0.5) < 0.1

    @every_fast_attack
    def test_permuting_the_classes_changes_no_decision(self, attack):
        rng = np.random.default_rng(0)
        drawn = [logits_and_labels(size, 6, margin, rng) for size, margin in ((150, 4.0), (110, 2.0))]
        order = rng.permutation(6)
        permuted = [(logits[:, order], np.argsort(order)[labels]) for logits, labels in drawn]
        one, other = (cross_fit(attack, *read_both(*form, from_logits=True)) for form in (drawn, permuted))
        assert_equal_verdicts(one, other, rtol=1e-9, atol=1e-12)

    @every_fast_attack
    def test_saturated_answers(self, attack):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 3, 80)
        right, mixed = np.eye(3)[y], np.eye(3)[np.where(rng.random(80) < 0.5, y, (y + 1) % 3)]
        verdicts = cross_fit(attack, *read_both((right, y), (mixed, y)))
        assert np.isfinite(verdicts.member_scores).all()
        if (
            attack.name not in ("confidence threshold", "entropy threshold")
            and "per class" not in attack.name
        ):
            assert accuracy(verdicts) == cross_fit_accuracy_of_gap(right, mixed, y)

    @every_attack
    def test_classes_on_one_side_only(self, attack):
        members, nonmembers = sides(60, 60, classes=3)
        shifted = read_answers(
            np.c_[nonmembers.log_probabilities, np.full((60, 3), -9.0)],
            nonmembers.labels + 3,
            from_logits=True,
        )
        padded = read_answers(np.c_[members.log_probabilities, np.full((60, 3), -9.0)], members.labels)
        verdicts = cross_fit(attack, padded, shifted)
        assert np.isfinite(verdicts.member_scores).all() and np.isfinite(verdicts.nonmember_scores).all()

    def test_nothing_leaks_and_few_intervals_say_so(self):
        """Of 80 models that ignore membership, the 95 % limits of a single threshold may exclude .5 for some."""
        excluded = []
        for seed in range(80):
            verdicts = cross_fit(
                ThresholdAttack("loss"), *sides(50, 50, margins=(2.0, 2.0), seed=seed), seed=seed
            )
            low, high = metrics.balanced_accuracy_interval(
                verdicts.member_decisions, verdicts.nonmember_decisions
            )
            excluded.append(not low <= 0.5 <= high)
        assert np.mean(excluded) <= 0.1  # 5 % expected, and two standard errors


def cross_fit_accuracy_of_gap(right, mixed, y):
    return accuracy(cross_fit(GapAttack(), *read_both((right, y), (mixed, y))))


class TestGap:
    def test_its_accuracy_is_the_gap_bound(self):
        members, nonmembers = sides()
        train, test = (signals.correctness(side).mean() for side in (members, nonmembers))
        verdicts = cross_fit(GapAttack(), members, nonmembers)
        assert accuracy(verdicts) == pytest.approx(0.5 + (train - test) / 2)


def gain(threshold, member_values, nonmember_values, sizes):
    return np.sum(member_values >= threshold) / sizes[0] - np.sum(nonmember_values >= threshold) / sizes[1]


class TestThresholds:
    @pytest.mark.parametrize("decimals", [None, 0, 1])
    @pytest.mark.parametrize("seed", range(4))
    def test_per_class_thresholds_are_as_good_as_brute_force(self, decimals, seed):
        rng = np.random.default_rng(seed)
        values, groups = ([rng.normal(size=n) for n in (70, 40)], [rng.integers(0, 6, n) for n in (70, 40)])
        if decimals is not None:
            values = [side.round(decimals) for side in values]
        found = dict(zip(*group_thresholds(*values, *groups), strict=True))
        assert set(found) == set(groups[0]) & set(groups[1])
        for group, threshold in found.items():
            own = [side[labels == group] for side, labels in zip(values, groups, strict=True)]
            best = max(gain(t, *own, (70, 40)) for t in [*np.concatenate(own), np.inf])
            assert gain(threshold, *own, (70, 40)) == pytest.approx(best, abs=1e-12)
            assert threshold not in np.concatenate(own) or best == 0 or threshold == np.concatenate(own).min()

    def test_a_threshold_between_adjacent_floats_admits_only_the_upper(self):
        upper, lower = np.nextafter(1.0, 2.0), 1.0
        _, (threshold,) = group_thresholds(np.array([upper]), np.array([lower]), np.array([0]), np.array([0]))
        assert lower < threshold <= upper

    def test_a_useless_signal_of_a_class_admits_nobody(self):
        _, (threshold,) = group_thresholds(np.array([1.0]), np.array([2.0]), np.array([0]), np.array([0]))
        assert threshold > 2.0

    @pytest.mark.parametrize("signal", SIGNALS)
    def test_the_global_threshold_is_the_best_on_the_known_records(self, signal):
        members, nonmembers = sides()
        attack = ThresholdAttack(signal).fit(members, nonmembers)
        scores = [attack.score(side) for side in (members, nonmembers)]
        truth = np.r_[np.ones(len(members)), np.zeros(len(nonmembers))]
        reached = balanced_accuracy_score(truth, np.concatenate(scores) >= attack.threshold)
        best = max(
            balanced_accuracy_score(truth, np.concatenate(scores) >= t) for t in np.concatenate(scores)
        )
        assert reached == pytest.approx(best)

    @pytest.mark.parametrize("signal", SIGNALS)
    def test_per_class_is_never_worse_on_the_known_records(self, signal):
        members, nonmembers = sides(classes=5)
        reached = []
        for per_class in (False, True):
            attack = ThresholdAttack(signal, per_class=per_class).fit(members, nonmembers)
            decided = [attack.score(side) >= attack.threshold for side in (members, nonmembers)]
            reached.append(metrics.balanced_accuracy(*decided))
        assert reached[1] >= reached[0]

    def test_a_class_unseen_on_a_side_keeps_the_threshold_for_all(self):
        members, nonmembers = sides(classes=3)
        members = members[members.labels != 2]
        everyone = ThresholdAttack("loss").fit(members, nonmembers)
        attack = ThresholdAttack("loss", per_class=True).fit(members, nonmembers)
        unseen = nonmembers[nonmembers.labels == 2]
        np.testing.assert_array_equal(
            attack.score(unseen) >= attack.threshold, everyone.score(unseen) >= everyone.threshold
        )

    def test_where_no_threshold_gains_nobody_is_a_member(self):
        y = np.zeros(10, int)
        worse, better = np.array([[0.6, 0.4]] * 10), np.array([[0.9, 0.1]] * 10)
        for per_class in (False, True):
            verdicts = cross_fit(
                ThresholdAttack("loss", per_class=per_class), *read_both((worse, y), (better, y))
            )
            assert not verdicts.member_decisions.any() and not verdicts.nonmember_decisions.any()
            assert np.isfinite(verdicts.member_scores).all()


class TestTrained:
    def test_it_learns_what_a_threshold_cannot(self):
        """Members of even classes get surer answers, those of odd classes less sure ones."""
        rng = np.random.default_rng(0)
        y = rng.integers(0, 4, 600)
        bumped, plain = (rng.normal(size=(600, 4)) * 0.3 for _ in range(2))
        bumped[np.arange(600), y] += np.where(y % 2 == 0, 3.0, 1.0)
        plain[np.arange(600), y] += np.where(y % 2 == 0, 1.0, 3.0)
        members, nonmembers = read_both((bumped, y), (plain, y), from_logits=True)
        assert accuracy(cross_fit(ThresholdAttack("loss"), members, nonmembers)) < 0.6
        assert accuracy(cross_fit(TrainedAttack(), members, nonmembers)) > 0.9

    @pytest.mark.parametrize("ratio", [(300, 60), (60, 300)])
    def test_both_sides_weigh_alike_however_many_records_they_have(self, ratio):
        verdicts = cross_fit(TrainedAttack(), *sides(*ratio, margins=(6.0, 1.0)))
        assert accuracy(verdicts) > 0.75
        called = verdicts.member_decisions.mean(), 1 - verdicts.nonmember_decisions.mean()
        assert min(called) > 0.65

    @pytest.mark.parametrize("classes", [2, 255, 256])
    def test_any_number_of_classes(self, classes):
        cross_fit(TrainedAttack(), *sides(30, 30, classes=classes), folds=2)


class TestSuites:
    def test_standard_is_fast_and_two_that_learn(self):
        fast, standard = ([attack.name for attack in suite(name)] for name in ("fast", "standard"))
        assert standard == [*fast, "trained", "imitation"]
        assert len(fast) == 1 + 2 * len(SIGNALS)

    def test_an_attack_asked_for_by_itself_takes_the_place_of_one_in_a_suite(self):
        names = [attack.name for attack in suite("standard")]
        assert [attack.name for attack in suite(["standard", "imitation"])] == names
        trained = TrainedAttack()
        assert trained in suite(["standard", trained])
        assert sorted(attack.name for attack in suite(["standard", trained])) == sorted(names)
        assert "quantile regression" in [attack.name for attack in suite(["standard", "quantile"])]

    def test_what_a_suite_alone_asks_for_is_optional(self):
        names = {attack.name for attack in suite("standard")}
        assert optional_in("standard") == optional_in(["standard", "quantile"]) == names
        assert optional_in(["standard", "imitation"]) == names - {"imitation"}
        assert optional_in(["imitation", GapAttack()]) == set()

    def test_the_gap_attack_is_always_there(self):
        assert [attack.name for attack in suite([ThresholdAttack("loss")])] == ["gap", "loss threshold"]
        assert [attack.name for attack in suite((GapAttack(),))] == ["gap"]

    def test_the_gap_attack_cannot_be_replaced_by_name(self):
        impostor = ThresholdAttack("loss")
        impostor.name = "gap"
        with pytest.raises(ValueError, match="different names. Received: \\['gap', 'gap'\\]"):
            suite([impostor])

    def test_the_list_given_is_not_changed(self):
        given = [ThresholdAttack("loss")]
        suite(given)
        assert len(given) == 1
