"""Who is most exposed: told by the attack that ranks best at low false positive rates, with one figure everywhere."""

import io

import numpy as np
import pytest

import mpreg
from mpreg.attacks import Attack
from mpreg.audit.member_scores import member_scores_file
from mpreg.reports.html import render_html
from mpreg.reports.impact.person import person
from mpreg.reports.schema import read


class Told(Attack):
    """Scores that are given, by the row that the first logit holds."""

    threat_model = "has an oracle"

    def __init__(self, name, members, nonmembers, threshold):
        self.name, self._told, self._at = name, np.concatenate([members, nonmembers]), threshold

    def fit(self, members, nonmembers, *, seed=0):
        self.threshold = self._at
        return self

    def score(self, answers):
        rows = np.round((answers.log_probabilities[:, 0] - answers.log_probabilities[:, 1]) * 1000).astype(
            int
        )
        return self._told[rows].astype(float)


@pytest.fixture(scope="module")
def report():
    """One attack is right more often and ties most members; another knows ten of them for certain."""
    rng = np.random.default_rng(0)
    often = Told("often", rng.random(200) < 0.8, rng.random(200) < 0.4, 0.5)
    few = Told("few", np.r_[rng.normal(size=190), 9 + np.arange(8), 99, 99], rng.normal(size=200), 5.0)
    rows = np.arange(400) / 1000
    logits = np.stack([rows, np.zeros(400)], axis=1) + 30.0
    labels = np.zeros(200, int)
    return mpreg.evaluate_predictions(
        logits[:200], labels, logits[200:], labels, attacks=[often, few], from_logits=True
    )


def test_it_is_not_the_attack_that_is_right_most_often(report):
    assert report.strongest_attack == "often" and report.best_at_low_fpr.name == "few"
    assert report.member_risk.attack == "few"
    found = report.most_vulnerable(10)
    assert [record.index for record in found[2:]] == list(range(197, 189, -1))
    assert all(record.fpr == 0 for record in found)


def test_ties_are_named(report):
    assert [record.tied for record in report.most_vulnerable(10)] == [1, 1] + [0] * 8
    (first,) = report.most_vulnerable(1, attack="often")
    assert first.tied == report.attacks["often"].member_scores.sum() - 1
    rows = read(report)["most_vulnerable"]
    assert [row["tied"] for row in rows] == [1, 1] + [0] * 8
    assert "1 others" in render_html(report)


def test_one_figure_for_one_person_everywhere(report):
    found = report.most_vulnerable(10)
    with np.load(io.BytesIO(member_scores_file(report))) as file:
        kept = dict(file)
    assert kept["attack"] == "few"
    members = np.flatnonzero(kept["is_member"])
    for record, row in zip(found, read(report)["most_vulnerable"], strict=True):
        assert record.risk == row["risk"] == kept["risk"][members[record.index]]
        assert record.risk == report.member_risk.members[record.index]
        assert record.score == kept["score"][members[record.index]]
    text = " ".join(block.text for block in person(read(report), None, None).blocks if block.kind == "text")
    assert f"row {found[0].index}, as 1 others of the same score, is a member with a probability of" in text
    assert f"{100 * found[0].risk:.1f} %" in text


def test_equal_attacks_are_told_by_their_auc():
    rng = np.random.default_rng(1)
    members, nonmembers = rng.random(50), rng.random(50)
    worse = Told("worse", members * 0, nonmembers * 0 + 1, 0.5)
    better = Told("better", members * 0 + 0.4, np.r_[np.ones(45), np.zeros(5)], 0.5)
    rows = np.arange(100) / 1000
    logits = np.stack([rows, np.zeros(100)], axis=1) + 30.0
    labels = np.zeros(50, int)
    sides = logits[:50], labels, logits[50:], labels
    found = mpreg.evaluate_predictions(*sides, attacks=[worse, better], from_logits=True)
    assert (
        found.best_at_low_fpr.name in ("better", "gap")
        and found.best_at_low_fpr.auc >= found.attacks["worse"].auc
    )
