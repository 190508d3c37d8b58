"""The registry of defences, the cells of its table, and how the table ranks."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

import mpreg
from mpreg.catalogue import DEFENCES, SETTINGS, chosen
from mpreg.cli import main
from mpreg.recipes.studies import compare, defence_table
from mpreg.recipes.studies.adaptive import STANDARD_ONLY
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.studies.stopping import attack_of_stopping


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Digits with few records; data set and split are real."""
    monkeypatch.setitem(
        SETTINGS, "digits", SETTINGS["digits"].replace(members=60, reference=60, nonmembers=60, epochs=2)
    )


def report(test, attack, *, classes=10):
    return {
        "classes": classes,
        "test_accuracy": {"value": test},
        "train_accuracy": {"value": 1.0},
        "attack_accuracy": {"value": attack},
        "strongest_attack": "gap",
        "best_at_fpr": [{"fpr": 0.01, "tpr": {"value": 0.02}}],
        "reference": None,
    }


class TestStoppingEarly:
    CURVE = (report(0.6, 0.9), report(0.62, 0.8), report(0.5, 0.6), report(0.4, 0.7))

    @pytest.mark.parametrize(
        ("test", "attack"),
        [
            (0.62, 0.8),  # a stop of its own
            (0.56, 0.7),  # halfway between two
            (0.3, 0.55),  # halfway to the untrained model: .1 by guessing, attacked at .5
            (0.1, 0.5),
            (0.7, 0.8),  # better than any stop: the best of them is the one to beat
        ],
    )
    def test_the_attack_at_a_test_accuracy(self, test, attack):
        # Stops that lose on both counts, (.6, .9) and (.4, .7), count for nothing.
        assert attack_of_stopping(test, self.CURVE) == pytest.approx(attack)

    def test_defences_are_ranked_by_what_they_are_worth_over_it(self):
        made = {}
        for seed in (0, 1):
            for (name, share), found in zip(defence_table.CURVE, [*self.CURVE, *self.CURVE], strict=False):
                made[Cell("digits", name, seed, share)] = {"report": found, "training_seconds": 2.0}
            made[Cell("digits", "l2", seed)] = {"report": report(0.62, 0.7), "training_seconds": 3.0}
            made[Cell("digits", "advreg", seed)] = {"report": report(0.3, 0.55), "training_seconds": 5.0}
        rows = defence_table.rank(made, "digits", ["undefended", "advreg", "l2"], (0, 1), None)
        assert [row["defence"] for row in rows] == ["l2", "advreg", "undefended"]
        assert [round(row["over_stopping_early"]["mean"], 6) for row in rows] == [-0.1, 0.0, 0.133333]
        assert [row["cost"] for row in rows] == [1.5, 2.5, 1.0]
        header, lines = defence_table.as_text(rows)
        assert {len(line) for line in lines} == {len(header)}

    def test_brackets_are_intervals_of_one_split_and_the_range_of_several(self):
        one, other = ({"value": v, "low": v - 0.1, "high": v + 0.2} for v in (0.5, 0.6))
        assert defence_table._range([one]) == {"mean": 0.5, "low": 0.4, "high": 0.7}
        assert defence_table._range([one, other]) == {"mean": 0.55, "low": 0.5, "high": 0.6}
        assert "95 % intervals" in defence_table.note_of(1) and "lowest and highest" in defence_table.note_of(
            2
        )

    def test_defences_that_train_for_other_epochs_are_named(self, monkeypatch):
        setting = SETTINGS["digits"]
        assert defence_table.own_epochs(["l2", "screened-l2", "undefended"], setting) == ""
        slow = dataclasses.replace(DEFENCES["l2"], epochs={"digits": 2})
        monkeypatch.setitem(DEFENCES, "l2", slow)
        told = " Tuned to other epochs than 2: l2 4, screened-l2 4."
        assert defence_table.own_epochs(["l2", "screened-l2", "undefended"], setting) == told


class TestCells:
    def test_a_cell_that_is_there_is_not_made_again(self, tmp_path, monkeypatch):
        cell = Cell("digits", "undefended")
        first = cell.make(tmp_path)
        monkeypatch.setattr(Cell, "_measure", lambda self: pytest.fail("made again"))
        assert cell.make(tmp_path) == first
        assert first["report"]["members"] == 60 and first["training_seconds"] > 0
        assert [path.name for path in tmp_path.iterdir()] == [f"{cell.name}.json"]

    def test_a_cell_that_fails_leaves_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Cell, "_measure", lambda self: {"training_seconds": float("nan")})
        with pytest.raises(ValueError, match="not JSON compliant"):
            Cell("digits", "undefended").make(tmp_path / "cells")
        assert not list(tmp_path.rglob("*.json"))

    def test_names_are_unique(self):
        several = [
            Cell("digits", "l2"),
            Cell("digits", "l2", 1),
            Cell("digits", "l2", 0, 1e-3),
            Cell("digits", "l2", 0, 1e-4),
            Cell("digits", "l2", 0, None, 3),
            Cell("digits", "l2", validation=True),
            Cell("digits", "l2", shadows=4),
            Cell("digits", "l2", shadows=4, canaries="twins:10"),
            Cell("digits", "l2", shadows=4, canaries="mislabelled:10"),
        ]
        assert len({cell.name for cell in several}) == len(several)

    def test_options_are_chosen_on_reference_records_alone(self):
        data, split = SETTINGS["digits"].draw(3)
        _, part = SETTINGS["digits"].draw(3, validation=True)
        x, _ = split.reference
        np.testing.assert_array_equal(part.members[0], split.members[0])
        np.testing.assert_array_equal(np.concatenate([part.reference[0], part.nonmembers[0]]), x)
        assert data.classes == 10


