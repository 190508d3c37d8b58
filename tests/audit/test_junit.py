"""Limits as JUnit: what pytest's own schema asks for, and what consumers of it read."""

import dataclasses
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

import mpreg
from mpreg.audit.gate import judge
from mpreg.audit.junit import junit_text
from mpreg.cli import main

LIMITS = [("attack_accuracy", 0.5), ("attack_auc", 1.0), ("generalization_gap", 0.9)]


def side(margin, rng):
    labels = rng.integers(0, 3, 60)
    logits = rng.normal(size=(60, 3))
    logits[np.arange(60), labels] += margin
    return logits, labels


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    attacks = ["gap", "loss_threshold"]
    return mpreg.evaluate_predictions(*side(4.0, rng), *side(1.0, rng), attacks=attacks, from_logits=True)


def document(report, limits=LIMITS):
    return {"headline": "An attacker.", "gates": [gate.to_dict() for gate in judge(report, limits)]}


class TestText:
    def test_each_limit_is_a_test_that_fails_where_the_gate_does(self, report):
        root = ElementTree.fromstring(junit_text(document(report), seconds=3.0).encode())
        (suite,) = root
        cases = suite.findall("testcase")
        gates = judge(report, LIMITS)
        assert [case.get("name") for case in cases] == [f"{name} at most {limit:g}" for name, limit in LIMITS]
        assert [case.find("failure") is not None for case in cases] == [gate.failed for gate in gates]
        assert [gate.failed for gate in gates] == [True, False, False]
        failure = cases[0].find("failure")
        assert gates[0].measured in failure.get("message") and gates[0].verdict in failure.get("message")
        told = {each.get("name"): each.get("value") for each in cases[0].iter("property")}
        assert float(told["value"]) == gates[0].value and float(told["low"]) == gates[0].low
        assert told["attack"] == gates[0].attack

    def test_both_levels_count_as_pytest_does(self, report):
        """The attributes of pytest's own files, with the numbers that follow from the cases."""
        root = ElementTree.fromstring(junit_text(document(report), seconds=3.0).encode())
        for level in (root, root[0]):
            assert {name: level.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
                "tests": "3",
                "failures": "1",
                "errors": "0",
                "skipped": "0",
                "time": "3.000",
            }
        assert root.tag == "testsuites" and root[0].tag == "testsuite" and root[0].get("timestamp")
        assert all(case.get("classname") and float(case.get("time")) == 1.0 for case in root.iter("testcase"))

    @pytest.mark.parametrize("name", ['<a> & "b"', "bell\x07", "\ufffe\ud800", "]]>"])
    def test_names_of_attacks_from_anywhere_leave_it_xml(self, report, name):
        strongest = dataclasses.replace(report.strongest, name=name)
        named = dataclasses.replace(report, attacks={**report.attacks, report.strongest_attack: strongest})
        text = junit_text({**document(named), "headline": name})
        root = ElementTree.fromstring(text.encode())
        assert len(list(root.iter("testcase"))) == 3


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path):
        rng, options = np.random.default_rng(0), []
        for name, margin in (("member", 4.0), ("nonmember", 1.0)):
            logits, labels = side(margin, rng)
            np.savez(tmp_path / f"{name}.npz", predictions=logits, labels=labels)
            options += [f"--{name}-predictions", str(tmp_path / f"{name}.npz")]
        return [*options, "--attacks", "fast", "--out", str(tmp_path / "out")]

    def test_the_file_is_there_whether_limits_hold_or_not(self, files, tmp_path):
        limits = ["--fail-above", "attack_accuracy=0.5", "--fail-above", "attack_auc=1"]
        path = tmp_path / "ci" / "privacy.xml"
        done = CliRunner().invoke(main, ["audit", *files, *limits, "--junit", str(path)])
        assert done.exit_code == 1 and done.output.splitlines()[-1] == str(path)
        root = ElementTree.parse(path).getroot()
        assert (root.get("tests"), root.get("failures")) == ("2", "1")

    def test_without_limits_or_over_an_input_nothing_is_attacked(self, files, tmp_path):
        done = CliRunner().invoke(main, ["audit", *files, "--junit", str(tmp_path / "a.xml")])
        assert done.exit_code == 2 and "add --fail-above" in done.output
        given = ["--fail-above", "attack_auc=1", "--junit", str(tmp_path / "member.npz")]
        done = CliRunner().invoke(main, ["audit", *files, *given])
        assert done.exit_code == 2 and "would be written over it" in " ".join(done.output.split())
        assert not (tmp_path / "out").exists()
