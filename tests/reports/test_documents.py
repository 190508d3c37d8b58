"""Documents: all that a renderer needs, as JSON, without a class of mpreg; old ones and wrong ones too."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mpreg
from mpreg._files import write_json
from mpreg._text import percent_with_interval
from mpreg.attacks import GapAttack, ThresholdAttack
from mpreg.attacks.whitebox.gradient_norms import GradientNorms
from mpreg.audit import Audit
from mpreg.audit.files import Source
from mpreg.audit.gate import judge
from mpreg.evaluation.canaries import CanaryFigures
from mpreg.metrics import Estimate
from mpreg.reports.figures import plot_attacks, plot_histograms, plot_roc
from mpreg.reports.html import render_html
from mpreg.reports.impact import assessment
from mpreg.reports.kept import load, render_kept
from mpreg.reports.markdown import render_markdown
from mpreg.reports.schema import read

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = (ROOT / "docs" / "report-schema.md").read_text("utf-8")
SCHEMAS = ("mpreg.audit/1", "mpreg.comparison/1", "mpreg.report/1")


def report_on(margins=(4.0, 2.0), seed=0, attacks="fast", members=120):
    rng = np.random.default_rng(seed)
    sides = []
    for margin, size in zip(margins, (members, 90), strict=True):
        labels = rng.integers(0, 3, size)
        logits = rng.normal(size=(size, 3)) * 2
        logits[np.arange(size), labels] += margin
        sides += [logits, labels]
    return mpreg.evaluate_predictions(*sides, attacks=attacks, from_logits=True)


def kept(subject):
    """A document as it comes back from a file."""
    return json.loads(write_json(subject.to_dict()))


@pytest.fixture(scope="module")
def report():
    return report_on()


@pytest.fixture(scope="module")
def subjects(report):
    """A document's source of each schema, with all that it can hold."""
    rng = np.random.default_rng(0)
    defended = dataclasses.replace(
        report_on((2.5, 2.3), seed=1),
        reference=report_on(seed=2, members=40),
    )
    planted = dataclasses.replace(defended, canaries=CanaryFigures("twins", report_on(seed=3, members=50)))
    audit = Audit(
        report=planted,
        sources=(Source("members", "a.npz", "0" * 64, 12, 120), Source("model", "m.keras", "1" * 64, 7)),
        title="Triage",
        class_names=["ant", "bee", "cat"],
        gates=tuple(judge(defended, [("attack_accuracy", 0.5), ("gap_bound", 1.0)])),
        gradient_norms=GradientNorms(rng.lognormal(0, 1, 30), rng.lognormal(1, 1, 40)),
        command="mpreg audit",
    )
    return {
        "report": report,
        "comparison": mpreg.compare({"plain": report, "defended": defended}),
        "audit": audit,
    }


@pytest.fixture(params=["report", "comparison", "audit"])
def subject(subjects, request):
    return subjects[request.param]


