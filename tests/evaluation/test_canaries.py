"""Canaries in a report: judged among themselves, left out of all else, and told in plain words."""

import dataclasses
import json

import numpy as np
import pytest

import mpreg
from mpreg import metrics
from mpreg.evaluation.evaluate import train_shadows
from mpreg.reports import words
from mpreg.reports.impact import assessment
from mpreg.reports.schema import read

ATTACKS = ["fast", "trained", "likelihood_ratio", "likelihood_ratio_offline"]
MODELS = 8


class Answers:
    """A model that knows the records it was fitted on, those that stand out most of all, by their first feature."""

    def __init__(self, rows, odd, seed=0):
        self.rows, self.odd, self.seed = rows, odd, seed

    def predict_proba(self, x):
        number = x[:, 0].astype(int)
        noise = np.random.default_rng(self.seed).normal(size=(1_000, 3))[number]
        seen, odd = np.isin(number, self.rows), np.isin(number, self.odd)
        label = x[:, 1].astype(int)
        noise[np.arange(len(x)), label] += np.where(odd, -2 + 9 * seen, 2 + 0.5 * seen)
        return np.exp(noise) / np.exp(noise).sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    x = np.stack([np.arange(400), rng.integers(0, 3, 400), rng.random(400)], axis=1)
    drawn = mpreg.MembershipSplit.from_arrays(x, x[:, 1].astype(int), members=150, reference=100, seed=0)
    return mpreg.plant_canaries(drawn, 40, seed=1)


@pytest.fixture(scope="module")
def shadows(split):
    odd = odd_of(split)

    def train(x, y, seed):
        return Answers(x[:, 0], odd, seed)

    return mpreg.ShadowTraining(train, count=MODELS)


@pytest.fixture(scope="module")
def model(split):
    return Answers(split.members[0][:, 0], odd_of(split), seed=99)


@pytest.fixture(scope="module")
def report(model, split, shadows):
    return mpreg.evaluate(model, split, attacks=ATTACKS, shadows=shadows, reference=True)


def odd_of(split):
    rows = split.members[0][split.canaries.members], split.nonmembers[0][split.canaries.nonmembers]
    return np.concatenate([x[:, 0] for x in rows])


def by_hand(model, split, shadows, rows):
    """The report of some rows of either side alone, from predictions, as a stranger would make it."""
    x = np.concatenate([split.members[0], split.nonmembers[0]])
    y = np.concatenate([split.members[1], split.nonmembers[1]])
    membership = mpreg.attacks.draw_membership(MODELS, len(y), len(split.members[1]), seed=0)
    models = shadows.train(x, y, membership=membership)
    pool = np.concatenate([rows[0], len(split.members[1]) + rows[1]])
    part = mpreg.ShadowModels(membership[:, pool], models.predictions[:, pool], y[pool])
    answers = [
        (model.predict_proba(side[0][own]), side[1][own])
        for side, own in zip((split.members, split.nonmembers), rows, strict=True)
    ]
    return mpreg.evaluate_predictions(*answers[0], *answers[1], attacks=ATTACKS, shadows=part)


def figures(report):
    """By attack, as text, for a precision may be NaN."""
    return {name: json.dumps(found.figures()) for name, found in report.attacks.items()}


def check_alike(report, expected):
    found, wanted = figures(report), figures(expected)
    assert list(found) == list(wanted)
    assert [name for name in found if found[name] != wanted[name]] == []


def test_canary_figures_are_those_of_the_canary_rows_alone(report, model, split, shadows):
    rows = split.canaries.members, split.canaries.nonmembers
    expected = by_hand(model, split, shadows, rows)
    found = report.canaries
    check_alike(found.report, expected)
    assert found.attack_accuracy == expected.attack_accuracy
    assert (found.kind, found.members, found.nonmembers) == ("mislabelled", 40, 40)
    best = max(metrics.auc(*pair) for pair in expected.scores.values())
    assert float(found.auc) == best
    for fpr in (0.001, 0.01):
        assert float(found.tpr_at_fpr[fpr]) == max(
            metrics.tpr_at_fpr(*pair, fpr=fpr) for pair in expected.scores.values()
        )
        assert found.tpr_at_fpr[fpr].low <= found.tpr_at_fpr[fpr] <= found.tpr_at_fpr[fpr].high


def test_all_other_figures_leave_them_out(report, model, split, shadows):
    rows = [
        np.setdiff1d(np.arange(len(side[1])), own)
        for side, own in (
            (split.members, split.canaries.members),
            (split.nonmembers, split.canaries.nonmembers),
        )
    ]
    expected = by_hand(model, split, shadows, rows)
    check_alike(report, expected)
    assert (report.train_accuracy, report.test_accuracy) == (expected.train_accuracy, expected.test_accuracy)
    assert (report.members, report.nonmembers) == (110, 110)
    assert (report.reference.members, report.reference.nonmembers) == (100, 110)
    assert report.notes[0].startswith("40 mislabelled canaries a side are judged in a section of their own")


def test_queries_about_canaries_are_counted_too(model, split):
    attack = mpreg.attacks.LabelOnlyAttack(lambda x: [x])  # one copy of each record
    assert mpreg.evaluate(model, split, attacks=[attack]).cost["queries"] == 300


def test_the_fixture_tells_the_two_apart(report):
    assert report.canaries.attack_accuracy > 0.9
    assert report.attack_accuracy < 0.75


