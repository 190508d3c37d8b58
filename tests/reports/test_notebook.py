"""What a notebook shows: tables in place of plain strings, and figures that no global state knows of."""

import dataclasses
import html
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

import mpreg
from mpreg._text import html_lines, html_table, percent_with_interval
from mpreg.federated import Federation
from mpreg.gradients.plan import ClippingPlan
from mpreg.private.statement import Statement, write_statement

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<script>alert(1)</script>"


def report_on(margins, seed=0):
    rng = np.random.default_rng(seed)

    def side(margin):
        labels = rng.integers(0, 4, 80)
        logits = rng.normal(size=(80, 4))
        logits[np.arange(80), labels] += margin
        return logits, labels

    return mpreg.evaluate_predictions(*side(margins[0]), *side(margins[1]), attacks="fast", from_logits=True)


@pytest.fixture(scope="module")
def report():
    return report_on((4.0, 1.0))


@pytest.fixture(scope="module")
def comparison(report):
    return mpreg.compare({"plain": report, HOSTILE: report_on((1.5, 1.3), seed=1)})


def text_of(shown):
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", shown, flags=re.DOTALL))


class TestHtml:
    def test_a_report_shows_the_headline_and_every_attack_with_its_interval(self, report):
        words = " ".join(text_of(report._repr_html_()).replace("\u00a0", " ").split())
        assert "of 100 cases, where guessing gives 50." in words
        for found in report.attacks.values():
            assert f"{found.name} {percent_with_interval(found.accuracy)}" in words

    def test_a_comparison_shows_each_model_and_names_stay_text(self, comparison):
        shown = comparison._repr_html_()
        assert "<script" not in shown and HOSTILE in text_of(shown)
        for found in comparison.reports.values():
            assert percent_with_interval(found.test_accuracy) in text_of(shown).replace(
                "\u00a0", " "
            ).replace("  ", " ")

    def test_the_style_reaches_no_further_than_the_piece_itself(self, report):
        (style,) = re.findall(r"<style>(.*?)</style>", report._repr_html_(), re.DOTALL)
        rules = [rule.split("{")[0] for rule in style.split("}") if rule.strip()]
        assert len(rules) > 5
        assert all(part.strip().startswith(".mpreg") for rule in rules for part in rule.split(","))

    def test_a_report_on_canaries_and_reference_records_is_shown_too(self, report):
        assert "reference records" in text_of(
            dataclasses.replace(report, reference=report_on((9.0, 0.5)))._repr_html_()
        )

    def test_tables_and_lines_are_text(self):
        assert html_table([HOSTILE], [["a\nb"]]).count("<script") == 0
        assert "<td>a b</td>" in html_table(["h"], [["a\nb"]])
        assert html_lines("<b>\nc").endswith(">&lt;b&gt;\nc</pre>")

    def test_a_privacy_statement_is_text_that_shows_its_lines(self):
        said = write_statement(None, [], None)
        assert isinstance(said, str) and isinstance(said, Statement)
        assert html.unescape(said._repr_html_()).endswith(f">{said}</pre>")


class TestPlans:
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="answers")])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    def test_a_clipping_plan_is_a_table_with_a_row_for_each_layer(self, model):
        plan = ClippingPlan(model, [], whole="map_fn", why="a <loop>")
        shown = plan._repr_html_()
        assert "<td>answers</td><td>Dense</td><td>8</td><td>map_fn</td><td>a &lt;loop&gt;</td>" in shown
        assert plan.rows[0]["parameters"] == 8 and str(plan).splitlines()[-1] in text_of(shown)

    def test_a_federation_is_a_table_with_a_row_for_each_participant(self, model):
        x, y = np.zeros((40, 3), "float32"), np.zeros(40, int)
        shown = Federation(model, [(x[:10], y[:10]), (x, y)])._repr_html_()
        assert (
            "<td>0</td><td>10</td><td>20.0 %</td>" in shown
            and "<td>1</td><td>40</td><td>80.0 %</td>" in shown
        )
        assert "fedavg, 0 rounds done" in shown


class TestFigures:
    def test_a_report_draws_its_five_strongest_attacks(self, report):
        figure = report.plot_roc()
        strongest = sorted(report.attacks.values(), key=lambda found: -found.accuracy)[:5]
        drawn = [line.get_label() for line in figure.axes[0].lines[:-1]]  # the last is guessing
        assert isinstance(figure, Figure)
        assert drawn == [f"{found.name}, AUC {float(found.auc):.3f}" for found in strongest]

    def test_histograms_have_a_panel_for_each_model(self, report, comparison):
        assert len(report.plot_histograms().axes) == 1 and len(comparison.plot_histograms().axes) == 2
        bars = report.plot_histograms().axes[0].patches
        assert sum(bar.get_height() for bar in bars) == pytest.approx(2)  # shares of members and of others

    def test_the_frontier_shows_each_model_where_it_stands(self, comparison):
        axes = comparison.plot_frontier().axes[0]
        places = {tuple(box.lines[0].get_xydata()[0]) for box in axes.containers}
        assert places == {
            (float(found.test_accuracy), float(found.attack_accuracy))
            for found in comparison.reports.values()
        }

    def test_reference_records_that_leak_more_are_what_the_frontier_shows(self, report):
        leaking = dataclasses.replace(report_on((1.5, 1.3)), reference=report)
        (box, _) = mpreg.compare({"a": leaking, "b": report}).plot_frontier().axes[0].containers
        assert box.lines[0].get_ydata()[0] == report.attack_accuracy

    def test_figures_are_shown_by_notebooks_without_pyplot(self, comparison):
        for figure in (comparison.plot_roc(), comparison.plot_histograms(), comparison.plot_frontier()):
            assert figure._repr_png_().startswith(b"\x89PNG")

    def test_no_global_state_is_touched_and_predictions_are_judged_without_tensorflow(self):
        code = (
            "import sys, numpy as np, mpreg\n"
            "y = np.arange(40) % 2; p = np.c_[1 - y, y] * .8 + .1\n"
            "found = mpreg.evaluate_predictions(p, y, p, y, attacks=['gap', 'loss_threshold'])\n"
            "found.plot_roc(), found.plot_histograms(), mpreg.compare({'a': found}).plot_frontier()\n"
            "print(*(name in sys.modules for name in ('matplotlib.pyplot', 'tensorflow', 'keras')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.stdout.split() == ["False"] * 3, done.stderr
