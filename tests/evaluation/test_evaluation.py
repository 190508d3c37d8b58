"""Reports: what they say of models of any kind, with which limits, and in which forms."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from scipy import special
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import mpreg
from mpreg import attacks as all_attacks
from mpreg import evaluate, evaluate_predictions, metrics
from mpreg._text import markdown_table, percent, percent_with_interval, plain_text
from mpreg.attacks import (
    Attack,
    GapAttack,
    OneShadowAttack,
    RandomThresholdAttack,
    ThresholdAttack,
    TransferAttack,
    suite,
)
from mpreg.metrics import Estimate


def draw(records, classes, margin, rng):
    labels = rng.integers(0, classes, records)
    logits = rng.normal(size=(records, classes)) * 2
    logits[np.arange(records), labels] += margin
    return logits, labels


def two_sides(members=120, nonmembers=90, classes=4, margins=(4.0, 2.0), seed=0):
    rng = np.random.default_rng(seed)
    return (
        *draw(members, classes, margins[0], rng),
        *draw(nonmembers, classes, margins[1], rng),
    )


def report_on(attacks="fast", **options):
    return evaluate_predictions(*two_sides(**options), attacks=attacks, from_logits=True)


@pytest.fixture(scope="module")
def report():
    return report_on("standard")


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    x = rng.normal(size=(150, 4)) + np.eye(3)[y] @ rng.normal(size=(3, 4))
    return mpreg.MembershipSplit.from_arrays(x.astype("float32"), y, members=60, reference=30, seed=0)


def network(activation="softmax", units=3):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])


def markdown_cells(text):
    """The cells of the Markdown table in a text, header first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in (lines[0], *lines[2:])]


class Fixed(Attack):
    """Decides by given scores, from 0 on, in the order of the records."""

    def __init__(self, name, members, nonmembers):
        self.name, self.threshold, self.learns = name, 0.0, False
        self.scores = {0: members, 1: nonmembers}

    def fit(self, members, nonmembers, *, seed=0):
        return self

    def score(self, answers):
        # The first class's probability numbers the records, the label names the side.
        rows = np.rint(answers.probabilities[:, 0] * 1000).astype(int)
        return np.array([self.scores[side][row] for side, row in zip(answers.labels, rows, strict=True)])


def evaluate_scores(*named_scores):
    """A report on given scores, a tuple an attack: name, member scores, non-member scores. The gap is none."""
    sizes = [len(side) for side in named_scores[0][1:]]
    numbered = [np.arange(size) / 1000 for size in sizes]
    predictions = [
        np.c_[p, np.zeros_like(p), 1 - p] for p in numbered
    ]  # the third class, which no record has
    labels = [np.full(size, side) for side, size in enumerate(sizes)]
    return evaluate_predictions(
        predictions[0],
        labels[0],
        predictions[1],
        labels[1],
        attacks=[Fixed(*one) for one in named_scores],
    )


class TestHeadline:
    def test_it_is_the_strongest_of_all_attacks(self, report):
        accuracies = {name: float(result.accuracy) for name, result in report.attacks.items()}
        assert float(report.attack_accuracy) == max(accuracies.values())
        assert accuracies[report.strongest_attack] == max(accuracies.values())
        assert report.strongest is report.attacks[report.strongest_attack]
        assert all(result.name == name for name, result in report.attacks.items())

    def test_no_report_is_below_its_gap(self):
        for seed in range(5):
            found = report_on([ThresholdAttack("entropy")], seed=seed)
            assert float(found.attack_accuracy) >= found.gap_bound - 1e-12
            assert float(found.attacks["gap"].accuracy) == pytest.approx(found.gap_bound)

    def test_its_interval_is_bonferronis(self):
        scores = np.r_[np.ones(30), -np.ones(10)], np.r_[np.ones(15), -np.ones(25)]
        found = evaluate_scores(("a", *scores), ("b", *scores), ("c", *scores))
        decisions = [side >= 0 for side in scores]
        assert found.strongest_attack == "a" and float(found.attack_accuracy) == 0.6875
        expected = metrics.balanced_accuracy_interval(*decisions, confidence=1 - 0.05 / 4)
        assert found.attack_accuracy.interval == expected

    def test_it_is_never_narrower_than_its_attacks_own(self):
        for attacks in ("fast", [ThresholdAttack("loss")]):
            found = report_on(attacks)
            assert found.attack_accuracy.low <= found.strongest.accuracy.low
            assert found.attack_accuracy.high >= found.strongest.accuracy.high

    def test_accuracies_are_those_of_the_model(self, report):
        member_logits, member_y, nonmember_logits, nonmember_y = two_sides()
        train, test = (
            np.mean(logits.argmax(axis=1) == y)
            for logits, y in ((member_logits, member_y), (nonmember_logits, nonmember_y))
        )
        assert (float(report.train_accuracy), float(report.test_accuracy)) == (train, test)
        assert report.generalization_gap == pytest.approx(train - test)
        right = int((member_logits.argmax(axis=1) == member_y).sum())
        assert report.train_accuracy.interval == metrics.clopper_pearson(right, 120)
        assert (report.members, report.nonmembers, report.classes) == (120, 90, 4)