class TestRegistry:
    def test_unknown_defences_are_named(self):
        with pytest.raises(
            ValueError, match=r"defences must be of undefended, .*selena.* Received: selene, x"
        ):
            chosen("l2,selene,x")

    def test_the_undefended_classifier_comes_first_and_once(self):
        assert [defence.name for defence in chosen("l2, undefended")] == ["undefended", "l2"]
        assert [defence.name for defence in chosen("all")] == list(DEFENCES)

    @pytest.mark.parametrize("name", [name for name, defence in DEFENCES.items() if defence.strengths])
    def test_usual_strengths_are_in_the_range_of_the_sweep(self, name):
        defence = DEFENCES[name]
        assert defence.knob
        for dataset in SETTINGS:
            usual = defence.strength_for(dataset)
            assert usual is None or min(defence.strengths) <= usual <= max(defence.strengths)

    def test_a_defence_that_needs_reference_records_says_so(self):
        setting = SETTINGS["digits"]
        data, split = setting.draw(0)
        bare = mpreg.MembershipSplit(split.members, None, split.nonmembers)
        with pytest.raises(
            ValueError, match="'advreg' learns from reference records, and the split has none"
        ):
            DEFENCES["advreg"].train(setting, data, bare, seed=0)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", list(DEFENCES))
    def test_every_defence_gives_a_classifier(self, name):
        cell = Cell("digits", name)
        figures = cell._measure()
        assert 0.0 <= figures["report"]["attack_accuracy"]["value"] <= 1.0
        assert (figures["report"]["reference"] is not None) == DEFENCES[name].consumes_reference


class TestCommands:
    def test_the_table_is_written_and_goes_on_where_it_stopped(self, tmp_path, monkeypatch):
        monkeypatch.setattr(defence_table, "CURVE", (("undefended", None), ("early-stopping", 0.4)))
        options = ["--dataset", "digits", "--defences", "l2", "--seeds", "1", "--attacks", "standard"]
        options += ["--out", str(tmp_path)]
        done = CliRunner().invoke(defence_table.command, options)
        assert done.exit_code == 0, done.output
        table = json.loads((tmp_path / "table.json").read_text())
        assert {row["defence"] for row in table["digits"]} == {"undefended", "l2"}
        assert "| l2 |" in (tmp_path / "digits.md").read_text()
        assert STANDARD_ONLY in (tmp_path / "digits.md").read_text()
        assert STANDARD_ONLY in " ".join(done.output.split())
        assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
        monkeypatch.setattr(Cell, "_measure", lambda self: pytest.fail("made again"))
        assert CliRunner().invoke(defence_table.command, options).exit_code == 0

    def test_compare_writes_reports_and_models(self, tmp_path):
        options = ["--dataset", "digits", "--defences", "early-stopping", "--attacks", "standard"]
        options += ["--out", str(tmp_path)]
        done = CliRunner().invoke(main, ["compare", *options])
        assert done.exit_code == 0, done.output
        written = {path.name for path in tmp_path.iterdir()}
        assert {"report.json", "report.md", "undefended.keras", "early-stopping.keras"} <= written
        reports = json.loads((tmp_path / "report.json").read_text())["reports"]
        assert reports["early-stopping"]["reference"] is not None

    def test_compare_says_how_strong_a_defence_was_and_how_long_it_trained(self):
        setting = SETTINGS["digits"]
        assert compare._described(DEFENCES["undefended"], setting) == "undefended: plain training."
        assert compare._described(DEFENCES["l2"], setting).endswith("S&P 2017; weight decay 0.001.")
        slow = dataclasses.replace(DEFENCES["l2"], epochs={"digits": 2})
        told = "weight decay 0.001; 4 epochs, where plain training has 2."
        assert compare._described(slow, setting).endswith(told)

    def test_what_is_unknown_is_refused_before_anything_is_trained(self, tmp_path):
        for command in (["compare"], ["recipe", "defence_table"]):
            done = CliRunner().invoke(main, [*command, "--defences", "nonsense", "--out", str(tmp_path)])
            assert done.exit_code == 2 and "defences must be of" in done.output
        assert not list(tmp_path.iterdir())
