"""The plugin of `docs/catalogue.md`, in the commands that it names."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "catalogue.md").read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("plugin")
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (found / "ours.py").write_text(code)
    return found


def told(start):
    """A command of the text, as words."""
    (command,) = re.findall(rf"^mpreg {start} .*$", TEXT, re.MULTILINE)
    return command.split()[1:]


def run(folder, *words):
    """In a process of its own: what a plugin registers stays there."""
    done = subprocess.run(
        [sys.executable, "-m", "mpreg", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_compare_puts_it_beside_ours(folder):
    run(folder, *told("compare"), "--epochs", "2", "--out", "compared")
    reports = json.loads((folder / "compared" / "report.json").read_text("utf-8"))["reports"]
    assert list(reports) == ["undefended", "shrinking", "l2"]
    assert all("margin" in report["attacks"] for report in reports.values())
    assert (folder / "compared" / "shrinking.keras").exists()


@pytest.mark.slow
def test_the_frontier_sweeps_its_strengths_and_goes_on_where_it_stopped(folder):
    words = [*told("recipe frontier"), "--epochs", "2", "--out", "swept"]
    run(folder, *words)
    points = json.loads((folder / "swept" / "frontier.json").read_text("utf-8"))["points"]
    assert [point["strength"] for point in points] == [None, 0.01, 0.03, 0.1]
    assert "made anew" not in run(folder, *words)
    plugin = folder / "ours.py"
    code = plugin.read_text()
    plugin.write_text(code.replace("(1 - self.share) * weight", "(1 - 2 * self.share) * weight"))
    said = run(folder, *words)
    plugin.write_text(code)
    assert said.count("is made anew: its defence, setting or attacks have changed.") == 3


@pytest.mark.slow
def test_worker_processes_of_the_table_know_it(folder):
    words = [word if word != "location30" else "baskets" for word in told("recipe defence_table")]
    run(folder, *words, "--seeds", "1", "--epochs", "2", "--out", "table")
    (rows,) = json.loads((folder / "table" / "table.json").read_text("utf-8")).values()
    assert {row["defence"] for row in rows} == {"undefended", "shrinking", "advreg"}