class TestIntervals:
    def test_an_attack_that_learns_nothing_has_the_plain_ones(self):
        gap = report_on().attacks["gap"]
        decided = gap.member_scores >= 0.5, gap.nonmember_scores >= 0.5
        assert gap.accuracy.interval == metrics.balanced_accuracy_interval(*decided)
        assert gap.auc.interval == metrics.auc_interval(gap.member_scores, gap.nonmember_scores)

    def test_an_attack_that_learns_has_them_root_two_as_wide(self):
        result = report_on().attacks["loss threshold"]
        low, high = metrics.auc_interval(result.member_scores, result.nonmember_scores)
        assert result.auc.low == pytest.approx(result.auc - np.sqrt(2) * (result.auc - low))
        assert result.auc.high == pytest.approx(min(1, result.auc + np.sqrt(2) * (high - result.auc)))

    def test_models_that_leak_nothing_are_rarely_said_to_leak(self):
        """60 models that ignore membership: .5 lies outside 5 % of the 95 % limits at most, but for chance."""
        excluded, headlines = [], []
        for seed in range(60):
            found = report_on(members=60, nonmembers=60, margins=(2.0, 2.0), seed=seed)
            limits = [result.accuracy for result in found.attacks.values()]
            excluded.append([not limit.low <= 0.5 <= limit.high for limit in limits])
            headlines.append(found.attack_accuracy.low > 0.5)
        share = np.mean(excluded, axis=0)
        assert share.max() <= 0.12, dict(zip(found.attacks, share, strict=True))
        assert np.mean(excluded) <= 0.05
        assert np.mean(headlines) <= 0.12

    def test_a_model_that_leaks_everything(self):
        y = np.arange(90) % 3
        right, wrong = (np.where(np.eye(3)[(y + step) % 3] > 0, 0.98, 0.01) for step in (0, 1))
        found = evaluate_predictions(right, y, wrong, y)
        for result in found.attacks.values():
            if result.name.split()[0] not in ("confidence", "entropy"):
                assert float(result.accuracy) == float(result.auc) == float(result.advantage) == 1.0
                assert result.epsilon_lower_bound > 1
        assert float(found.attack_accuracy) == 1.0 and found.attack_accuracy.high == 1.0

    def test_rates_without_a_threshold_are_those_of_the_scores(self):
        rng = np.random.default_rng(0)
        y = np.arange(120) % 3
        sides = [(rng.normal(size=(120, 3)).round(1) + shift * np.eye(3)[y], y) for shift in (2.0, 0.5)]
        found = evaluate_predictions(*sides[0], *sides[1], attacks="fast", from_logits=True)
        for result in found.attacks.values():
            scores = result.member_scores, result.nonmember_scores
            assert float(result.auc) == metrics.auc(*scores)
            assert float(result.advantage) == metrics.attack_advantage(*scores)
            assert result.epsilon_lower_bound == metrics.epsilon_lower_bound(*scores)
        assert max(result.epsilon_lower_bound for result in found.attacks.values()) > 0


