"""Limits of the gate: which values they take, whose records they count, and when a figure above one is certain."""

import dataclasses

import numpy as np
import pytest
from scipy import special

import mpreg
from mpreg import metrics
from mpreg.audit.gate import judge, parse_limit
from mpreg.audit.measures import FIGURES
from mpreg.evaluation.headline import ROOM
from mpreg.metrics import FPRS

SHARES = [figure for figure in FIGURES if figure not in ("generalization_gap", "epsilon_lower_bound")]


def side(records, margin, rng, classes=4):
    labels = rng.integers(0, classes, records)
    logits = rng.normal(size=(records, classes)) * 2
    logits[np.arange(records), labels] += margin
    return logits, labels


def report_on(members=120, nonmembers=90, margins=(4.0, 2.0), seed=0):
    rng = np.random.default_rng(seed)
    sides = side(members, margins[0], rng), side(nonmembers, margins[1], rng)
    return mpreg.evaluate_predictions(*sides[0], *sides[1], attacks="fast", from_logits=True)


class TestBounds:
    @pytest.mark.parametrize("figure", SHARES)
    @pytest.mark.parametrize("limit", ["60", "-1", "1.0001", "-0.0001"])
    def test_a_limit_of_a_share_lies_between_0_and_1(self, figure, limit):
        with pytest.raises(
            ValueError, match=f"{figure} must be a share; 0.6 for 60 %. Received: '{figure}={limit}'"
        ):
            parse_limit(f"{figure}={limit}")

    def test_the_ends_are_taken(self):
        for figure in SHARES:
            assert [parse_limit(f"{figure}={end}")[1] for end in (0, 0.25, 1)] == [0, 0.25, 1]

    def test_a_gap_may_be_negative_and_an_epsilon_large(self):
        assert parse_limit("generalization_gap=-0.5") == ("generalization_gap", -0.5)
        assert parse_limit("epsilon_lower_bound=8") == ("epsilon_lower_bound", 8)
        for text in ("generalization_gap=10", "generalization_gap=-1.1", "epsilon_lower_bound=-0.1"):
            with pytest.raises(ValueError, match="must be (a difference of two shares|at least 0)"):
                parse_limit(text)


class TestReference:
    """Reference records that are told apart better than members are the ones that count, and it is said."""

    @pytest.fixture(scope="class")
    @classmethod
    def report(cls):
        return dataclasses.replace(
            report_on(margins=(2.2, 2.0)), reference=report_on(margins=(7.0, 2.0), seed=1)
        )

    @pytest.mark.parametrize("figure", FIGURES)
    def test_the_figure_is_the_higher_of_both(self, report, figure):
        (both,) = judge(report, [(figure, 0.0)])
        alone = [
            judge(part, [(figure, 0.0)])[0]
            for part in (dataclasses.replace(report, reference=None), report.reference)
        ]
        assert both.value == max(gate.value for gate in alone)
        assert both.of == ["members", "reference"][int(np.argmax([gate.value for gate in alone]))]
        assert both.low <= alone[both.of == "reference"].low  # it holds for twice as many

    def test_whose_records_they_are_is_told(self, report):
        (gate,) = judge(report, [("attack_accuracy", 0.6)])
        assert gate.failed and gate.measured.endswith(
            f"({report.reference.strongest_attack}, on reference records)"
        )
        (gate,) = judge(report, [("gap_bound", 0.6)])
        assert gate.measured.endswith("(on reference records)")

    def test_members_that_are_told_apart_better_stay_the_headline(self, report):
        turned = dataclasses.replace(report.reference, reference=dataclasses.replace(report, reference=None))
        (gate,) = judge(turned, [("attack_accuracy", 0.6)])
        assert (gate.of, gate.value) == ("members", float(turned.attack_accuracy))


