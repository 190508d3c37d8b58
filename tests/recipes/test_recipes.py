"""Recipes, on few records and epochs: they run to the end and write what they print."""

import dataclasses
import json

import pytest
from click.testing import CliRunner

import mpreg
from mpreg.catalogue.settings import DIGITS
from mpreg.cli import main
from mpreg.recipes import carlini2022, salem2019, shokri2017


def small(recipe, **options):
    return DIGITS.replace(
        network="relu_mlp" if recipe is salem2019 else "tanh_mlp",
        epochs=2,
        batch_size=32,  # of whole batches alone, which are traced once
        **{"members": 64, "reference": 0, "nonmembers": 64, **options},
    )


@pytest.mark.slow
class TestShokri2017:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory):
        out = tmp_path_factory.mktemp("shokri")
        rows = ("none", "label only", "L2 1e-2")
        return shokri2017.run(small(shokri2017), rows=rows, shadows=2, out=out), out

    def test_every_row_has_the_attacker_who_knows_and_the_naive_one(self, run):
        comparison, out = run
        for report in comparison.reports.values():
            assert {"gap", "trained", "shadow", "shadow, own records"} <= set(report.attacks)
        assert "label-only" in comparison["label only"].attacks
        text = (out / "report.md").read_text("utf-8")
        assert all(f"| {name} |" in text for name in comparison.reports) and "0.66 / 0.92" in text

    def test_outputs_leave_the_accuracy_and_labels_alone_leave_only_the_label(self, run):
        comparison, _ = run
        plain = float(comparison["none"].test_accuracy)
        labels = comparison["label only"]
        assert float(labels.test_accuracy) == plain
        thresholds = [result for name, result in labels.attacks.items() if name.endswith("threshold")]
        assert all(len(set(result.member_scores.tolist())) <= 2 for result in thresholds)

    def test_the_paper_has_eleven_rows(self):
        assert len(shokri2017.ROWS) == 11


class TestSalem2019:
    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory):
        out = tmp_path_factory.mktemp("salem")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(salem2019.SETTINGS, "digits", small(salem2019, reference=128))
            return salem2019.run(("digits",), out=out), out

    def test_the_adversaries_meet_the_target_without_and_with_each_defence(self, run):
        reports, out = run
        assert list(reports) == ["digits", "digits, dropout", "digits, stacking"]
        assert set(reports["digits"].attacks) == {"gap", "from digits", "random threshold, 10 %"}
        for defence in ("dropout", "stacking"):
            assert set(reports[f"digits, {defence}"].attacks) == {"gap", "from digits"}
        saved = json.loads((out / "report.json").read_text("utf-8"))
        assert list(saved["reports"]) == list(reports)

    def test_the_matrix_has_a_row_a_target_and_a_column_an_attack(self, run):
        report = run[0]["digits"]
        attack = report.attacks["from digits"]
        other = dataclasses.replace(report, attacks={"from digits": attack, "from shop": attack})
        tasks = {name: salem2019.Task(None, None, None, other) for name in ("digits", "shop")}
        header, rows = salem2019.matrix(tasks)
        assert header == ["target", "from digits", "from shop"]
        assert [row[0] for row in rows] == ["digits", "shop"] and all(len(row) == 3 for row in rows)
        assert f"{float(attack.precision):.2f}" in rows[0][1]

    def test_figures_of_the_slide_are_told_with_what_is_not_known_of_them(self, run):
        text = (run[1] / "report.md").read_text("utf-8")
        for defence, figures in (("Dropout", "2 / 16 / 13"), ("Stacking", "19 / 32 / 31")):
            (title,) = [line for line in text.splitlines() if line.startswith(f"## {defence}")]
            assert f"slide has {figures}, of no stated data set, baseline or unit" in title

    def test_an_unknown_data_set_is_named(self):
        with pytest.raises(ValueError, match="datasets must be of .*location30.*Received: mars"):
            salem2019.run(("mars",))


class TestCarlini2022:
    def test_it_draws_every_attack(self, tmp_path):
        report = carlini2022.run(small(carlini2022), shadows=4, out=tmp_path)
        assert isinstance(report, mpreg.PrivacyReport)
        assert {"loss threshold", "shadow", "likelihood ratio", "relative likelihood"} <= set(report.attacks)
        assert report.cost["shadow_models"] == 4
        assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
        assert "likelihood ratio" in (tmp_path / "report.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["shokri2017", "salem2019", "carlini2022"])
def test_a_recipe_is_a_command_with_help(name):
    done = CliRunner().invoke(main, ["recipe", name, "--help"])
    assert done.exit_code == 0 and "--dataset" in done.output and "--seed" in done.output