class TestKept:
    def test_a_kept_document_makes_the_same_page_text_and_assessment(self, subject):
        document = kept(subject)
        assert render_html(document, title="T") == render_html(subject, title="T")
        assert render_markdown(document) == subject.to_markdown()
        papers = [assessment(one, title="T", epsilon=2.0, delta=1e-5) for one in (document, subject)]
        assert papers[0].to_html() == papers[1].to_html()
        assert papers[0].to_markdown() == papers[1].to_markdown()

    def test_a_document_is_not_changed_by_being_rendered(self, subject):
        document = kept(subject)
        for render in (render_html, render_markdown, assessment):
            render(document)
        assert document == kept(subject)

    def test_renderers_load_nothing_that_makes_results(self, subjects, tmp_path):
        subjects["comparison"].to_json(tmp_path / "kept.json")
        code = (
            "import json, pathlib, sys\n"
            "from mpreg.reports.html import render_html\n"
            "from mpreg.reports.impact import assessment\n"
            "from mpreg.reports.markdown import render_markdown\n"
            "from mpreg.reports.figures import plot_roc, plot_histograms\n"
            f"folder = pathlib.Path({str(tmp_path)!r})\n"
            "document = json.loads((folder / 'kept.json').read_text('utf-8'))\n"
            "(folder / 'page.html').write_text(render_html(document), 'utf-8')\n"
            "assessment(document).to_html(), render_markdown(document)\n"
            "plot_roc(document, folder / 'roc.png'), plot_histograms(document, folder / 'histograms.png')\n"
            "print(*(name for name in sys.modules if name.count('.') == 1 and name.startswith('mpreg.')))\n"
            "print('tensorflow' in sys.modules, 'keras' in sys.modules, 'sklearn' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        rooms, heavy = done.stdout.splitlines()
        below = {
            "_checkout",
            "_on_use",
            "_registration",
            "_files",
            "_text",
            "_validate",
            "metrics",
            "reports",
        }
        assert {room.removeprefix("mpreg.") for room in rooms.split()} <= below, done.stderr
        assert heavy == "False False False"
        assert (tmp_path / "page.html").read_text("utf-8") == render_html(subjects["comparison"])

    def test_no_module_of_the_renderers_imports_tensorflow(self):
        code = (
            "import importlib, pkgutil, sys, mpreg.reports\n"
            "names = [m.name for m in pkgutil.walk_packages(mpreg.reports.__path__, 'mpreg.reports.')]\n"
            "[importlib.import_module(name) for name in names]\n"
            "print(len(names), 'tensorflow' in sys.modules, 'keras' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        count, *heavy = done.stdout.split()
        assert int(count) > 20 and heavy == ["False", "False"], done.stderr

    def test_the_scores_of_single_records_are_not_kept(self, report):
        text = report.to_json()
        scores = report.attacks["loss threshold"]
        for score in np.r_[scores.member_scores, scores.nonmember_scores].tolist():
            assert repr(score) not in text and repr(round(score, 6)) not in text

    def test_pictures_are_png(self, subjects, tmp_path):
        plot_roc(kept(subjects["comparison"]), tmp_path / "a")
        plot_histograms(kept(subjects["comparison"]), tmp_path / "b")
        plot_attacks(kept(subjects["report"]), tmp_path / "c", attacks=["gap", "loss threshold"])
        bare = report_on(attacks=[ThresholdAttack("entropy")])  # no attack looks at the true class
        plot_histograms(mpreg.compare({"m": bare}), tmp_path / "d")
        assert bare.to_dict()["true_class_probability"] is None
        for file in tmp_path.iterdir():
            assert file.read_bytes().startswith(b"\x89PNG"), file


def documented(schema):
    """`{path: meaning}` of the table under a schema's heading."""
    section = SCHEMA.split(f"## `{schema}`")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (?:[a-z ]+) \|(.*)\|$", section, re.M))


def without_what_came_later(value, schema, path=""):
    """A document without all that the documentation marks with a dagger, as an older version would have kept it."""
    if isinstance(value, list):
        return [without_what_came_later(part, schema, f"{path}[]") for part in value]
    if not isinstance(value, dict):
        return value
    if value.get("schema") in SCHEMAS:
        schema, path = value["schema"], ""
    free = re.search(r"(attacks|tpr_at_fpr|provenance|cost|differences|reports)$", path)
    left = {}
    for name, part in value.items():
        own = f"{path}.{'*' if free else name}".lstrip(".")
        said = [
            text
            for where, text in documented(schema).items()
            if re.match(rf"{re.escape(own)}(?:$|\W)", where)
        ]
        if not said or not all("†" in text for text in said):
            left[name] = without_what_came_later(part, schema, own)
    return left


class TestOlder:
    def test_what_an_older_version_kept_is_rendered_without_what_it_lacks(self, subject):
        old = without_what_came_later(kept(subject), subject.to_dict()["schema"])
        report = next(iter(old["reports"].values())) if "reports" in old else old.get("report", old)
        assert set(report) == {  # of the first version
            *(
                "schema",
                "train_accuracy",
                "test_accuracy",
                "generalization_gap",
                "gap_bound",
                "attack_accuracy",
            ),
            *("strongest_attack", "attacks", "members", "nonmembers", "classes", "seed", "cost", "notes"),
            *("provenance", "reference"),
        }
        assert {"roc", "key", "threat_model"}.isdisjoint(report["attacks"]["gap"])
        page, new = render_html(old), render_html(subject)
        headings = [re.findall(r"<h[123][^>]*>(.*?)</h", html) for html in (page, new)]
        assert set(headings[0]) < set(headings[1])
        lacking = {"Risk by class", "The members that are most exposed", "Do members look different?"}
        assert lacking.isdisjoint(headings[0]) and lacking <= set(headings[1])
        for result in report["attacks"].values():
            accuracy = percent_with_interval(Estimate.from_dict(result["accuracy"])).partition(" [")[0]
            assert accuracy.replace(" %", "\u00a0%") in page
        if "title" not in old:  # the headline names the attacker, which an old file does not
            lines = subject.to_markdown().splitlines(keepends=True)
            assert render_markdown(old) == "".join(
                line for line in lines if not line.startswith("- Not tried")
            )
        paper = assessment(old, epsilon=1.0, delta=0.0)
        assert "which an older version kept" in paper.to_html() and "no upper bound" not in paper.to_html()

    def test_an_attack_that_says_nothing_of_its_attacker_is_named(self, subjects):
        old = without_what_came_later(kept(subjects["report"]), "mpreg.report/1")
        said = f"An attacker who uses the attack “{old['strongest_attack']}” can tell"
        assert said in render_html(old) and said not in render_html(subjects["report"])


class TestWrong:
    @pytest.mark.parametrize(
        ("subject", "message"),
        [
            (3, "a page needs a PrivacyReport or a Comparison. Received: 3"),
            ([], r"a page needs a PrivacyReport or a Comparison. Received: \[\]"),
            ({}, "a document must be of the schema mpreg.report/1, .* Received: schema=None"),
            ({"schema": "mpreg.report/9"}, "Received: schema='mpreg.report/9'"),
            ({"schema": "mpreg.report/1"}, r"the document lacks '\w+' where it holds \['schema'\]"),
            (
                {"schema": "mpreg.comparison/1", "reports": {"a": {}}},
                r"the document lacks '\w+' where it holds \[\]",
            ),
        ],
    )
    @pytest.mark.parametrize("render", [render_html, render_markdown, assessment])
    def test_what_is_no_document_is_quoted(self, render, subject, message):
        with pytest.raises(ValueError, match=message):
            render(subject)

    @pytest.mark.parametrize(
        "content", [b"", b"{", b"\xff\xfe", b"[1]", b'{"schema": "mpreg.frontier/1"}', b"[" * 100_000]
    )
    def test_other_files_are_named(self, content, tmp_path):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(ValueError, match="a.json is no report.json of mpreg: "):
            load(tmp_path / "a.json")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("attacks", {}), ("members", "many"), ("attack_accuracy", 0.5), ("cost", None), ("notes", 3)],
    )
    def test_a_document_that_was_tampered_with_is_refused_and_nothing_written(
        self, report, name, value, tmp_path
    ):
        (tmp_path / "a.json").write_text(json.dumps({**report.to_dict(), name: value}))
        with pytest.raises(ValueError):
            render_kept(tmp_path / "a.json", tmp_path / "new", formats=("html", "md"))
        assert not (tmp_path / "new").exists()

    def test_an_unknown_format_is_quoted(self, report, tmp_path):
        report.to_json(tmp_path / "a.json")
        for formats in ((), ("html", "pdf")):
            with pytest.raises(
                ValueError, match=r"formats must be some of html, md, dpia. Received: formats="
            ):
                render_kept(tmp_path / "a.json", formats=formats)

    def test_text_in_a_document_stays_text(self, subjects):
        hostile = "</style><script>x</script>\"'><img src=x>{{ 7 * 7 }}"

        def poisoned(value):
            if isinstance(value, str):
                return hostile + value
            if isinstance(value, list):
                return [poisoned(part) for part in value]
            if not isinstance(value, dict):
                return value
            names = {"schema", "strongest_attack"}
            return {name: part if name in names else poisoned(part) for name, part in value.items()}

        document = kept(subjects["audit"])
        page, bad = render_html(document), render_html(poisoned(document))
        assert re.findall(r"<(\w+)", bad) == re.findall(r"<(\w+)", page)
        assert bad.count("<script") == 1 and "<script>x" not in bad  # the page's own
        assert "49" not in re.findall(r"img src=x&gt;([^<]*)", bad)
        paper = assessment(poisoned(document)).to_html()
        assert "<script" not in paper and "<img" not in paper