class TestForms:
    def test_logits_and_probabilities_give_the_same_report(self):
        logits = two_sides()
        probabilities = [special.softmax(part, axis=1) if part.ndim == 2 else part for part in logits]
        one, other = (
            evaluate_predictions(*form, attacks="fast").to_dict() for form in (logits, probabilities)
        )
        assert json.dumps(one) == json.dumps(other)

    def test_integer_and_one_hot_labels_give_the_same_report(self):
        parts = two_sides()
        one_hot = [np.eye(4)[part] if part.ndim == 1 else part for part in parts]
        one, other = (evaluate_predictions(*form, attacks="fast").to_json() for form in (parts, one_hot))
        assert one == other

    def test_one_column_and_two_give_the_same_report(self):
        parts = two_sides(classes=2)
        two = [special.softmax(part, axis=1) if part.ndim == 2 else part for part in parts]
        one = [part[:, 1] if part.ndim == 2 else part for part in two]
        column = [part[:, None] if part.dtype.kind == "f" else part for part in one]
        first, *others = (evaluate_predictions(*form, attacks="fast") for form in (two, one, column))
        for other in others:
            assert float(other.attack_accuracy) == float(first.attack_accuracy)
            assert other.train_accuracy == first.train_accuracy and other.classes == 2

    @pytest.mark.parametrize(("members", "nonmembers"), [(2, 2), (200, 7), (7, 200)])
    def test_sides_of_any_size(self, members, nonmembers):
        found = report_on("standard", members=members, nonmembers=nonmembers)
        json.loads(found.to_json())
        assert len(found.strongest.member_scores) == members

    def test_classes_on_one_side_only(self):
        logits, _, other_logits, _ = two_sides(60, 60)
        found = evaluate_predictions(logits, np.arange(60) % 2, other_logits, 2 + np.arange(60) % 2)
        assert 0 <= found.attack_accuracy <= 1

    def test_the_predictions_are_not_changed(self):
        parts = two_sides()
        before = [part.copy() for part in parts]
        evaluate_predictions(*parts, attacks="standard")
        for part, copy in zip(parts, before, strict=True):
            np.testing.assert_array_equal(part, copy)


