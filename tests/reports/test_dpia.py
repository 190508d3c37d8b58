"""The impact assessment: what it reckons is Bayes' rule, what it asks is Article 35, and names stay text."""

import dataclasses
import math
import re

import numpy as np
import pytest

import mpreg
from mpreg._text import percent, percent_with_interval
from mpreg.attacks.whitebox.gradient_norms import GradientNorms
from mpreg.evaluation.member_risk import MemberRisk
from mpreg.metrics.membership_privacy import PRIORS, implied_gamma, posterior, posterior_bound
from mpreg.reports import words
from mpreg.reports.html import render_html
from mpreg.reports.impact import assessment
from mpreg.reports.schema import read


def report_on(margins=(4.0, 2.0), seed=0):
    rng = np.random.default_rng(seed)
    sides = []
    for margin, size in zip(margins, (150, 120), strict=True):
        labels = rng.integers(0, 3, size)
        logits = rng.normal(size=(size, 3)) * 2
        logits[np.arange(size), labels] += margin
        sides += [logits, labels]
    return mpreg.evaluate_predictions(*sides, attacks="fast", from_logits=True)


@pytest.fixture(scope="module")
def report():
    return report_on()


@pytest.fixture(scope="module")
def document(report):
    return assessment(report, title="Triage")


def text_of(document):
    return " ".join(re.sub(r"<[^>]+>", " ", document.to_html()).split()).replace("&#39;", "'")