def test_exposed_members_are_named_by_their_rows_in_the_split(report, split):
    for record in report.most_vulnerable(110):
        assert record.index not in split.canaries.members
        assert split.members[1][record.index] == record.label
    listed = report.to_dict()["most_vulnerable"]
    assert [row["index"] for row in listed] == [record.index for record in report.most_vulnerable(10)]
    own = np.setdiff1d(np.arange(150), split.canaries.members)
    for row in listed:
        assert row["risk"] == report.member_risk.members[list(own).index(row["index"])]


def test_the_document_the_text_and_the_page_show_them(report, tmp_path):
    document = json.loads(report.to_json())
    told = document["canaries"]
    assert told["attack_accuracy"] == report.canaries.attack_accuracy.to_dict()
    assert told["auc"] == report.canaries.auc.to_dict()
    assert set(told["tpr_at_fpr"]) == {"0", "0.001", "0.01"}
    sentence = words.canaries(read(document)["canaries"])
    assert "40 of the members and 40 of the non-members were made to stand out (a wrong label)" in sentence
    assert "almost always whether they are in the training data" in sentence
    assert f"**Canaries.** {sentence[:60]}" in report.to_markdown()
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "All other figures on this page leave the canaries out." in page
    assert sentence[:60] in assessment(report).to_markdown()
    assert "attack on canaries" in mpreg.compare({"a": report}).to_markdown()


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        ((0.52, 0.45, 0.6), "not distinguishable from guessing"),
        ((0.58, 0.52, 0.64), "somewhat more often than by guessing"),
        ((0.7, 0.6, 0.8), "in many cases"),
        ((0.9, 0.8, 0.95), "almost always"),
    ],
)
def test_words_fit_the_figure(accuracy, expected):
    found = {"kind": "twins", "members": 50, "nonmembers": 50, "strongest_attack": "gap", "tpr_at_fpr": {}}
    assert expected in words.canaries({**found, "attack_accuracy": metrics.Estimate(*accuracy)})


def test_without_canaries_there_is_no_section(model, split):
    plain = dataclasses.replace(split, canaries=None)
    report = mpreg.evaluate(model, plain, attacks="fast")
    assert report.canaries is None
    assert report.to_dict()["canaries"] is None
    (line,) = (line for line in report.to_markdown().splitlines() if "anaries" in line)
    assert line.startswith("- Not tried, records that stand out: canaries (none were planted; ")


class Untrained:
    """A model whose answers tell records apart, and say nothing about membership."""

    def predict_proba(self, x):
        logits = 3 * np.random.default_rng(0).normal(size=(x.shape[1], 6)).T @ x.T
        return (np.exp(logits) / np.exp(logits).sum(axis=0)).T


class Nearest(mpreg.attacks.Attack):
    """Calls a record what the one with the most similar answers was, of those that it was fitted on."""

    name = "nearest"

    def fit(self, members, nonmembers, *, seed=0):
        self.known = np.concatenate([members.log_probabilities, nonmembers.log_probabilities])
        self.inside = np.repeat([1.0, 0.0], [len(members), len(nonmembers)])
        self.threshold = 0.5
        return self

    def score(self, answers):
        apart = np.abs(answers.log_probabilities[:, None] - self.known).sum(axis=-1)
        return self.inside[apart.argmin(axis=1)]


def test_an_attack_that_was_fitted_on_a_record_does_not_judge_its_twin():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, 40)), rng.integers(0, 6, 700)
    drawn = mpreg.MembershipSplit.from_arrays(x, y, members=330, reference=20, seed=0)
    planted = mpreg.plant_canaries(drawn, 300, "twins", seed=1)
    found = mpreg.evaluate(Untrained(), planted, attacks=[Nearest()]).canaries
    assert found.attack_accuracy < 0.56  # .71 where a twin may be in another fold
    assert (found.members, found.nonmembers) == (300, 300)


def test_a_pair_of_twins_counts_once():
    """Limits that count both are too narrow: what is found of one twin is found of the other."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(260, 20)), rng.integers(0, 6, 260)
    drawn = mpreg.MembershipSplit((x[:130], y[:130]), None, (x[130:], y[130:]))
    planted = mpreg.plant_canaries(drawn, 120, "twins")
    found = mpreg.evaluate(Untrained(), planted, attacks="fast").canaries
    for result in found.attacks.values():
        scores = [side[::2] for side in (result.member_scores, result.nonmember_scores)]
        assert len(scores[0]) == len(scores[1]) == 60
        assert result.auc == metrics.auc(*scores)
        assert result.advantage.interval == metrics.attack_advantage_interval(*scores)
    gap = found.attacks["gap"]
    said = [side[::2] for side in (gap.member_decisions, gap.nonmember_decisions)]
    assert gap.accuracy.interval == metrics.balanced_accuracy_interval(*said)


def test_shadow_models_know_both_twins_or_neither():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 8)), rng.integers(0, 3, 80)
    drawn = mpreg.MembershipSplit((x[:40], y[:40]), None, (x[40:], y[40:]))
    planted = mpreg.plant_canaries(drawn, 20, "twins")
    training = mpreg.ShadowTraining(lambda x, y, seed: Untrained(), count=4)
    membership = train_shadows(training, planted).membership
    for rows, before in ((planted.canaries.members, 0), (planted.canaries.nonmembers, 40)):
        first, second = membership[:, before + rows[::2]], membership[:, before + rows[1::2]]
        np.testing.assert_array_equal(first, second)
    assert np.abs(membership.sum(axis=1) - 40).max() <= 6  # as large as the target, or nearly