class TestIntervals:
    def test_the_gap_has_the_limits_of_its_two_accuracies(self):
        """MOVER, written out from the training and the test accuracy."""
        report = report_on()
        train, test = report.train_accuracy, report.test_accuracy
        low = float(train) - float(test) - np.hypot(train - train.low, test.high - test)
        gap, bound = judge(report, [("generalization_gap", 0.0), ("gap_bound", 0.5)])
        assert gap.value == pytest.approx(float(train) - float(test)) and gap.low == pytest.approx(low)
        assert bound.value == pytest.approx(0.5 + gap.value / 2) and bound.low == pytest.approx(0.5 + low / 2)

    def test_the_gap_of_records_of_several_decisions_has_them_too(self):
        """Their gap attack learns from what share of right answers on it says "member": its limits are others."""
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, (80, 50))
        right = rng.random(y.shape) < np.repeat([[0.75], [0.55]], 40, axis=0)
        answers = np.where((y == 1) == right, 0.9, 0.1)
        sides = answers[:40], y[:40], answers[40:], y[40:]
        report = mpreg.evaluate_predictions(*sides, attacks="fast", decisions="positions")
        train, test = report.train_accuracy, report.test_accuracy
        low = float(train) - float(test) - np.hypot(train - train.low, test.high - test)
        gap, bound = judge(report, [("generalization_gap", 0.0), ("gap_bound", 0.5)])
        assert gap.value == pytest.approx(report.generalization_gap) and gap.low == pytest.approx(low)
        assert bound.failed and not bound.certain and bound.low == pytest.approx(0.5 + low / 2)

    def test_limits_are_those_of_bonferroni_over_all_attacks(self):
        report = report_on()
        each = 1 - 0.05 / len(report.attacks)
        gates = {gate.figure: gate for gate in judge(report, [(figure, 0.0) for figure in FIGURES])}
        scored = {"advantage": metrics.attack_advantage_interval}
        for fpr in FPRS:
            scored[f"tpr_at_fpr_{fpr:g}"] = lambda *sides, fpr=fpr, **options: metrics.tpr_at_fpr_interval(
                *sides, fpr=fpr, **options
            )
        for figure, interval in scored.items():
            named = report.attacks[gates[figure].attack]
            assert (
                gates[figure].low == interval(named.member_scores, named.nonmember_scores, confidence=each)[0]
            )
        named = report.attacks[gates["precision"].attack]
        decided = named.member_decisions, named.nonmember_decisions
        assert gates["precision"].low == metrics.precision_interval(*decided, confidence=each)[0]
        named = report.attacks[gates["epsilon_lower_bound"].attack]
        sides = named.member_scores, named.nonmember_scores
        all_at_once = metrics.epsilon_lower_bound(*sides, confidence=each)
        assert gates["epsilon_lower_bound"].low == min(all_at_once, named.epsilon_lower_bound)
        named = report.attacks[gates["attack_auc"].attack]
        low = metrics.auc_interval(named.member_scores, named.nonmember_scores, confidence=each)[0]
        low = named.auc - ROOM * (named.auc - low)
        assert gates["attack_auc"].low == min(
            low, named.auc.low
        )  # of one that learns, its own are wider at times

    def test_few_nonmembers_are_told_beside_the_rate(self):
        (gate,) = judge(report_on(), [("tpr_at_fpr_0.001", 0.0)])
        assert "rests on 0 of 90 non-members" in gate.measured and gate.note in gate.measured
        assert judge(report_on(), [("attack_auc", 0.5)])[0].note is None

    def test_where_nothing_leaks_hardly_any_figure_above_its_limit_is_certain(self):
        """Each record has eight scores of chance, alike to one another, for eight attacks that learn nothing.

        Of the highest of them, at its own 95 %, the low end lies above chance in 10 to 20 % of the runs.
        """
        truth = {"attack_accuracy": 0.5, "attack_auc": 0.5, "advantage": 0.0, "precision": 0.5, "recall": 0.5}
        truth |= {
            "tpr_at_fpr_0.01": 0.01,
            "epsilon_lower_bound": 0.0,
            "generalization_gap": 0.0,
            "gap_bound": 0.5,
        }
        template, runs = report_on(), 300
        certain, own = dict.fromkeys(truth, 0), dict.fromkeys(("attack_accuracy", "attack_auc"), 0)
        for seed in range(runs):
            report = of_chance(template, np.random.default_rng(seed))
            for gate in judge(report, truth.items()):
                certain[gate.figure] += gate.certain
            for name, (metric, interval) in {
                "attack_accuracy": (metrics.balanced_accuracy, metrics.balanced_accuracy_interval),
                "attack_auc": (metrics.auc, metrics.auc_interval),
            }.items():
                sides = [
                    (result.member_decisions, result.nonmember_decisions)
                    if name == "attack_accuracy"
                    else (result.member_scores, result.nonmember_scores)
                    for result in report.attacks.values()
                ]
                own[name] += interval(*max(sides, key=lambda side: metric(*side)))[0] > 0.5
        assert all(count <= 0.05 * runs for count in certain.values()), certain
        assert all(count > 0.05 * runs for count in own.values()), (
            own
        )  # so that there was something to allow for

    def test_where_nothing_leaks_cross_fitted_attacks_are_rarely_certain(self):
        truth = {
            "attack_accuracy": 0.5,
            "attack_auc": 0.5,
            "advantage": 0.0,
            "precision": 0.5,
            "gap_bound": 0.5,
        }
        runs, certain = 200, dict.fromkeys(truth, 0)
        for seed in range(runs):
            for gate in judge(report_on(80, 80, margins=(2.0, 2.0), seed=seed), truth.items()):
                certain[gate.figure] += gate.certain
        assert all(count <= 0.05 * runs for count in certain.values()), certain


def of_chance(template, rng, records=150):
    """The report with scores that know nothing of membership in the place of those of all of its attacks."""
    shared = rng.normal(size=2 * records)
    attacks = {}
    for name, result in template.attacks.items():
        scores = np.split(shared + rng.normal(size=2 * records), 2)
        decided = [special.expit(own) >= 0.5 for own in scores]
        attacks[name] = dataclasses.replace(
            result,
            learns=False,
            groups=None,
            member_scores=scores[0],
            nonmember_scores=scores[1],
            member_decisions=decided[0],
            nonmember_decisions=decided[1],
            epsilon_lower_bound=metrics.epsilon_lower_bound(*scores),
        )
    gap = next(result for result in attacks.values() if result.key == "gap")
    right = [side.mean() for side in (gap.member_decisions, gap.nonmember_decisions)]
    accuracies = [metrics.Estimate(rate, rate, rate) for rate in right]
    return dataclasses.replace(
        template, attacks=attacks, train_accuracy=accuracies[0], test_accuracy=accuracies[1]
    )
