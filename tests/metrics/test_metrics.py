"""The metrics against independent oracles, their intervals against simulated truth, and what they refuse.

Coverage tests simulate with fixed seeds. Nominal coverage is 95 %; over 400 simulations three standard errors
are 3.3 points, so a share of at least 91.7 % passes.
"""

import copy
import doctest
import importlib
import itertools
import json
import math
import pickle
import pkgutil
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from mpreg import metrics
from mpreg.metrics import epsilon

SIMULATIONS = 400
MIN_COVERAGE = 0.917

ON_SCORES = {
    "roc": {},
    "auc": {},
    "auc_interval": {},
    "attack_advantage": {},
    "attack_advantage_interval": {},
    "mean_tpr": {},
    "tpr_at_fpr": {"fpr": 0.1},
    "tpr_at_fpr_interval": {"fpr": 0.1},
    "best_threshold": {},
    "epsilon_lower_bound": {},
}
ON_DECISIONS = (
    "balanced_accuracy",
    "balanced_accuracy_interval",
    "precision",
    "precision_interval",
    "recall",
    "recall_interval",
)


def on_scores(name, members, nonmembers):
    return getattr(metrics, name)(members, nonmembers, **ON_SCORES[name])


def flat(result):
    """One array of a metric's number, limits or curve."""
    return np.hstack(result if isinstance(result, tuple) else (result,))