class TestModels:
    def test_a_keras_model(self, split):
        model = network()
        found = evaluate(model, split, attacks="fast")
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        for pair, accuracy in (
            (split.members, found.train_accuracy),
            (split.nonmembers, found.test_accuracy),
        ):
            assert float(accuracy) == pytest.approx(model.evaluate(*pair, verbose=0)[1])

    def test_logits_of_a_keras_model_say_the_same(self, split):
        softmax, linear = network(), network(activation=None)
        one, other = (evaluate(model, split, attacks="fast") for model in (softmax, linear))
        for name, result in one.attacks.items():
            assert float(result.auc) == pytest.approx(float(other.attacks[name].auc), abs=1e-3)

    def test_a_binary_model_of_one_unit(self, split):
        roles = [(x, y % 2) for x, y in (split.members, split.nonmembers)]
        binary = mpreg.MembershipSplit(roles[0], None, roles[1])
        assert evaluate(network("sigmoid", 1), binary, attacks="fast").classes == 2

    def test_the_wrapper_is_judged_as_its_target(self, split):
        target = network()
        wrapper = mpreg.AdversarialRegularization(target, split.reference, penalty=1.0)
        one, other = (
            evaluate(model, split, attacks="fast", reference=True).to_json() for model in (target, wrapper)
        )
        assert one == other
        assert evaluate(wrapper, split, attacks="fast").to_json() == one  # it knows what it has consumed

    def test_a_class_of_the_reference_alone(self):
        """A forest answers for the classes that it saw: a record of another tells an attacker nothing."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(120, 5)), rng.integers(0, 3, 120)
        y[80] = 3
        sides = [(x[start : start + 40], y[start : start + 40]) for start in (0, 80, 40)]
        split = mpreg.MembershipSplit(*sides)

        def forest(x, y, seed=0):
            return RandomForestClassifier(5, random_state=seed).fit(x, y)

        shadows = mpreg.ShadowTraining(forest, count=4)
        options = {"attacks": ["relative_likelihood"], "shadows": shadows, "reference": True}
        report = mpreg.evaluate(forest(*split.members), split, **options)
        assert (report.classes, report.reference.members) == (3, 39)
        assert report.reference.notes == (
            "1 reference records of classes that no judged record has: left out.",
        )
        without = mpreg.MembershipSplit(sides[0], (x[81:], y[81:]), sides[2])
        other = mpreg.evaluate(forest(*split.members), without, **options)
        assert other.to_dict()["attacks"] == report.to_dict()["attacks"]

    @pytest.mark.parametrize("model", [RandomForestClassifier(20, random_state=0), LogisticRegression()])
    def test_models_of_scikit_learn(self, split, model):
        model.fit(*split.members)
        found = evaluate(model, split, attacks="fast")
        assert float(found.train_accuracy) == pytest.approx(model.score(*split.members))
        assert float(found.test_accuracy) == pytest.approx(model.score(*split.nonmembers))

    def test_a_class_that_the_model_never_saw_is_one_it_gets_wrong(self):
        x = np.arange(24.0)[:, None]
        y = np.r_[np.tile([0, 2], 6), np.tile([0, 1, 2, 3], 3)]
        split = mpreg.MembershipSplit((x[:12], y[:12]), None, (x[12:], y[12:]))
        forest = RandomForestClassifier(5, random_state=0).fit(*split.members)
        found = evaluate(forest, split, attacks="fast")
        assert found.classes == 4
        assert float(found.test_accuracy) == pytest.approx(np.mean(forest.predict(x[12:]) == y[12:]))

    def test_one_hot_labels(self, split):
        one_hot = mpreg.MembershipSplit(
            *((x, np.eye(3)[y]) for x, y in (split.members, split.reference, split.nonmembers))
        )
        one, other = (evaluate(network(), form, attacks="fast").to_json() for form in (split, one_hot))
        assert one == other

    def test_labels_of_a_single_class(self, split):
        single = mpreg.MembershipSplit(
            *((x, 0 * y) for x, y in (split.members, split.reference, split.nonmembers))
        )
        forest = RandomForestClassifier(3, random_state=0).fit(*single.members)
        for model in (network(), forest):
            found = evaluate(model, single, attacks="fast")
            assert found.classes >= 2
        assert float(found.attack_accuracy) == 0.5


class TestReport:
    def test_it_is_frozen(self, report):
        for result in (report, report.strongest):
            with pytest.raises(dataclasses.FrozenInstanceError):
                result.notes = ()
        with pytest.raises(AttributeError):
            report.attack_accuracy.low = 0.0
        assert report == report and len({report}) == 1

    def test_json_is_strict_and_complete(self, report, tmp_path):
        def refuse(constant):
            raise AssertionError(f"{constant} is no JSON")

        text = report.to_json(tmp_path / "report.json")
        assert (tmp_path / "report.json").read_text("utf-8") == text
        content = json.loads(text, parse_constant=refuse)
        assert content == report.to_dict()
        assert content["schema"] == "mpreg.report/1"
        assert content["attack_accuracy"] == {
            "value": float(report.attack_accuracy),
            "low": report.attack_accuracy.low,
            "high": report.attack_accuracy.high,
        }
        assert set(content["attacks"]) == set(report.attacks)
        assert content["attacks"]["gap"]["tpr_at_fpr"].keys() == {"0", "0.001", "0.01"}

    def test_what_is_undefined_is_null(self):
        y = np.zeros(20, int)
        worse, better = np.array([[0.4, 0.6]] * 20), np.array([[0.9, 0.1]] * 20)
        found = evaluate_predictions(worse, y, better, y, attacks=[ThresholdAttack("loss")])
        assert np.isnan(found.attacks["loss threshold"].precision)
        content = json.loads(found.to_json())
        assert content["attacks"]["loss threshold"]["precision"] == {"value": None, "low": 0.0, "high": 1.0}
        assert "nan" not in found.to_markdown()

    def test_numpy_seeds_are_plain_numbers_in_json(self):
        found = evaluate_predictions(*two_sides(), attacks="fast", seed=np.int64(2))
        assert json.loads(found.to_json())["seed"] == 2

    def test_markdown_is_a_table_strongest_first(self, report):
        lines = [line for line in report.to_markdown().splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) <= set("| -")
        names = [line.split("|")[1].strip() for line in lines[2:]]
        assert names[0] == report.strongest_attack and set(names) == set(report.attacks)
        assert report.strongest_attack in report.to_markdown().splitlines()[0]

    def test_printed_it_is_a_table_whose_columns_are_aligned_and_hold_the_same(self, report):
        shown, table = str(report), markdown_cells(report.to_markdown())
        assert not any(line.startswith("|") for line in shown.splitlines()) and "**" not in shown
        assert " ".join(shown.split()).startswith(f"Strongest attack: {report.strongest_attack}")
        lines = plain_text(report.to_markdown(), width=10_000).splitlines()
        rule = next(at for at, line in enumerate(lines) if line and set(line) <= {"-", " "})
        starts = [
            at for at, mark in enumerate(lines[rule]) if mark == "-" and lines[rule][at - 1 : at] != "-"
        ]
        rows = [lines[rule - 1], *lines[rule + 1 : rule + len(table)]]
        cells = [
            [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in rows
        ]
        assert cells == table

    def test_a_printed_table_fits_the_terminal_as_far_as_its_words_allow(self, report):
        narrow = plain_text(report.to_markdown(), width=110).splitlines()
        rule = next(line for line in narrow if line and set(line) <= {"-", " "})
        assert len(rule) <= 110

    def test_classes_are_listed_from_the_one_that_leaks_most(self, report):
        rates = [float(leak.attack_accuracy) for leak in report.leakage_per_class()]
        known = [rate for rate in rates if rate == rate]
        assert known == sorted(known, reverse=True) and rates[: len(known)] == known

    def test_too_few_nonmembers_are_noted(self, report):
        assert any("at least 10,000" in note for note in report.attacks["gap"].notes)
        assert "\n- TPR at 0.1% FPR rests on 0 of 90 non-members" in report.to_markdown()

    def test_provenance(self, report):
        assert report.provenance["mpreg"] == mpreg.__version__
        assert report.provenance["numpy"] == np.__version__
        assert {"python", "tensorflow", "keras", "scikit-learn"} <= set(report.provenance)

    def test_the_same_seed_gives_the_same_report(self, report):
        assert report_on("standard").to_json() == report.to_json()

    def test_scores_are_in_the_order_of_the_records(self):
        members, nonmembers = np.linspace(-1, 1, 30), np.linspace(-2, 0.5, 20)
        result = evaluate_scores(("fixed", members, nonmembers)).attacks["fixed"]
        np.testing.assert_array_equal(result.member_scores, members)
        np.testing.assert_array_equal(result.nonmember_scores, nonmembers)


class TestComparison:
    def test_the_table_has_a_row_a_model(self, report):
        table = mpreg.compare({"undefended": report, "a | b\nc": report}).to_markdown()
        lines = [line for line in table.splitlines() if line.startswith("|")]
        assert len(lines) == 4
        assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
        assert "| a \\| b c |" in lines[3]
        assert "Measured on 120 members and 90 non-members" in table
        assert "not attacked alike" not in table

    def test_it_says_where_models_were_not_attacked_alike(self, report):
        assert "not attacked alike" in mpreg.compare({"a": report, "b": report_on("fast")}).to_markdown()

    def test_json(self, report, tmp_path):
        comparison = mpreg.compare({"a": report})
        text = comparison.to_json(tmp_path / "comparison.json")
        assert json.loads(text)["reports"]["a"] == report.to_dict()
        assert comparison["a"] is report


class TestTables:
    def test_percent(self):
        assert [percent(rate) for rate in (0, 0.571, 1, 0.001, 0.0001)] == [
            "0.0 %",
            "57.1 %",
            "100.0 %",
            "0.1 %",
            "0.01 %",
        ]

    def test_percent_with_interval(self):
        assert percent_with_interval(Estimate(0.571, 0.553, 0.589)) == "57.1 % [55.3, 58.9]"
        assert percent_with_interval(Estimate(float("nan"), 0, 1)) == "-"

    def test_cells_cannot_break_the_table(self):
        assert markdown_table(["a"], [["x|y\nz"]]) == "| a |\n| --- |\n| x\\|y z |"


def test_an_attack_of_your_own_is_reported():
    class Margin(Attack):
        name = "margin"

        def fit(self, members, nonmembers, *, seed=0):
            self.threshold = metrics.best_threshold(self.score(members), self.score(nonmembers))

        def score(self, answers):
            ranked = np.sort(answers.log_probabilities, axis=1)
            return ranked[:, -1] - ranked[:, -2]

    found = report_on([Margin(), GapAttack()])
    assert set(found.attacks) == {"margin", "gap"}
    assert found.to_dict()["attacks"]["margin"]["key"] is None  # a name is all that it must have
    assert found.to_dict()["attacks"]["margin"]["threat_model"] is None
    Margin.key, Margin.threat_model = "top_margin", "sees the two highest probabilities"
    said = report_on([Margin()]).to_dict()["attacks"]["margin"]
    assert (said["key"], said["threat_model"]) == ("top_margin", "sees the two highest probabilities")


def test_every_attack_of_ours_says_what_it_is_and_who_carries_it_out():
    others = [
        RandomThresholdAttack(),
        all_attacks.UnsupervisedWhiteBoxAttack(),
        all_attacks.TrajectoryAttack,  # the class says it: one is made with the snapshots of a training
        OneShadowAttack(),
        TransferAttack(np.full((4, 2), 0.5), np.full((4, 2), 0.5)),
    ]
    listed = {attack.name: attack for attack in [*suite("strong"), *suite("whitebox")]}  # some are in both
    ours = [*listed.values(), *others]
    assert len({attack.key for attack in ours}) == len(ours)
    for attack in ours:
        assert attack.key.isidentifier() and attack.key == attack.key.lower()
        assert attack.threat_model.split()[0] in ("sees", "holds")  # answers, or the model itself
    assert {getattr(attack, "__name__", type(attack).__name__) for attack in ours} == {
        name
        for name in dir(all_attacks)
        if name.endswith("Attack") and name not in ("Attack", "PreparedAttack")
    }


@pytest.fixture(scope="module")
def leaky(split):
    """Knows its reference records by heart, and nothing else."""
    known, labels = split.reference

    class Memory:
        consumes_reference = True

        def predict_proba(self, x):
            nearest = np.abs(x[:, None] - known[None]).sum(axis=2)
            sure = np.where(nearest.min(axis=1) < 1e-6, 0.9, 0.4)[:, None]
            return np.where(np.eye(3)[labels[nearest.argmin(axis=1)]] == 1, sure, (1 - sure) / 2)

    return Memory()


class TestReference:
    """Records that a defence learned from are attacked as if they were members."""

    def test_a_leak_of_the_reference_is_seen_there_and_not_in_the_headline(self, leaky, split):
        report = evaluate(leaky, split, attacks="fast")
        assert report.attack_accuracy < 0.75
        assert report.reference.attack_accuracy > 0.95
        assert report.reference.members == len(split.reference[1])
        assert report.reference.nonmembers == report.nonmembers
        assert "30 reference records" in report.to_markdown()
        assert report.to_dict()["reference"]["attack_accuracy"]["value"] == report.reference.attack_accuracy

    def test_it_equals_an_evaluation_with_the_roles_swapped(self, leaky, split):
        swapped = mpreg.MembershipSplit(split.reference, split.members, split.nonmembers)
        expected = evaluate(leaky, swapped, attacks="fast", reference=False)
        found = evaluate(leaky, split, attacks="fast", reference=True).reference
        assert {name: float(result.auc) for name, result in found.attacks.items()} == {
            name: float(result.auc) for name, result in expected.attacks.items()
        }

    def test_only_a_wrapper_that_consumed_it_is_asked_unless_the_caller_says(self, split):
        assert evaluate(network(), split, attacks="fast").reference is None
        report = evaluate(network(), split, attacks="fast", reference=True)
        header, rows = mpreg.compare({"a": report, "b": dataclasses.replace(report, reference=None)}).rows()
        assert header[-1] == "attack on reference"
        assert rows[0][-1].endswith("]") and rows[1][-1] == "-"
        assert (
            "attack on reference"
            not in mpreg.compare({"b": dataclasses.replace(report, reference=None)}).to_markdown()
        )

    def test_there_must_be_a_reference_to_attack(self, split):
        bare = mpreg.MembershipSplit(split.members, None, split.nonmembers)
        assert evaluate(network(), bare, attacks="fast").reference is None
        with pytest.raises(ValueError, match="the split has no reference records to attack"):
            evaluate(network(), bare, attacks="fast", reference=True)