class TestDetails:
    """What evaluation works out for pages, against plain counts."""

    def test_who_is_best_at_each_low_rate(self, report):
        for best in report.to_dict()["best_at_fpr"]:
            rates = {name: float(found.tpr_at_fpr[best["fpr"]]) for name, found in report.attacks.items()}
            assert rates[best["attack"]] == max(rates.values()) == best["tpr"]["value"]

    def test_the_most_exposed_have_the_highest_scores_and_so_many_lookalikes(self, report):
        rows, surest = report.to_dict()["most_vulnerable"], report.best_at_low_fpr
        scores = surest.member_scores[[row["index"] for row in rows]]
        assert len(rows) == 10 and scores.min() >= np.sort(surest.member_scores)[-10]
        for row, score in zip(rows, scores, strict=True):
            assert row["alike"] == sum(other >= score for other in surest.nonmember_scores)
            assert row["tied"] == sum(other == score for other in surest.member_scores) - 1
            assert row["risk"] == report.member_risk.members[row["index"]]

    def test_beliefs_are_those_of_bayes(self, report):
        at_threshold, *at_rates = report.to_dict()["beliefs"]
        assert at_threshold["fpr"] is None and [belief["fpr"] for belief in at_rates] == [0.001, 0.01]
        for belief in (at_threshold, *at_rates):
            found = report.attacks[belief["attack"]]
            if belief["fpr"] is None:
                tpr, fpr = np.mean(found.member_decisions), np.mean(found.nonmember_decisions)
            else:
                tpr, fpr = float(found.tpr_at_fpr[belief["fpr"]]), belief["fpr"]
            for after in belief["after"]:
                members, others = after["prior"] * tpr, (1 - after["prior"]) * fpr
                assert after["value"] == pytest.approx(members / (members + others))
                assert after["prior"] <= after["low"] <= after["value"]

    def test_the_true_class_is_what_the_loss_says(self, report):
        shown = report.to_dict()["true_class_probability"]
        said = np.exp(report.attacks[shown["attack"]].member_scores)
        counts = [sum(low <= value < low + 0.04 for value in said) for low in np.arange(25) / 25]
        counts[-1] += sum(said == 1.0)
        np.testing.assert_allclose(np.array(shown["members"]) * 120, counts, atol=1e-9)

    def test_the_roc_is_that_of_the_scores(self, report):
        for name, attack in report.to_dict()["attacks"].items():
            found = report.attacks[name]
            true, false = (np.array(attack["roc"][side]) for side in ("true_positives", "false_positives"))
            assert (true[0], false[0], true[-1], false[-1]) == (0, 0, 120, 90)
            area = np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2) / (120 * 90)
            assert area == pytest.approx(float(found.auc))  # so few records lose nothing

    def test_differences_are_from_the_first(self, subjects):
        comparison = subjects["comparison"]
        paths = documented("mpreg.comparison/1")
        assert set(comparison.to_dict()) - {"reports"} == {path.partition(".")[0] for path in paths}
        assert comparison.to_dict()["differences"] == {
            "defended": {
                rate: float(getattr(comparison["defended"], rate)) - float(getattr(comparison["plain"], rate))
                for rate in ("test_accuracy", "attack_accuracy")
            }
        }

    def test_a_gap_attack_of_another_name_still_tells_who_is_right(self):
        class Own(GapAttack):
            name = "my own gap"

        found = report_on(attacks=[Own(), ThresholdAttack("loss")])
        assert "gap" not in found.attacks
        assert len(found.leakage_per_class()) == 3 and "my own gap" in render_html(found)

    def test_an_attack_of_a_stranger_is_told_of_in_its_own_words(self):
        class Oracle(ThresholdAttack):
            name = "oracle threshold"
            threat_model = "asked <someone> who was there"

            def __init__(self):
                super().__init__("loss")
                self.name, self.key = "oracle threshold", None

        found = dataclasses.replace(report_on(attacks=[Oracle()]), strongest_attack="oracle threshold")
        assert "An attacker who asked &lt;someone&gt; who was there can tell" in render_html(found)
        assert found.to_dict()["true_class_probability"] is None  # a word in a name says nothing


def test_estimates_come_back_from_json(report):
    undefined = Estimate(float("nan"), 0.0, 1.0)
    for estimate in (report.attack_accuracy, undefined):
        found = Estimate.from_dict(json.loads(json.dumps(estimate.to_dict())))
        assert repr(found) == repr(estimate)
    assert read({"schema": "mpreg.report/1", "x": [undefined.to_dict()]})["x"][0].interval == (0.0, 1.0)


def test_json_has_lists_of_numbers_on_a_line_and_loses_nothing(tmp_path):
    content = {"a": [1, -2.5e-7, 3], "b": [{"c": []}, "[\n 1\n]", None], "d": [True, [1, [2]]]}
    text = write_json(content, tmp_path / "new" / "a.json")
    assert '"a": [1, -2.5e-07, 3],' in text and json.loads(text) == content
    assert (tmp_path / "new" / "a.json").read_text("utf-8") == text
    with pytest.raises(ValueError, match="Out of range float"):
        write_json([float("nan")], tmp_path / "b.json")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