def draw(seed, members=60, nonmembers=45, shift=1.0, decimals=None):
    """Normal scores, members shifted up; rounding makes ties."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(shift, 1, members), rng.normal(0, 1, nonmembers)
    return scores if decimals is None else tuple(side.round(decimals) for side in scores)


def labelled(members, nonmembers):
    return np.r_[np.ones(len(members)), np.zeros(len(nonmembers))], np.r_[members, nonmembers]


def rates_by_hand(members, nonmembers):
    """(threshold, TPR, FPR) of "nobody" and of every distinct score, by plain counting."""
    yield math.inf, 0.0, 0.0
    for threshold in sorted({*members, *nonmembers}, reverse=True):
        tpr = sum(score >= threshold for score in members) / len(members)
        fpr = sum(score >= threshold for score in nonmembers) / len(nonmembers)
        yield threshold, tpr, fpr


def coverage(interval, truth, sample, simulations=SIMULATIONS):
    limits = np.array([interval(*sample(np.random.default_rng(seed))) for seed in range(simulations)])
    return np.mean((limits[:, 0] <= truth) & (truth <= limits[:, 1]))


def normal_sample(shift, members, nonmembers):
    return lambda rng: (rng.normal(shift, 1, members), rng.normal(0, 1, nonmembers))


samples = pytest.mark.parametrize(
    ("members", "nonmembers"),
    [
        draw(0),
        draw(1, decimals=0),
        draw(2, members=7, nonmembers=90, decimals=1),
        draw(3, shift=-1.0, decimals=1),
        draw(4, members=1, nonmembers=1),
        draw(5, members=1, nonmembers=30),
        ([1, 2, 3], [1, 2, 3]),
        ([5, 5], [5, 5, 5]),
        ([2, 3], [0, 1]),
        ([0, 1], [2, 3]),
    ],
)


class TestRoc:
    @samples
    def test_agrees_with_scikit_learn(self, members, nonmembers):
        expected = oracle.roc_curve(*labelled(members, nonmembers), drop_intermediate=False)
        for found, wanted in zip(metrics.roc(members, nonmembers), expected, strict=True):
            np.testing.assert_allclose(found, wanted)

    @samples
    def test_every_point_is_reached_by_its_threshold(self, members, nonmembers):
        fpr, tpr, thresholds = metrics.roc(members, nonmembers)
        by_hand = list(rates_by_hand(members, nonmembers))
        np.testing.assert_allclose(np.c_[thresholds, tpr, fpr], by_hand)

    def test_infinite_scores_stand_at_the_ends(self):
        fpr, tpr, thresholds = metrics.roc([np.inf, 1.0], [1.0, -np.inf])
        assert thresholds.tolist() == [np.inf, np.inf, 1.0, -np.inf]
        assert tpr.tolist() == [0.0, 0.5, 1.0, 1.0]
        assert fpr.tolist() == [0.0, 0.0, 0.5, 1.0]


class TestAuc:
    @samples
    def test_agrees_with_scikit_learn(self, members, nonmembers):
        expected = oracle.roc_auc_score(*labelled(members, nonmembers))
        assert metrics.auc(members, nonmembers) == pytest.approx(expected)

    @samples
    def test_swapping_sides_mirrors_area_and_limits(self, members, nonmembers):
        low, high = metrics.auc_interval(members, nonmembers)
        assert metrics.auc(nonmembers, members) == pytest.approx(1 - metrics.auc(members, nonmembers))
        assert metrics.auc_interval(nonmembers, members) == pytest.approx((1 - high, 1 - low))

    @pytest.mark.parametrize("decimals", [None, 1, 0])
    def test_interval_uses_the_variance_of_delong(self, decimals):
        members, nonmembers = draw(6, members=25, nonmembers=33, decimals=decimals)
        wins = np.array([[(m > n) + (m == n) / 2 for n in nonmembers] for m in members])
        variance = wins.mean(1).var(ddof=1) / len(members) + wins.mean(0).var(ddof=1) / len(nonmembers)
        area = wins.mean()
        centre, margin = math.log(area / (1 - area)), stats.norm.isf(0.05) * math.sqrt(variance)
        expected = [1 / (1 + math.exp(-centre + s * margin / (area * (1 - area)))) for s in (1, -1)]
        assert metrics.auc_interval(members, nonmembers, confidence=0.9) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("members", "nonmembers"),
        [([2, 3, 4], [0, 1]), ([0, 1], [2, 3, 4]), ([1, 1, 1], [1, 1]), ([1], [0]), ([3], [1, 2, 4, 5])],
    )
    def test_degenerate_samples_get_the_score_interval_of_newcombe(self, members, nonmembers):
        area, pairs = metrics.auc(members, nonmembers), len(members) * len(nonmembers)
        half = (len(members) + len(nonmembers)) / 2 - 1
        for limit in metrics.auc_interval(members, nonmembers):
            spread = 1 + half * ((1 - limit) / (2 - limit) + limit / (1 + limit))
            error = math.sqrt(limit * (1 - limit) * spread / pairs)
            assert abs(area - limit) == pytest.approx(stats.norm.isf(0.025) * error, abs=1e-9)

    def test_degenerate_intervals_have_width(self):
        low, high = metrics.auc_interval(range(20, 40), range(20))
        assert 0.8 < low < 0.95
        assert high == 1.0
        low, high = metrics.auc_interval(np.ones(1000), np.ones(1000))
        assert 0.45 < low < 0.5 < high < 0.55

    @pytest.mark.parametrize(("shift", "members", "nonmembers"), [(0, 40, 40), (1, 60, 30), (2, 50, 50)])
    def test_interval_covers(self, shift, members, nonmembers):
        truth = stats.norm.cdf(shift / math.sqrt(2))
        sample = normal_sample(shift, members, nonmembers)
        assert MIN_COVERAGE <= coverage(metrics.auc_interval, truth, sample) <= 0.99


class TestAdvantage:
    @samples
    def test_is_the_best_of_all_thresholds(self, members, nonmembers):
        expected = max(tpr - fpr for _, tpr, fpr in rates_by_hand(members, nonmembers))
        assert metrics.attack_advantage(members, nonmembers) == pytest.approx(expected)

    @samples
    def test_interval_is_the_kolmogorov_smirnov_band(self, members, nonmembers):
        advantage = metrics.attack_advantage(members, nonmembers)
        margin = stats.kstwobign.isf(0.1) * math.sqrt(1 / len(members) + 1 / len(nonmembers))
        expected = max(0, advantage - margin), min(1, advantage + margin)
        assert metrics.attack_advantage_interval(members, nonmembers, confidence=0.9) == pytest.approx(
            expected
        )

    @pytest.mark.parametrize("counts", [(1, 3), (3, 7), (10, 10)])
    def test_equal_scores_give_exactly_none(self, counts):
        members, nonmembers = (np.tile([0.1, 0.5, 0.9], count) for count in counts)
        assert metrics.attack_advantage(members, nonmembers) == 0.0
        assert metrics.attack_advantage_interval(members, nonmembers)[0] == 0.0

    def test_perfect_separation_gives_one(self):
        assert metrics.attack_advantage([2, 3], [0, 1]) == 1.0
        assert metrics.attack_advantage([0, 1], [2, 3]) == 0.0

    def test_leans_upward_as_documented_where_nothing_leaks(self):
        sample = normal_sample(0, 400, 200)
        points = [
            metrics.attack_advantage(*sample(np.random.default_rng(seed))) for seed in range(SIMULATIONS)
        ]
        assert np.mean(points) == pytest.approx(0.63 * math.sqrt(1 / 400 + 1 / 200), rel=0.1)

    @pytest.mark.parametrize(("members", "nonmembers"), [(100, 100), (300, 60)])
    @pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
    def test_interval_covers(self, shift, members, nonmembers):
        truth = 2 * stats.norm.cdf(shift / 2) - 1
        sample = normal_sample(shift, members, nonmembers)
        assert coverage(metrics.attack_advantage_interval, truth, sample) >= MIN_COVERAGE

    def test_band_covers_between_unequal_distributions(self):
        # The docstring's claim: the error of TPR - FPR stays inside the band at all thresholds at once.
        grid = np.linspace(-4, 6, 400)
        truth = stats.norm.sf(grid - 1) - stats.norm.sf(grid / 2)
        margin = stats.kstwobign.isf(0.05) * math.sqrt(1 / 100 + 1 / 300)
        inside = 0
        for seed in range(SIMULATIONS):
            rng = np.random.default_rng(seed)
            members, nonmembers = np.sort(rng.normal(1, 1, 100)), np.sort(rng.normal(0, 2, 300))
            found = np.searchsorted(nonmembers, grid) / 300 - np.searchsorted(members, grid) / 100
            inside += np.abs(found - truth).max() <= margin
        assert inside / SIMULATIONS >= MIN_COVERAGE


class TestTprAtFpr:
    @samples
    @pytest.mark.parametrize("fpr", [0.001, 0.05, 0.1, 0.29, 0.5, 0.999])
    def test_is_the_best_threshold_within_the_rate(self, members, nonmembers, fpr):
        expected = max(tpr for _, tpr, found in rates_by_hand(members, nonmembers) if found <= fpr)
        assert metrics.tpr_at_fpr(members, nonmembers, fpr=fpr) == expected

    def test_a_rate_just_reached_is_allowed(self):
        # 100 * 0.29 is 28.999999999999996 in floats; 29 of 100 is an FPR of 0.29 all the same.
        assert metrics.tpr_at_fpr([70.5], range(100), fpr=0.29) == 1.0
        assert metrics.tpr_at_fpr([69.5], range(100), fpr=0.29) == 0.0

    def test_ties_are_not_split(self):
        assert metrics.tpr_at_fpr([1, 1, 1, 1], [1, 0, 0, 0], fpr=0.2) == 0.0
        assert metrics.tpr_at_fpr([1, 1, 1, 1], [1, 0, 0, 0], fpr=0.25) == 1.0

    @samples
    @pytest.mark.parametrize("fpr", [0.001, 0.1, 0.9])
    def test_interval_encloses_the_point(self, members, nonmembers, fpr):
        low, high = metrics.tpr_at_fpr_interval(members, nonmembers, fpr=fpr)
        assert 0 <= low <= metrics.tpr_at_fpr(members, nonmembers, fpr=fpr) <= high <= 1

    def test_interval_is_that_of_the_enclosing_order_statistics(self):
        members, nonmembers = draw(7, members=5000, nonmembers=2000)
        descending = np.sort(nonmembers)[::-1]
        k_low, k_high = (int(k) for k in stats.binom.ppf([0.0125, 0.9875], 2000, 0.05))
        inner = int((members > descending[k_low - 1]).sum())
        outer = int((members > descending[k_high]).sum())
        exact = [stats.binomtest(k, 5000).proportion_ci(0.975, method="exact") for k in (inner, outer)]
        expected = exact[0].low, exact[1].high
        assert metrics.tpr_at_fpr_interval(members, nonmembers, fpr=0.05) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("shift", "members", "nonmembers", "fpr"),
        [(0, 100, 100, 0.1), (1, 200, 400, 0.05), (2.5, 100, 300, 0.01), (1, 50, 20, 0.5)],
    )
    def test_interval_covers(self, shift, members, nonmembers, fpr):
        truth = stats.norm.sf(stats.norm.isf(fpr) - shift)
        sample = normal_sample(shift, members, nonmembers)

        def interval(m, n):
            return metrics.tpr_at_fpr_interval(m, n, fpr=fpr)

        assert coverage(interval, truth, sample) >= 0.95  # conservative by construction

    def test_interval_covers_when_ties_straddle_the_rate(self):
        # Non-members reach 2 in 30 % and 3 in 4 % of cases: at 10 % FPR only "score >= 3" is within the rate.
        def sample(rng):
            return rng.choice(4, 200, p=[0.1, 0.2, 0.3, 0.4]), rng.choice(4, 300, p=[0.4, 0.3, 0.26, 0.04])

        def interval(m, n):
            return metrics.tpr_at_fpr_interval(m, n, fpr=0.1)

        assert coverage(interval, 0.4, sample) >= 0.95

    def test_ties_alone_support_no_claim(self):
        # A yes/no attack that accuses 30 % of non-members has no threshold at 1 % FPR: the truth is 0.
        low, _ = metrics.tpr_at_fpr_interval([1] * 900 + [0] * 100, [1] * 3000 + [0] * 7000, fpr=0.01)
        assert low == 0.0

    def test_too_few_nonmembers_flatter_nobody(self):
        # 50 non-members never show what happens at 0.1 % FPR: nearly all members above them proves little.
        shift = 3.0
        truth = stats.norm.sf(stats.norm.isf(0.001) - shift)
        points, limits = [], []
        for seed in range(SIMULATIONS):
            members, nonmembers = normal_sample(shift, 500, 50)(np.random.default_rng(seed))
            points.append(metrics.tpr_at_fpr(members, nonmembers, fpr=0.001))
            limits.append(metrics.tpr_at_fpr_interval(members, nonmembers, fpr=0.001))
        low, high = np.transpose(limits)
        assert np.mean(points) > truth + 0.2  # the point flatters the attack ...
        assert (low == 0.0).all()  # ... and the interval says that it may be chance
        assert np.mean(high >= truth) >= 0.975

    def test_note_on_unsupported_rates(self):
        rests, needed = metrics.supported_fpr(2010, 0.001).split("; ")
        assert rests == "TPR at 0.1% FPR rests on 2 of 2,010 non-members"
        assert needed == "at least 10,000 are needed for 10 false positives"
        assert "rests on 0 of 50 non-members" in metrics.supported_fpr(50, 0.01)
        assert metrics.supported_fpr(10_000, 0.001) is None
        assert metrics.supported_fpr(9_999, 0.001) is not None

    def test_without_a_false_positive_only_members_above_all_others_count(self):
        for seed, decimals in itertools.product(range(4), (None, 0)):
            members, nonmembers = draw(seed, shift=2.0, decimals=decimals)
            expected = np.mean([all(score > other for other in nonmembers) for score in members])
            assert metrics.tpr_at_fpr(members, nonmembers, fpr=0) == expected
            curve_fpr, curve_tpr, _ = oracle.roc_curve(
                np.repeat([1, 0], [len(members), len(nonmembers)]), np.concatenate([members, nonmembers])
            )
            assert expected == curve_tpr[curve_fpr == 0].max()
            limits = stats.binomtest(round(expected * len(members)), len(members)).proportion_ci(
                0.95, "exact"
            )
            assert metrics.tpr_at_fpr_interval(members, nonmembers, fpr=0) == pytest.approx(tuple(limits))

    def test_limits_without_a_false_positive_are_of_the_threshold_that_was_found(self):
        covered, within = [], []
        for seed in range(SIMULATIONS):
            members, nonmembers = normal_sample(2.0, 200, 300)(np.random.default_rng(seed))
            low, high = metrics.tpr_at_fpr_interval(members, nonmembers, fpr=0)
            covered.append(low <= stats.norm.sf(nonmembers.max() - 2.0) <= high)
            within.append(100 * stats.norm.sf(nonmembers.max()) <= 0.994)
        assert np.mean(covered) >= 0.95 - 0.033
        # What the note says of the threshold's own false positive rate, 1 - 0.05^(1/300).
        assert "at most 0.99% with 95 % confidence" in metrics.supported_fpr(300, 0)
        assert 0.95 - 0.033 <= np.mean(within) <= 0.95 + 0.033

    @pytest.mark.parametrize("fpr", [0.0003, 0.0007, 0.003, 0.009, 0.01, 0.07, 0.1, 0.29, 0.3, 0.7])
    def test_the_number_asked_for_is_enough_and_no_more(self, fpr):
        asked = int(metrics.supported_fpr(1, fpr).split("at least ")[1].split()[0].replace(",", ""))
        assert metrics.supported_fpr(asked, fpr) is None
        assert metrics.supported_fpr(asked - 1, fpr) is not None


class TestClopperPearson:
    @pytest.mark.parametrize("trials", [1, 2, 10, 97, 5000])
    @pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
    def test_agrees_with_scipy(self, trials, confidence):
        successes = np.unique(np.linspace(0, trials, 9).astype(int))
        low, high = metrics.clopper_pearson(successes, trials, confidence=confidence)
        for k, found in zip(successes.tolist(), zip(low, high, strict=True), strict=True):
            expected = stats.binomtest(k, trials).proportion_ci(confidence, method="exact")
            assert found == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-9)
            assert metrics.clopper_pearson(k, trials, confidence=confidence) == found

    def test_shapes_and_types(self):
        assert all(type(limit) is float for limit in metrics.clopper_pearson(3, 10))
        low, high = metrics.clopper_pearson([[0, 1], [2, 3]], 3)
        assert low.shape == high.shape == (2, 2)
        assert low[0, 0] == 0.0
        assert high[1, 1] == 1.0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((11, 10), r"whole numbers from 0 to trials=10\. Received: 11$"),
            (([1, -1, 5], 10), r"whole numbers from 0 to trials=10\. Received: -1$"),
            ((1.5, 10), r"whole numbers from 0 to trials=10\. Received: 1\.5$"),
            ((math.nan, 10), r"whole numbers from 0 to trials=10\. Received: nan$"),
            ((0, 0), r"^trials must be a whole number of at least 1\. Received: trials=0$"),
            ((1, 2.5), r"^trials must be a whole number of at least 1\. Received: trials=2\.5$"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            metrics.clopper_pearson(*arguments)


class TestDecisions:
    @staticmethod
    def sample(tpr, fpr, members, nonmembers):
        return lambda rng: (rng.random(members) < tpr, rng.random(nonmembers) < fpr)

    @pytest.mark.parametrize("sizes", [(40, 40), (10, 70), (1, 1)])
    def test_points_agree_with_scikit_learn(self, sizes):
        members, nonmembers = self.sample(0.7, 0.3, *sizes)(np.random.default_rng(3))
        truth, said = labelled(members, nonmembers)
        weights = np.r_[np.full(sizes[0], 1 / sizes[0]), np.full(sizes[1], 1 / sizes[1])]
        accuracy = oracle.balanced_accuracy_score(truth, said)
        precision = oracle.precision_score(truth, said, sample_weight=weights)
        assert metrics.balanced_accuracy(members, nonmembers) == pytest.approx(accuracy)
        assert metrics.precision(members, nonmembers) == pytest.approx(precision)
        assert metrics.recall(members, nonmembers) == pytest.approx(oracle.recall_score(truth, said))

    def test_priors_are_even_whatever_the_numbers(self):
        few, many = [True, True, True, False], [True, False, False, False]
        assert metrics.balanced_accuracy(few, many) == metrics.balanced_accuracy(few, many * 50) == 0.75
        assert metrics.precision(few, many) == metrics.precision(few * 50, many) == 0.75

    def test_nobody_called_a_member(self):
        decisions = [False] * 5, [False] * 9
        assert metrics.balanced_accuracy(*decisions) == 0.5
        assert math.isnan(metrics.precision(*decisions))
        assert metrics.precision_interval(*decisions) == (0.0, 1.0)
        assert metrics.recall(*decisions) == metrics.recall_interval(*decisions)[0] == 0.0

    @pytest.mark.parametrize(
        "decisions", [([True], [False]), ([False] * 9, [True] * 3), ([True] * 4, [True])]
    )
    def test_intervals_enclose_the_point_at_the_extremes(self, decisions):
        for name in ("balanced_accuracy", "precision", "recall"):
            low, high = getattr(metrics, f"{name}_interval")(*decisions)
            assert 0 <= low <= getattr(metrics, name)(*decisions) <= high <= 1

    def test_accuracy_interval_by_hand(self):
        members, nonmembers = [True] * 30 + [False] * 10, [True] * 5 + [False] * 45
        tpr, tnr = (stats.binomtest(k, n).proportion_ci(0.95, "exact") for k, n in ((30, 40), (45, 50)))
        low = 0.825 - math.hypot(0.75 - tpr.low, 0.9 - tnr.low) / 2
        high = 0.825 + math.hypot(tpr.high - 0.75, tnr.high - 0.9) / 2
        assert metrics.balanced_accuracy_interval(members, nonmembers) == pytest.approx((low, high))

    def test_precision_and_recall_intervals_by_hand(self):
        members, nonmembers = [True] * 30 + [False] * 10, [True] * 5 + [False] * 45
        tpr, fpr = (stats.binomtest(k, n).proportion_ci(0.975, "exact") for k, n in ((30, 40), (5, 50)))
        expected = tpr.low / (tpr.low + fpr.high), tpr.high / (tpr.high + fpr.low)
        assert metrics.precision_interval(members, nonmembers) == pytest.approx(expected)
        recall = stats.binomtest(30, 40).proportion_ci(0.95, "exact")
        assert metrics.recall_interval(members, nonmembers) == pytest.approx((recall.low, recall.high))

    @pytest.mark.parametrize("rates", [(0.5, 0.5), (0.7, 0.4), (0.98, 0.05), (0.05, 0.001)])
    def test_intervals_cover(self, rates):
        (tpr, fpr), sample = rates, self.sample(*rates, 80, 50)
        assert coverage(metrics.balanced_accuracy_interval, (tpr + 1 - fpr) / 2, sample) >= MIN_COVERAGE
        assert coverage(metrics.precision_interval, tpr / (tpr + fpr), sample) >= 0.95
        assert coverage(metrics.recall_interval, tpr, sample) >= MIN_COVERAGE

    @pytest.mark.parametrize("name", ON_DECISIONS)
    def test_zeros_and_ones_pass_for_booleans(self, name):
        metric = getattr(metrics, name)
        assert metric([1, 1, 0], np.array([0.0, 1.0])) == metric([True, True, False], [False, True])

    @pytest.mark.parametrize("name", ON_DECISIONS)
    @pytest.mark.parametrize(
        ("members", "nonmembers", "message"),
        [
            ([], [True], r"^member_decisions must hold at least one record\. Received: shape=\(0,\)$"),
            ([True], [], r"^nonmember_decisions must hold at least one record\. Received: shape=\(0,\)$"),
            ([[True]], [True], r"^member_decisions must be 1-D\. Received: shape=\(1, 1\)$"),
            ([True], False, r"^nonmember_decisions must be 1-D\. Received: shape=\(\)$"),
            ([1.0, 0.7], [True], r"^member_decisions must be boolean\. Received: a value of 0\.7$"),
            ([True], [0.0, math.nan], r"^nonmember_decisions must be boolean\. Received: a value of nan$"),
        ],
    )
    def test_refuse(self, name, members, nonmembers, message):
        with pytest.raises(ValueError, match=message):
            getattr(metrics, name)(members, nonmembers)


class TestBestThreshold:
    @samples
    def test_reaches_the_best_accuracy_of_all(self, members, nonmembers):
        threshold = metrics.best_threshold(members, nonmembers)
        found = metrics.balanced_accuracy(np.array(members) >= threshold, np.array(nonmembers) >= threshold)
        best = max((tpr + 1 - fpr) / 2 for _, tpr, fpr in rates_by_hand(members, nonmembers))
        assert found == pytest.approx(best)

    def test_lies_midway(self):
        assert metrics.best_threshold([10, 8], [4, 1]) == 6.0

    def test_the_highest_of_equals(self):
        assert metrics.best_threshold([4, 2], [3, 1]) == 3.5

    @pytest.mark.parametrize("scores", [([1, 2], [1, 2]), ([0], [0]), ([0, 1], [2, 3])])
    def test_calls_nobody_where_nothing_beats_guessing(self, scores):
        assert metrics.best_threshold(*scores) == math.inf

    @pytest.mark.parametrize(
        ("upper", "lower"),
        [
            (np.nextafter(1.0, 2.0), 1.0),
            (math.inf, 0.0),
            (0.0, -math.inf),
            (math.inf, -math.inf),
            (1e308, -1e308),
            (5e-324, 0.0),
        ],
    )
    def test_separates_neighbours_however_close_or_far(self, upper, lower):
        threshold = metrics.best_threshold([upper], [lower])
        assert lower < threshold <= upper

    def test_separates_adjacent_floats_of_single_precision(self):
        # Softmax outputs saturate: the two largest float32 below and at 1 carry many records each.
        steps = np.float32(1) - np.arange(4, dtype=np.float32) * np.float32(2.0**-24)
        for upper, lower in itertools.pairwise(steps):
            members, nonmembers = np.full(5, upper), np.full(5, lower)
            threshold = metrics.best_threshold(members, nonmembers)
            assert (members >= threshold).all()
            assert not (nonmembers >= threshold).any()


class TestEpsilon:
    @staticmethod
    def randomised_response(epsilon, records, rng):
        truthful = math.exp(epsilon) / (1 + math.exp(epsilon))
        members = rng.random(records) < truthful
        return members.astype(float), (rng.random(records) >= truthful).astype(float)

    @pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
    def test_seldom_exceeds_the_truth(self, epsilon):
        rng = np.random.default_rng(0)
        bounds = [
            metrics.epsilon_lower_bound(*self.randomised_response(epsilon, 400, rng))
            for _ in range(SIMULATIONS)
        ]
        # 5 % are allowed; 400 simulations scatter by 3.3 points at three standard errors.
        assert np.mean(np.array(bounds) > epsilon) <= 0.083

    @pytest.mark.parametrize("records", [30, 300])
    def test_seldom_exceeds_the_truth_when_the_threshold_is_searched(self, records):
        # Laplace noise on a unit difference: exactly 1-differentially private at every threshold.
        rng = np.random.default_rng(1)
        bounds = [
            metrics.epsilon_lower_bound(rng.laplace(1, 1, records), rng.laplace(0, 1, records))
            for _ in range(SIMULATIONS)
        ]
        assert np.mean(np.array(bounds) > 1.0) <= 0.083
        assert np.mean(bounds) > (0.2 if records == 300 else -1)

    @pytest.mark.parametrize("records", [1, 2, 7, 60, 500])
    def test_the_limits_hold_at_every_threshold_at_once(self, records):
        """Uniform scores, whose true rate of mistakes at a threshold is the threshold, against all thresholds."""
        tail, rng = 0.025, np.random.default_rng(records)
        limits = epsilon._highest_rates(records, tail)
        drawn = np.sort(rng.random((4000, records)), axis=1)
        # Just below the (k+1)-th score the rate of mistakes is the highest at which k of the sample are made.
        exceeded = (drawn > limits[:-1]).any(axis=1).mean()
        assert exceeded <= tail + 3 * math.sqrt(tail * (1 - tail) / 4000)
        assert limits[-1] == 1 and (np.diff(limits) >= 0).all()

    @pytest.mark.parametrize("records", [1, 2, 3, 7, 60, 500, 5000])
    def test_the_limits_are_exact_ones_that_share_the_error(self, records):
        limits = epsilon._highest_rates(records, 0.025)
        used = np.unique(limits[:-1], return_index=True)[1]
        last = np.append(
            used[1:] - 1, records - 1
        )  # the number of mistakes that a run of equal limits is made for
        assert sum(stats.binom.cdf(last, records, limits[last])) <= 0.025 + 1e-9

    def test_approaches_the_truth_with_many_records(self):
        scores = self.randomised_response(1.0, 200_000, np.random.default_rng(2))
        assert 0.95 < metrics.epsilon_lower_bound(*scores) <= 1.0

    @pytest.mark.parametrize("delta", [0.0, 0.05])
    @pytest.mark.parametrize(("shift", "decimals"), [(0.0, None), (0.0, 2), (0.7, None), (1.5, None)])
    def test_is_the_most_that_any_threshold_refutes(self, shift, decimals, delta):
        def refuted(threshold):
            missed, accused = (members < threshold).sum(), (nonmembers >= threshold).sum()
            fnr, fpr = fnrs[missed], fprs[accused]
            pairs = ((1 - fnr - delta, fpr), (1 - fpr - delta, fnr))
            return max(math.log(rate / other) if rate > 0 else 0.0 for rate, other in pairs)

        fnrs, fprs = (epsilon._highest_rates(records, 0.025) for records in (900, 800))
        for seed in range(3):
            members, nonmembers = draw(seed, members=900, nonmembers=800, shift=shift, decimals=decimals)
            every = np.unique(np.concatenate([members, nonmembers]))
            expected = max(0.0, max(map(refuted, every)))
            assert metrics.epsilon_lower_bound(members, nonmembers, delta=delta) == pytest.approx(expected)

    def test_all_records_count(self):
        """500 + 500 that are perfectly separated; halves of them prove 4.2 at most."""
        found = metrics.epsilon_lower_bound(np.arange(500, 1000), np.arange(500))
        assert 4.54 < found < math.log(0.025 ** (1 / 500) / (1 - 0.025 ** (1 / 500)))

    def test_uses_the_telling_direction(self):
        # Members are all alike, some non-members are far below: only "certainly not a member" tells anything.
        members, nonmembers = np.ones(2000), np.r_[np.ones(1000), np.zeros(1000)]
        by_hand = math.log(
            stats.binomtest(int(0.45 * 1000), 1000).proportion_ci(0.95, "exact").low
            / (1 - 0.025 ** (1 / 1000))
        )
        assert metrics.epsilon_lower_bound(members, nonmembers) > by_hand > 4.0

    def test_perfect_separation_by_hand(self):
        # No mistake among 100 members and 100 non-members, at 35 % of the 2.5 % of either side.
        limit = (0.35 * 0.025) ** (1 / 100)
        separated = metrics.epsilon_lower_bound([1] * 100, [0] * 100)
        assert separated == pytest.approx(math.log(limit / (1 - limit)))
        assert metrics.epsilon_lower_bound(np.arange(100, 200), np.arange(100)) == pytest.approx(separated)
        with_delta = metrics.epsilon_lower_bound([1] * 100, [0] * 100, delta=0.1)
        assert with_delta == pytest.approx(math.log((limit - 0.1) / (1 - limit)))

    @pytest.mark.parametrize(
        "scores", [([1], [0]), ([1, 2, 3], [0]), ([1, 2], [0, 0]), ([1] * 9, [1] * 9), ([0] * 90, [1] * 90)]
    )
    @pytest.mark.parametrize("delta", [0.0, 0.999])
    def test_proves_nothing_from_nothing(self, scores, delta):
        assert metrics.epsilon_lower_bound(*scores, delta=delta) == 0.0

    def test_a_seed_is_of_no_use_any_more(self):
        scores = draw(8, members=300, nonmembers=300, shift=2.0)
        with pytest.warns(DeprecationWarning, match="draws nothing"):
            found = metrics.epsilon_lower_bound(*scores, seed=1)
        assert found == metrics.epsilon_lower_bound(*scores)

    @pytest.mark.parametrize("delta", [-0.1, 1.0, math.nan])
    def test_refuses_delta_out_of_range(self, delta):
        with pytest.raises(
            ValueError, match=rf"^delta must be at least 0 and below 1\. Received: delta={delta}$"
        ):
            metrics.epsilon_lower_bound([1, 2], [0, 1], delta=delta)


class TestEveryScoreMetric:
    @pytest.mark.parametrize("name", sorted(set(ON_SCORES) - {"roc", "best_threshold"}))
    @pytest.mark.parametrize("transform", [np.exp, lambda x: 3 * x - 7, lambda x: x**3])
    def test_only_the_order_counts(self, name, transform):
        members, nonmembers = draw(9, members=200, nonmembers=150, decimals=1)
        expected = on_scores(name, members, nonmembers)
        assert on_scores(name, transform(members), transform(nonmembers)) == expected

    @pytest.mark.parametrize("name", ON_SCORES)
    def test_lists_integers_and_single_precision_are_welcome(self, name):
        members, nonmembers = [5, 3, 3, 4, 1, 5], [3, 1, 0, 2]
        expected = on_scores(name, np.array(members, float), np.array(nonmembers, float))
        for dtype in (None, np.int8, np.uint8, np.float32):
            sides = (list(side) if dtype is None else np.array(side, dtype) for side in (members, nonmembers))
            np.testing.assert_array_equal(flat(on_scores(name, *sides)), flat(expected))

    @pytest.mark.parametrize("name", ON_SCORES)
    def test_inputs_stay_as_they_were(self, name):
        members, nonmembers = draw(10)
        before = members.copy(), nonmembers.copy()
        on_scores(name, members, nonmembers)
        assert np.array_equal(members, before[0])
        assert np.array_equal(nonmembers, before[1])

    @pytest.mark.parametrize("name", ON_SCORES)
    def test_a_single_record_a_side_is_enough(self, name):
        assert not np.isnan(flat(on_scores(name, [1.0], [0.0]))).any()

    @pytest.mark.parametrize("name", ON_SCORES)
    def test_infinite_scores_are_ordered_like_others(self, name):
        found = on_scores(name, [math.inf, math.inf, 2, 1, -math.inf], [math.inf, 1, 0, -math.inf])
        if name not in ("roc", "best_threshold"):
            assert found == on_scores(name, [9, 9, 2, 1, -9], [9, 1, 0, -9])

    @pytest.mark.parametrize("name", ON_SCORES)
    @pytest.mark.parametrize(
        ("members", "nonmembers", "message"),
        [
            ([], [1.0], r"^member_scores must hold at least one record\. Received: shape=\(0,\)$"),
            ([1.0], [], r"^nonmember_scores must hold at least one record\. Received: shape=\(0,\)$"),
            ([[1.0], [2.0]], [1.0], r"^member_scores must be 1-D\. Received: shape=\(2, 1\)$"),
            ([1.0], 2.0, r"^nonmember_scores must be 1-D\. Received: shape=\(\)$"),
            (
                [1.0, math.nan, math.nan],
                [1.0],
                r"^member_scores must not hold NaN\. Received: 2 NaN among 3 ",
            ),
            ([1.0], [math.nan], r"^nonmember_scores must not hold NaN\. Received: 1 NaN among 1 scores$"),
        ],
    )
    def test_refuses(self, name, members, nonmembers, message):
        with pytest.raises(ValueError, match=message):
            on_scores(name, members, nonmembers)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ON_SCORES)
    def test_hundreds_of_thousands_of_scores_take_less_than_a_second(self, name):
        scores = draw(11, members=100_000, nonmembers=100_000)
        start = time.process_time()
        on_scores(name, *scores)
        assert time.process_time() - start < 1.0


class TestOptions:
    @pytest.mark.parametrize("value", [0.0, 1.0, -0.5, 95, math.nan])
    def test_confidence_out_of_range(self, value):
        message = rf"^confidence must lie strictly between 0 and 1\. Received: confidence={value}$"
        names = [name for name in metrics.__all__ if name.endswith("_interval")]
        for name in [*names, "epsilon_lower_bound", "clopper_pearson"]:
            arguments = (1, 2) if name == "clopper_pearson" else ([1, 1, 0], [1, 0])
            options = {"fpr": 0.1} if name.startswith("tpr") else {}
            with pytest.raises(ValueError, match=message):
                getattr(metrics, name)(*arguments, **options, confidence=value)

    @pytest.mark.parametrize("value", [-0.1, 1.0, 5, math.nan])
    def test_fpr_out_of_range(self, value):
        message = rf"^fpr must be at least 0 and below 1\. Received: fpr={value}$"
        for name in ("tpr_at_fpr", "tpr_at_fpr_interval"):
            with pytest.raises(ValueError, match=message):
                getattr(metrics, name)([1], [0], fpr=value)
        with pytest.raises(ValueError, match=message):
            metrics.supported_fpr(100, value)

    def test_nonmembers_out_of_range(self):
        with pytest.raises(
            ValueError, match=r"^nonmembers must be a whole number .* Received: nonmembers=0$"
        ):
            metrics.supported_fpr(0, 0.1)

    def test_more_confidence_is_wider(self):
        members, nonmembers = draw(12)
        for name in [name for name in ON_SCORES if name.endswith("_interval")]:
            intervals = [
                getattr(metrics, name)(members, nonmembers, **ON_SCORES[name], confidence=level)
                for level in (0.5, 0.9, 0.99)
            ]
            widths = [high - low for low, high in intervals]
            assert widths == sorted(widths)
            assert widths[0] < widths[-1]


class TestEstimate:
    estimate = metrics.Estimate(0.571, 0.553, 0.589)

    def test_behaves_as_its_value(self):
        assert self.estimate == 0.571
        assert 0.5 < self.estimate < 0.6
        assert hash(self.estimate) == hash(0.571)
        assert type(float(self.estimate)) is float
        assert type(self.estimate + 1) is float
        assert np.asarray([self.estimate, self.estimate]).dtype == np.float64
        assert json.loads(json.dumps({"auc": self.estimate})) == {"auc": 0.571}

    def test_carries_its_limits(self):
        assert (self.estimate.low, self.estimate.high) == self.estimate.interval == (0.553, 0.589)

    def test_prints_with_its_limits(self):
        assert str(self.estimate) == f"{self.estimate}" == "0.571 [0.553, 0.589]"
        assert f"{self.estimate:.1%}" == "57.1% [55.3%, 58.9%]"
        assert repr(self.estimate) == "Estimate(0.571, low=0.553, high=0.589)"
        assert str(metrics.Estimate(math.nan, 0, 1)) == "nan [0.000, 1.000]"

    def test_cannot_be_changed(self):
        for name in ("low", "high", "extra"):
            with pytest.raises(AttributeError, match="Estimate is immutable"):
                setattr(self.estimate, name, 0.0)
        with pytest.raises(AttributeError, match="Estimate is immutable"):
            del self.estimate.low

    def test_copies_and_travels_whole(self):
        travelled = pickle.loads(pickle.dumps(self.estimate))  # noqa: S301 - what this test wrote itself
        for twin in (copy.copy(self.estimate), copy.deepcopy(self.estimate), travelled):
            assert type(twin) is metrics.Estimate
            assert (float(twin), twin.interval) == (0.571, (0.553, 0.589))

    @pytest.mark.parametrize(
        "numbers", [(0.5, 0.6, 0.7), (0.8, 0.6, 0.7), (0.5, 0.6, 0.4), (0.5, math.nan, 1)]
    )
    def test_refuses_limits_that_do_not_enclose(self, numbers):
        with pytest.raises(ValueError, match=r"^limits must enclose the value\. Received: value=0\.\d, low="):
            metrics.Estimate(*numbers)


class TestEstimates:
    def test_gathers_the_single_metrics(self):
        scores = draw(13, members=150, nonmembers=120)
        decisions = tuple(side > 0.5 for side in scores)
        found = metrics.estimates(*scores, *decisions, confidence=0.9, fprs=(0.05, 0.2))
        assert list(found) == ["accuracy", "precision", "recall", "auc", "advantage", "tpr_at_fpr"]
        pairs = [
            (found["accuracy"], "balanced_accuracy", decisions, {}),
            (found["precision"], "precision", decisions, {}),
            (found["recall"], "recall", decisions, {}),
            (found["auc"], "auc", scores, {}),
            (found["advantage"], "attack_advantage", scores, {}),
            *((found["tpr_at_fpr"][fpr], "tpr_at_fpr", scores, {"fpr": fpr}) for fpr in (0.05, 0.2)),
        ]
        for estimate, name, records, options in pairs:
            assert estimate == getattr(metrics, name)(*records, **options)
            interval = getattr(metrics, f"{name}_interval")
            assert estimate.interval == interval(*records, **options, confidence=0.9)

    @samples
    def test_never_fails_on_valid_records(self, members, nonmembers):
        silent = np.zeros(len(members), bool), np.zeros(len(nonmembers), bool)
        found = metrics.estimates(members, nonmembers, *silent)
        assert math.isnan(found["precision"])
        assert set(found["tpr_at_fpr"]) == {0, 0.001, 0.01}

    def test_refuses_scores_and_decisions_of_different_records(self):
        message = r"^nonmember_scores and nonmember_decisions must .* Received: 2 scores and 1 decisions$"
        with pytest.raises(ValueError, match=message):
            metrics.estimates([1], [0, 0], [True], [False])


class TestPackage:
    def test_docstring_examples_run(self):
        names = [f"mpreg.metrics.{found.name}" for found in pkgutil.iter_modules(metrics.__path__)]
        results = [doctest.testmod(importlib.import_module(name)) for name in names]
        assert sum(result.failed for result in results) == 0
        assert sum(result.attempted for result in results) > 20

    def test_every_public_function_shows_an_example_and_its_source(self):
        named = {name: getattr(metrics, name) for name in metrics.__all__}
        for name, text in ((name, made.__doc__) for name, made in named.items() if callable(made)):
            assert ">>> " in text, name
            assert "Source: " in text or name == "Estimate", name

    def test_imports_stay_light(self):
        code = "import sys, mpreg.metrics; print(*sys.modules)"
        output = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy.stats", "scipy.optimize"}
        assert not heavy & set(output.split())


class TestMeanTpr:
    @pytest.mark.parametrize("fpr", [0.0, 0.01, 0.1, 0.4])
    @pytest.mark.parametrize("decimals", [None, 1])
    def test_is_the_mean_over_the_false_positives_allowed(self, fpr, decimals):
        members, nonmembers = draw(3, members=150, nonmembers=90, shift=1.0, decimals=decimals)
        allowed = max(10, sum(count / 90 <= fpr for count in range(1, 91)))
        rates = [
            metrics.tpr_at_fpr(members, nonmembers, fpr=(count + 0.5) / 90) for count in range(allowed + 1)
        ]
        assert metrics.mean_tpr(members, nonmembers, fpr=fpr) == pytest.approx(np.mean(rates))

    def test_ties_with_nonmembers_find_nobody(self):
        assert metrics.mean_tpr([1] * 50, [1] * 40 + [0] * 60) == 0.0
