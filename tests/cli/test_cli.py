"""The command: what it lists without importing it, how it ends, and what it leaves."""

import json
import subprocess
import sys
import types
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from mpreg.cli.main import main
from mpreg.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Options that name the predictions of a leaking model."""
    folder, rng = tmp_path_factory.mktemp("predictions"), np.random.default_rng(0)
    options = []
    for name, margin in (("member", 4.0), ("nonmember", 1.0)):
        labels = rng.integers(0, 3, 60)
        logits = rng.normal(size=(60, 3))
        logits[np.arange(60), labels] += margin
        np.savez(folder / f"{name}.npz", predictions=logits, labels=labels)
        options += [f"--{name}-predictions", folder / f"{name}.npz"]
    return options


class TestHelp:
    @pytest.mark.parametrize(
        ("command", "lists"), [("", "quickstart audit compare recipe"), ("recipe", "nasr2018")]
    )
    def test_help_imports_nothing_heavy(self, command, lists):
        code = (
            "import sys; from mpreg.cli import main\n"
            f"try: main({command.split()} + ['--help'])\n"
            "finally: print([name for name in ('tensorflow', 'keras', 'numpy', 'sklearn') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.stdout.splitlines()[-1] == "[]", done.stderr
        assert all(name in done.stdout for name in lists.split())

    def test_recipes_are_those_that_the_recipes_list(self):
        listed = main.commands["recipe"].list_commands(None)
        assert {"nasr2018", "shokri2017"} <= set(listed) == set(RECIPES)

    def test_an_unknown_recipe_is_a_usage_error(self):
        assert run("recipe", "experiment").exit_code == 2

    def test_compare_is_imported_when_it_is_used(self, monkeypatch):
        @click.command()
        @click.option("--sets")
        def command(sets):
            click.echo(f"compared {sets}")

        module = types.ModuleType("mpreg.recipes.studies.compare")
        module.command = command
        monkeypatch.setitem(sys.modules, "mpreg.recipes.studies.compare", module)
        assert run("compare", "--sets", "digits").output == "compared digits\n"


class TestAudit:
    def test_it_leaves_a_report_and_ends_with_0(self, files, tmp_path):
        done = run("audit", *files, "--attacks", "fast", "--out", tmp_path / "new", "--title", "My model")
        assert done.exit_code == 0, done.output
        names = {"report.html", "report.json", "report.md", "member_scores.npz"}
        assert {path.name for path in (tmp_path / "new").iterdir()} == names
        assert "**Strongest attack:" in done.output and "report.html" in done.output
        assert "<h1>My model</h1>" in (tmp_path / "new" / "report.html").read_text("utf-8")

    def test_a_figure_above_its_limit_ends_with_1_and_the_report_is_there(self, files, tmp_path):
        limits = ["--fail-above", "attack_accuracy=0.5", "--fail-above", "attack_auc=1"]
        done = run("audit", *files, "--attacks", "fast", "--out", tmp_path, *limits)
        assert done.exit_code == 1
        found = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert [gate["failed"] for gate in found["gates"]] == [True, False]
        assert "limit 0.5: above the limit" in done.output and "limit 1: within the limit" in done.output

    def test_the_assessment_takes_the_guarantee(self, files, tmp_path):
        options = ["--dpia", "--epsilon", "2", "--delta", "1e-6"]
        assert run("audit", *files, "--attacks", "fast", "--out", tmp_path, *options).exit_code == 0
        assert "ε = 2 and δ = 1e-06" in (tmp_path / "dpia.md").read_text("utf-8")

    def test_class_names_and_seed_are_used(self, files, tmp_path):
        (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
        options = [
            "--class-names",
            tmp_path / "names.txt",
            "--seed",
            7,
            "--attacks",
            "fast",
            "--out",
            tmp_path,
        ]
        assert run("audit", *files, *options).exit_code == 0
        found = json.loads((tmp_path / "report.json").read_text("utf-8"))
        assert found["class_names"] == ["ant", "bee", "cat"] and found["report"]["seed"] == 7

    def test_a_record_on_both_sides_is_an_error_that_tells_what_to_say(self, tmp_path):
        file = tmp_path / "records.npz"
        np.savez(file, x=np.eye(3), y=[0, 1, 2])
        (tmp_path / "model.keras").write_bytes(b"not looked at")
        given = [tmp_path / "model.keras", "--members", file, "--nonmembers", file, "--out", tmp_path / "new"]
        done = run("audit", *given)
        assert done.exit_code == 2 and "or say --allow-duplicates if distinct people" in " ".join(
            done.output.split()
        )
        done = run("audit", *given, "--allow-duplicates")  # now the model is looked at
        assert done.exit_code == 2 and "must be a .keras file" in " ".join(done.output.split())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ([], "give MODEL.keras with --members and --nonmembers, or --member-predictions"),
            (["--member-predictions", "FILE"], "give MODEL.keras with --members"),
            (["FILE", "--members", "FILE"], "give MODEL.keras with --members"),
            (
                ["FILE", "--members", "FILE", "--nonmembers", "FILE", "--member-predictions", "FILE"],
                "give MODEL.keras",
            ),
            (["--member-predictions", "FILE", "--nonmember-predictions", "missing.npz"], "does not exist"),
            (["FILE", "--members", "FILE", "--nonmembers", "FILE", "--strong"], "say --shadow-epochs"),
            (["BOTH", "--strong"], "need MODEL and its records"),
            (["BOTH", "--reference", "FILE"], "need MODEL and its records"),
            (["BOTH", "--fail-above", "auc=0.6"], "a limit must be FIGURE=NUMBER"),
            (["BOTH", "--dpia", "--epsilon", "-1"], "epsilon must be above 0"),
            (["BOTH", "--allow-duplicates"], "need MODEL and its records"),
            (
                ["FILE", "--members", "FILE", "--nonmembers", "FILE", "--coarse"],
                "--coarse is for predictions",
            ),
            (["BOTH", "--epsilon", "1"], "say --dpia too"),
            (["BOTH", "--attacks", "weak"], "'weak' is not one of"),
            (["FILE", "--members", "FILE", "--nonmembers", "FILE"], "must hold the arrays x and y"),
            (["BOTH", "--probabilities"], "probabilities must lie in"),
        ],
    )
    def test_wrong_input_ends_with_2_and_leaves_nothing(self, files, options, message, tmp_path):
        expanded = []
        for option in options:
            expanded += files if option == "BOTH" else [files[1] if option == "FILE" else option]
        done = run("audit", *expanded, "--out", tmp_path / "new")
        assert done.exit_code == 2
        assert message in " ".join(done.output.split())
        assert not (tmp_path / "new").exists()
