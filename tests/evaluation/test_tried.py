"""What a report says was tried and was not, by how far the attacker reaches, and when it is to be measured again."""

import dataclasses

import numpy as np
import pytest

import mpreg
from mpreg.attacks import suite
from mpreg.attacks.access import LEVELS, level_of
from mpreg.attacks.suites import ATTACKS
from mpreg.evaluation.canaries import CanaryFigures
from mpreg.reports import words
from mpreg.reports.impact import assessment
from mpreg.reports.schema import read


def report_on(attacks="fast", **options):
    rng = np.random.default_rng(0)
    answers, labels = rng.dirichlet(np.ones(3), 60), rng.integers(0, 3, 60)
    return mpreg.evaluate_predictions(answers, labels, answers[::-1], labels, attacks=attacks, **options)


def shadows(labels=None):
    if labels is None:
        one = report_on()
        labels = np.concatenate([one.member_labels, one.nonmember_labels])
    membership = mpreg.attacks.draw_membership(4, 120, 60)
    answers = np.random.default_rng(1).dirichlet(np.ones(3), (4, 120))
    return mpreg.ShadowModels(membership, answers, labels, seconds=3.0, how="elsewhere")


@pytest.fixture(scope="module")
def report():
    return report_on()


def by_level(report):
    return {entry["level"]: entry for entry in report.to_dict()["access"]}


def test_every_attack_by_name_has_a_level():
    levels = {key: level_of(attack) for key, attack in ATTACKS.items()}
    assert set(levels.values()) == set(LEVELS)
    assert levels["gap"] == levels["label_only"] == "label only"
    assert levels["trained"] == levels["loss_threshold"] == "probabilities"
    assert levels["moved_queries"] == "repeated queries"
    assert levels["likelihood_ratio"] == levels["combined"] == "shadow models"
    assert levels["gradient_norm"] == "white box"


def test_each_attack_is_tried_or_not_and_never_both(report):
    access = report.to_dict()["access"]
    done = [name for entry in access for name in entry["tried"]]
    missing = [one["attack"] for entry in access for one in entry["not_tried"]]
    assert sorted(done) == sorted(report.attacks)
    named = {attack.name for attack in ATTACKS.values()}
    assert sorted(set(missing) & named) == sorted(named - set(report.attacks))


def test_it_says_what_shadow_models_would_cost(report):
    entry = by_level(report)["shadow models"]
    assert entry["tried"] == []
    assert {one["trainings"] for one in entry["not_tried"]} == {16}
    assert {one["why"] for one in entry["not_tried"]} == {"no shadow models were trained"}
    assert not report.to_dict()["adaptive"]
    assert words.adaptive(read(report)).startswith("Not adaptive: ")


def test_with_shadow_models_the_others_cost_no_training():
    found = report_on(["likelihood_ratio"], shadows=shadows())
    entry = by_level(found)["shadow models"]
    assert entry["tried"] == ["likelihood ratio"]
    assert {one["trainings"] for one in entry["not_tried"]} == {0}
    assert found.to_dict()["adaptive"]
    assert words.adaptive(read(found)).startswith(
        "Adaptive, as far as its models were trained as the target was"
    )
    assert by_level(found)["records that stand out"]["not_tried"][0]["trainings"] == 5


def test_shadow_models_that_no_attack_asks_count_for_nothing():
    found = report_on("fast", shadows=shadows())
    assert found.cost == {"queries": 0} and not found.to_dict()["adaptive"]
    assert "Not adaptive" in found.to_markdown()


def test_markdown_says_of_each_level_what_was_not_tried_and_why(report):
    text = report.to_markdown()
    for entry in read(report)["access"]:
        said = [line for line in text.splitlines() if line.startswith(f"- Not tried, {entry['level']}: ")]
        assert len(said) == bool(entry["not_tried"])
        for missing in entry["not_tried"]:
            assert missing["attack"] in said[0] and missing["why"] in said[0] and missing["cost"] in said[0]
        for line in said:
            assert line.endswith(f" Tried: {'; '.join(entry['tried']) or 'nothing'}.")


def test_shadow_models_of_the_attackers_own_records_count():
    own = shadows(np.arange(120) % 3)
    found = report_on([mpreg.attacks.ShadowAttack(source=own)])
    assert found.cost["shadow_models"] == 4 and found.cost["shadow_seconds"] == 3.0
    assert found.to_dict()["adaptive"]
    entry = by_level(found)["shadow models"]
    assert entry["tried"] == ["shadow, own records"]
    assert {one["trainings"] for one in entry["not_tried"]} == {16}  # of the judged records there are none
    both = report_on([mpreg.attacks.ShadowAttack(source=own), "likelihood_ratio"], shadows=shadows())
    assert both.cost["shadow_models"] == 8 and both.cost["shadow_training"] == "elsewhere"
    assert {one["trainings"] for one in by_level(both)["shadow models"]["not_tried"]} == {0}


def test_shadow_models_of_another_split_are_refused():
    with pytest.raises(
        ValueError, match="the shadow models answer to records of other labels: .* of 120 differ"
    ):
        report_on(["likelihood_ratio"], shadows=shadows(np.arange(120) % 3))


def test_what_was_left_out_says_what_it_needs():
    found = report_on("whitebox")
    reasons = {one["attack"]: one["why"] for entry in by_level(found).values() for one in entry["not_tried"]}
    left_out = {attack.name for attack in suite("whitebox")} - set(found.attacks)
    assert left_out == {"imitation", "gradient norm threshold", "white-box"}
    assert all(reasons[name].startswith("needs ") and "left out" not in reasons[name] for name in left_out)


def test_canaries_are_tried_where_there_were_some(report):
    planted = dataclasses.replace(report, canaries=CanaryFigures("twins", report))
    entry = by_level(planted)["records that stand out"]
    assert entry["not_tried"] == [] and "twins canaries, gap" in entry["tried"]


def test_texts_pages_and_assessments_tell_it(report, tmp_path):
    assert words.retest() in report.to_markdown() and "a year from this one" in words.retest()
    assert report.to_dict()["retest"] == list(words.RETEST)
    assert words.adaptive(read(report)) in report.to_markdown()
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "What was tried, and what was not" in page and words.RETEST[0] in page
    paper = assessment(report).to_markdown()
    assert "16 trainings with the target" in paper and words.RETEST[-1] in paper


def test_an_attack_of_ones_own_is_of_the_level_that_its_needs_say():
    class Own(mpreg.attacks.Attack):
        name = "own"
        needs = frozenset({"model"})

        def fit(self, members, nonmembers, *, seed=0):
            self.threshold = 0.0
            return self

        def score(self, answers):
            return answers.true_class

    assert level_of(Own()) == "repeated queries"
