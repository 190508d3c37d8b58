"""The stories of `docs/stories.md`: each script runs, at tiny size, and leaves what it promises."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest

from mpreg.metrics import Estimate

DOCS = Path(__file__).resolve().parents[2] / "docs"


def story(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_audit_a_model(tmp_path):
    audit = story("audit_a_model").main(tmp_path, trees=5)
    assert audit.report.members == 800
    assert "digit 3" in (tmp_path / "report.html").read_text("utf-8")
    assert {"report.json", "dpia.md", "member_scores.npz"} <= {path.name for path in tmp_path.iterdir()}


def test_defend_in_one_line(tmp_path):
    comparison = story("defend_in_one_line").main(tmp_path, epochs=1, attacks="fast")
    assert comparison["plain"].reference is None and comparison["defended"].reference.members == 700
    assert "700 reference records" in (tmp_path / "report.html").read_text("utf-8")
    assert (tmp_path / "defended.keras").exists()


@pytest.mark.slow
def test_choose_a_defence(tmp_path):
    comparison, chosen = story("choose_a_defence").main(tmp_path, epochs=1, strengths=(1.0,), attacks="fast")
    assert next(iter(comparison.reports)) == "none" and len(comparison.reports) == 5
    assert f"{chosen} (chosen)" in (tmp_path / "dpia.html").read_text("utf-8")
    assert "defences side by side" in (tmp_path / "report.html").read_text("utf-8")


def test_the_choice_follows_its_rule():
    @dataclasses.dataclass
    class Figures:
        test_accuracy: Estimate
        attack_accuracy: Estimate
        reference: object = None

    def figures(test, attack, on_reference=None):
        reference = None if on_reference is None else figures(test, on_reference)
        return Figures(Estimate(test, 0, 1), Estimate(attack, 0, 1), reference)

    reports = {
        "none": figures(0.9, 0.8),
        "dear": figures(0.8, 0.5),
        "fair": figures(0.88, 0.6),
        "poor": figures(0.9, 0.7),
        "leaks its reference": figures(0.9, 0.55, on_reference=0.65),
    }
    assert story("choose_a_defence").choose(reports) == "fair"


def test_every_story_is_told():
    text = (DOCS / "stories.md").read_text("utf-8")
    for path in (DOCS / "examples").glob("*.py"):
        assert f"docs/examples/{path.name}" in text