class TestMembershipPrivacy:
    def test_the_posterior_is_a_count_of_the_called(self):
        """Of 1,000 records a tenth are members; the attack calls 60 of them and 180 of the others."""
        assert posterior(0.1, tpr=0.6, fpr=0.2) == pytest.approx(60 / (60 + 180))

    def test_an_attack_that_never_calls_gives_no_posterior(self):
        assert math.isnan(posterior(0.3, tpr=0.0, fpr=0.0))

    @pytest.mark.parametrize("prior", [0.001, 0.1, 0.5, 0.9])
    def test_the_bound_is_attained_by_no_more_than_its_gamma(self, prior):
        for gamma in (1.0, 1.3, 2.0, 50.0):
            assert implied_gamma(prior, posterior_bound(prior, gamma)) == pytest.approx(gamma)
        assert posterior_bound(prior, 1.0) == pytest.approx(prior)

    @pytest.mark.parametrize("prior", [0.01, 0.3, 0.5, 0.99])
    @pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0])
    def test_randomized_response_stays_within_the_bound_of_its_epsilon(self, prior, epsilon):
        """It tells membership truthfully with odds exp(epsilon), the most that differential privacy allows."""
        truth = math.exp(epsilon) / (1 + math.exp(epsilon))
        belief = posterior(prior, tpr=truth, fpr=1 - truth)
        assert belief <= posterior_bound(prior, math.exp(epsilon)) + 1e-12
        assert 1.0 < implied_gamma(prior, belief) <= math.exp(epsilon) + 1e-9

    def test_certainty_is_bounded_by_nothing(self):
        assert implied_gamma(0.5, 1.0) == math.inf
        assert implied_gamma(0.5, 0.2) == 1.0  # belief that shrank refutes nothing

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (
                lambda: posterior(0.0, tpr=0.5, fpr=0.5),
                "prior must be strictly between 0 and 1. Received: prior=0.0",
            ),
            (lambda: posterior(0.5, tpr=1.5, fpr=0.5), "tpr must be from 0 to 1. Received: tpr=1.5"),
            (lambda: posterior_bound(0.5, 0.9), "gamma must be at least 1. Received: gamma=0.9"),
            (lambda: implied_gamma(0.5, -0.1), "belief must be from 0 to 1. Received: belief=-0.1"),
        ],
    )
    def test_what_is_out_of_range_is_quoted(self, call, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


class TestAssessment:
    def test_it_has_what_article_35_asks_for_in_order(self, document):
        titles = [section.title for section in document.sections]
        for letter in "abcd":
            assert sum(f"Article 35(7)({letter})" in title for title in titles) == 1
        chapters = [title for title in titles if title[0].isdigit()]
        assert chapters == sorted(chapters)
        assert "Article 35(2), (9) and (11)" in titles[-1]

    def test_it_says_once_that_it_is_no_legal_advice(self, document):
        assert text_of(document).count("not legal advice") == 1

    def test_both_forms_hold_the_same_places_to_fill_in(self, document):
        assert document.open_questions >= 10
        assert document.to_html().count('<b class="ask-mark">') == document.open_questions
        assert document.to_markdown().count("\n**[TO FILL IN]** ") == document.open_questions

    def test_the_figures_are_those_of_the_report(self, report, document):
        text = text_of(document)
        for result in report.attacks.values():
            assert f"{result.name} {percent_with_interval(result.accuracy)}" in text
        assert percent_with_interval(report.test_accuracy) in text
        for leak in report.leakage_per_class():
            assert f"class {leak.label} {leak.members}" in text

    def test_beliefs_follow_from_the_precision_at_each_prior(self, report, document):
        odds = float(report.strongest.precision) / (1 - float(report.strongest.precision))
        for prior in PRIORS:
            belief = 1 / (1 + (1 - prior) / (prior * odds))
            assert f"{percent(belief)} (at least" in text_of(document)

    def test_the_least_belief_is_not_below_the_one_before(self, document):
        """An attacker may leave a poor attack unheard: what the lower end of its rates would take away, it need not."""
        found = re.findall(r"([\d.]+) % \(at least ([\d.]+) %\)", text_of(document))
        assert len(found) >= 3 and len(found) % len(PRIORS) == 0
        for (_, least), prior in zip(found, PRIORS * (len(found) // len(PRIORS)), strict=True):
            assert float(least) >= 100 * prior

    def test_records_are_counted_by_their_probability(self, report):
        risk = MemberRisk("a", np.r_[0.6, 0.8, np.full(148, 0.1)], np.full(120, 0.55))
        text = text_of(assessment({**report.to_dict(), "risk": risk.to_dict()}, title="T"))
        assert "above 50 % 2 of 150 120 of 120" in text and "above 75 % 1 of 150 0 of 120" in text

    def test_a_guarantee_bounds_every_attacker(self, report, document):
        text = text_of(assessment(report, title="T", epsilon=math.log(2), delta=1e-5))
        assert "50 % before, at most 75.0 % after" in text and "1 % before, at most 2.0 % after" in text
        assert "δ = 1e-05" in text and "it was not checked here" in text
        assert "no upper bound" in text_of(document) and "no upper bound" not in text

    def test_white_box_access_is_measured_where_it_was(self, report, document):
        norms = GradientNorms(np.arange(1.0, 20), np.arange(5.0, 30))
        assert f"AUC of {norms.auc:.3f}" in text_of(assessment(report, title="T", gradient_norms=norms))
        assert "AUC of" not in text_of(document)
        held = dataclasses.replace(report.attacks["gap"], name="by the weights", level="white box")
        both = dataclasses.replace(report, attacks={**report.attacks, held.name: held})
        text = text_of(assessment(both, title="T", gradient_norms=norms))
        assert "Yes: by the weights. The norm of each" in text
        assert f"Yes: {', '.join(report.attacks)}." in text  # of the answers alone

    def test_defences_that_were_considered_stand_with_their_cost(self, report):
        defended = dataclasses.replace(report_on(margins=(2.5, 2.4), seed=1), reference=report_on(seed=2))
        models = mpreg.compare({"plain": report, "defended": defended})
        text = text_of(assessment(models, title="T"))
        cost = 100 * (float(defended.test_accuracy) - float(report.test_accuracy))
        assert f"defended (chosen) {percent_with_interval(defended.test_accuracy)} {cost:+.1f} points" in text
        assert percent_with_interval(defended.reference.attack_accuracy) in text
        assert "plain (chosen)" in text_of(assessment(models, title="T", chosen="plain"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"chosen": "none"}, "chosen must be one of ['model']. Received: 'none'"),
            ({"epsilon": 0.0}, "epsilon must be above 0 and delta from 0 to below 1. Received: epsilon=0.0"),
            ({"epsilon": 1.0, "delta": 1.0}, "Received: epsilon=1.0, delta=1.0"),
        ],
    )
    def test_wrong_options_are_quoted(self, report, options, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            assessment(report, title="T", **options)


class TestForms:
    HOSTILE = ("<script>x</script>", "a | b", "**bold** [link](http://x)")

    def test_hostile_names_stay_text(self, report):
        document = assessment(report, title=self.HOSTILE[0], class_names=self.HOSTILE)
        html, markdown = document.to_html(), document.to_markdown()
        assert "<script" not in html and "&lt;script&gt;x&lt;/script&gt;" in html
        assert "<script" not in markdown.replace("\\<", "")
        assert "a \\| b" in markdown and "\\*\\*bold\\*\\* [link\\](http://x)" in markdown

    def test_markdown_tables_have_a_cell_for_each_column(self, report):
        lines = assessment(report, title="T", class_names=self.HOSTILE).to_markdown().split("\n")
        columns = None
        for line in lines:
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
            assert columns is None or bars is None or bars == columns, line
            columns = bars
        assert sum(line.startswith("| ") for line in lines) > 20

    def test_the_page_loads_nothing(self, document):
        html = document.to_html()
        assert "default-src 'none'" in html
        assert not re.search(r"<(script|img|link|iframe)|\ssrc=|\shref=", html)


class TestReference:
    """Reference records that are told apart better than members are in the headline, and members beside them."""

    @pytest.fixture(scope="class")
    @classmethod
    def exposed(cls):
        return dataclasses.replace(report_on((2.1, 2.0)), reference=report_on((8.0, 2.0), seed=1))

    def test_the_headline_is_about_the_worse(self, exposed):
        members, others = (round(100 * part.attack_accuracy) for part in (exposed, exposed.reference))
        assert others > members
        said = (
            "can tell reference records, which the defence learned from, from non-members in "
            f"{others} of 100 cases, and members in {members},"
        )
        assert text_of(assessment(exposed)).count(said) == 2  # what was measured, and what remains
        low = f"{100 * exposed.reference.attack_accuracy.low:.1f}"
        assert f"95 % interval: {low} to" in text_of(assessment(exposed))
        page = render_html(exposed)
        assert said in page and f"<strong>{others}</strong> of 100" in page

    def test_beliefs_are_those_of_the_reference(self, exposed):
        text = text_of(assessment(exposed))
        assert "what follows is about them" in text
        belief = exposed.reference.to_dict()["beliefs"][0]["after"][0]["value"]
        assert f"{percent(belief)} (at least" in text

    def test_members_that_are_told_apart_better_keep_the_headline(self, exposed):
        turned = dataclasses.replace(
            exposed.reference, reference=dataclasses.replace(exposed, reference=None)
        )
        text = text_of(assessment(turned))
        assert "can tell members from non-members" in text and "what follows is about them" not in text
        assert f"The {exposed.members} reference records, which a defence may learn from, are told" in text


class TestSupport:
    def test_a_rate_at_few_false_alarms_says_on_how_few_nonmembers_it_rests(self, report):
        """120 non-members: one false alarm in a thousand is none of them, one in a hundred is one."""
        text = text_of(assessment(report))
        headline = words.few_but_certain(read(report))
        assert headline.endswith(
            "TPR at 1% FPR rests on 1 of 120 non-members; at least 1,000 are needed for 10 false positives."
        )
        assert headline in text and headline.replace(" %", "\u00a0%") in render_html(report)
        for fpr, allowed in ((0.1, 0), (1, 1)):
            assert f"at {fpr} % false alarms (TPR at {fpr}% FPR rests on {allowed} of 120 non-members" in text

    def test_enough_nonmembers_need_no_note(self):
        shape = {"true_positives": [0, 10], "false_positives": [0, 10_000]}
        document = {"strongest_attack": "a", "attacks": {"a": {"roc": shape}}, "nonmembers": 10_000}
        assert words.support(document, 0.001) is None

    def test_the_rate_that_was_picked_as_the_highest_has_limits_for_all(self, report):
        found = report.to_dict()["best_at_fpr"]
        for best in found:
            result = report.attacks[best["attack"]]
            assert best["tpr"]["value"] == max(
                float(one.tpr_at_fpr[best["fpr"]]) for one in report.attacks.values()
            )
            expected = mpreg.metrics.tpr_at_fpr_interval(
                result.member_scores,
                result.nonmember_scores,
                fpr=best["fpr"],
                confidence=1 - 0.05 / len(report.attacks),
            )
            assert (best["tpr"]["low"], best["tpr"]["high"]) == expected
