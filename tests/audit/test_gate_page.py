"""The gate as the page shows it for continuous integration: its commands have only options that there are."""

import re
import shlex
from pathlib import Path

import pytest

from mpreg.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "gate.md").read_text("utf-8")
COMMANDS = re.findall(r"mpreg audit [^\n`]+", PAGE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_is_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.keras", "members.npz", "nonmembers.npz"):
        Path(name).touch()
    given = main.commands["audit"].make_context("audit", shlex.split(command)[2:]).params
    assert given["model"] == "model.keras" and given["fail_above"] == ("attack_accuracy=0.6",)


def test_there_is_a_command_for_the_terminal_the_workflow_and_the_hook():
    assert len(COMMANDS) == 3 and sum("--junit" in command for command in COMMANDS) == 1


def test_workflow_and_hook_are_yaml_of_their_forms():
    yaml = pytest.importorskip("yaml")
    workflow, hooks = map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    steps = workflow["jobs"]["audit"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert [step.get("if") for step in steps[-2:]] == ["always()"] * 2
    (hook,) = hooks["repos"][0]["hooks"]
    assert re.search(hook["files"], "model.keras") and not re.search(hook["files"], "other_model.keras")
    assert hook["pass_filenames"] is False and hook["entry"] in COMMANDS
