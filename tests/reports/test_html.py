"""The page: what it says is what the report holds, names stay text, and curves are those of the scores."""

import base64
import collections
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import mpreg
from mpreg import metrics
from mpreg._files import write_all
from mpreg._text import percent, percent_with_interval
from mpreg.attacks.whitebox.gradient_norms import GradientNorms
from mpreg.audit.gate import judge
from mpreg.evaluation.details import unusual
from mpreg.evaluation.records import ClassLeakage
from mpreg.metrics import shapes
from mpreg.reports import words
from mpreg.reports.front import Spot, on_front
from mpreg.reports.html import charts, pictures, render_html, write_html
from mpreg.reports.impact import assessment
from mpreg.reports.schema import by_risk, read

HOSTILE = (
    "<script>document.title='x'</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title></svg><b>bold",
    "{{ 7 * 7 }} {% raw %} &lt; ${x}",
)
VOID = {"meta", "br", "img", "input", "hr", "link"}


def draw(records, classes, margin, rng):
    labels = rng.integers(0, classes, records)
    logits = rng.normal(size=(records, classes)) * 2
    logits[np.arange(records), labels] += margin
    return logits, labels


def report_on(members=200, nonmembers=150, classes=4, margins=(4.0, 2.0), seed=0, attacks="fast"):
    rng = np.random.default_rng(seed)
    sides = draw(members, classes, margins[0], rng), draw(nonmembers, classes, margins[1], rng)
    return mpreg.evaluate_predictions(*sides[0], *sides[1], attacks=attacks, from_logits=True)


class Page(HTMLParser):
    """Tags by number, attributes, text; complains of a tag that is closed out of turn or not at all."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = collections.Counter(), [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def report():
    return report_on()


@pytest.fixture(scope="module")
def comparison(report):
    return mpreg.compare({"undefended": report, "defended": report_on(margins=(2.5, 2.3), seed=1)})


@pytest.fixture(scope="module")
def page(report):
    return Page(render_html(report))


class TestPage:
    def test_it_needs_nothing_from_elsewhere(self, report, comparison):
        for subject in (report, comparison):
            html = render_html(subject)
            page = Page(html)
            assert not {"link", "img", "iframe", "object", "form"} & set(page.tags)
            names = {name for name, _ in page.attributes}
            assert not {"src", "srcset", "action", "style"} & names
            ids = [value for name, value in page.attributes if name == "id"]
            assert len(ids) == len(set(ids))
            linked = {value for name, value in page.attributes if name == "href"}
            assert linked and linked <= {f"#{value}" for value in ids}  # to parts of the page alone
            assert not any(name.startswith("on") for name in names)
            assert (
                "url(" not in html
                and "@import" not in html
                and "http://" not in html
                and "https://" not in html
            )

    def test_its_policy_allows_its_own_style_and_script_and_no_others(self, report):
        """By their digests as they stand on the page: a browser takes no others, not even from the page."""
        paper = assessment(report).to_html()
        for html, parts in ((render_html(report), ("style", "script")), (paper, ("style",))):
            allowed = "default-src 'none'"
            for part in parts:
                (text,) = re.findall(f"<{part}>(.*?)</{part}>", html, re.DOTALL)
                digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
                allowed += f"; {part}-src 'sha256-{digest}'"
            assert ("content", f"{allowed}; base-uri 'none'; form-action 'none'") in Page(html).attributes
        assert "<script" not in paper

    def test_every_attack_is_there_with_its_interval(self, report, page):
        for result in report.attacks.values():
            assert f"{result.name} {percent_with_interval(result.accuracy)}" in page.words
            for tpr in result.tpr_at_fpr.values():
                assert percent_with_interval(tpr) in page.words

    def test_it_begins_with_the_strongest_attack_in_plain_words(self, report, page):
        cases = round(100 * report.attack_accuracy)
        assert f"in {cases} of 100 cases, where guessing gives 50." in page.words
        low, high = (percent(limit)[:-2] for limit in report.attack_accuracy.interval)
        assert f"{low} to {high} of 100" in page.words

    def test_every_class_is_there_most_certain_leak_first(self):
        found = report_on(members=600, nonmembers=600, classes=20)
        rows = by_risk(read(found)["per_class"])
        text = Page(render_html(found)).words
        places = [text.index(f"class {row['label']} {row['members']} {row['nonmembers']}") for row in rows]
        assert places == sorted(places) and len(places) == 20
        lows = [row["attack_accuracy"].low for row in rows]
        assert lows == sorted(lows, reverse=True)

    def test_a_class_counts_as_unusual_with_its_whole_interval(self, report):
        def leak(low, value, high):
            return ClassLeakage(0, 9, 9, 1.0, 1.0, metrics.Estimate(value, low, high))

        whole = float(report.attack_accuracy)
        leaks = [leak(whole + 0.01, 0.9, 1.0), leak(whole - 0.01, 0.9, 1.0), leak(0.0, float("nan"), 1.0)]
        assert unusual(leaks, whole) == {"above": 1, "judged": 2}

    def test_the_most_exposed_members_are_those_of_the_report(self, report, page):
        for record in report.most_vulnerable(10):
            alike = np.sum(report.best_at_low_fpr.nonmember_scores >= record.score)
            assert f"member {record.index:,} class {record.label}" in page.words
            assert f"{alike} of {report.nonmembers}" in page.words

    def test_a_comparison_shows_each_model_and_what_it_costs(self, comparison):
        text = Page(render_html(comparison)).words
        before, after = comparison.reports.values()
        cost = 100 * (float(before.test_accuracy) - float(after.test_accuracy))
        assert f"“defended” has {abs(cost):.1f} points {'less' if cost > 0 else 'more'} test accuracy" in text
        for name, one in comparison.reports.items():
            assert f"{name} {percent_with_interval(one.train_accuracy)}" in text
            assert f"{name} (attack {100 * one.attack_accuracy:.1f} %)" in text

    def test_reference_records_that_were_attacked_are_told_of(self, report):
        leaking = dataclasses.replace(report, reference=report_on(members=77, seed=3))
        text = Page(render_html(leaking)).words
        assert "learned from 77 reference records" in text
        assert percent_with_interval(leaking.reference.attack_accuracy) in text
        assert "reference records" not in Page(render_html(report)).words

    def test_gradient_norms_and_limits_are_shown_where_there_are_any(self, report, page):
        rng = np.random.default_rng(0)
        norms = GradientNorms(rng.lognormal(0, 1, 50), np.r_[0.0, rng.lognormal(1, 1, 59)])
        gates = [gate.to_dict() for gate in judge(report, [("attack_accuracy", 0.5), ("attack_auc", 1.0)])]
        audit = {"schema": "mpreg.audit/1", "report": report.to_dict(), "gates": gates}
        text = Page(render_html(audit, gradient_norms=norms)).words
        assert f"{norms.auc:.3f}" in text and "50 members and 60 non-members" in text
        assert "within the limit" in text and "above the limit" in text
        assert "Limits that were set" not in page.words
        # The page names an attack by gradients among those not tried, and shows nothing of any gradient.
        assert "gradient norms" not in page.words and "norm of the gradient" not in page.words

    def test_thousands_of_records_stay_a_small_page(self):
        html = render_html(report_on(members=6000, nonmembers=6000, classes=100))
        assert len(html.encode()) < 600_000

    def test_a_class_with_records_on_one_side_only_has_a_dash(self):
        rng = np.random.default_rng(0)
        logits, labels = draw(40, 3, 3.0, rng)
        other, other_labels = draw(40, 2, 1.0, rng)
        other = np.c_[other, np.full(40, -9.0)]
        found = mpreg.evaluate_predictions(
            logits, labels, other, other_labels, attacks="fast", from_logits=True
        )
        text = Page(render_html(found)).words
        assert re.search(r"class 2 \d+ 0 [\d.]+ % - -", text)

    def test_what_is_no_report_is_refused(self):
        with pytest.raises(ValueError, match="a page needs a PrivacyReport or a Comparison. Received: 3"):
            render_html(3)


class TestNames:
    def test_hostile_names_stay_text(self, report, comparison):
        plain, hostile = (
            Page(
                render_html(
                    mpreg.compare(dict(zip(models, comparison.reports.values(), strict=True))),
                    title=models[0],
                    class_names=classes,
                    provenance={"command": models[1]},
                )
            )
            for models, classes in ((("one", "two"), list("abcd")), (HOSTILE[:2], HOSTILE))
        )
        assert hostile.tags == plain.tags
        assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]
        for name in HOSTILE:
            assert " ".join(name.split()) in hostile.words

    def test_numpy_names_are_names(self, report):
        assert "zebra" in render_html(report, class_names=np.array(["ant", "bee", "cat", "zebra"]))

    def test_too_few_names_are_refused(self, report):
        with pytest.raises(ValueError, match=r"a name for each of the 4 classes. Received: \['a', 'b'\]"):
            render_html(report, class_names=["a", "b"])


class TestWords:
    @pytest.mark.parametrize(
        ("rate", "said"),
        [(0.571, "57"), (1.0, "100"), (0.999, "more than 99"), (0.0, "0"), (0.004, "fewer than 1")],
    )
    def test_of_hundred(self, rate, said):
        assert words.of_hundred(rate) == said

    def test_what_cannot_be_told_from_guessing_is_said_so(self):
        same = report_on(margins=(2.0, 2.0), members=40, nonmembers=40)
        assert same.attack_accuracy.low <= 0.5
        assert "not distinguishable from guessing" in words.certainty(read(same))
        assert "not distinguishable" not in words.certainty(read(report_on(margins=(6.0, 0.0))))

    def test_every_attack_of_the_suites_has_words_of_its_own(self):
        from mpreg.attacks import suite

        for attack in suite("strong"):
            said = words.attacker(attack.name, attack.threat_model)
            assert "“" not in said and ("trains models" in said) == ("shadows" in attack.needs), attack.name
        assert words.attacker("my own") == "An attacker who uses the attack “my own”"


def vertices(path):
    """The corners of a path of M, L, H and V."""
    x = y = None
    found = []
    for command, numbers in re.findall(r"([MLHV])([-\d. e]+)", path):
        values = [float(number) for number in numbers.split()]
        if command in "ML":
            x, y = values
        elif command == "H":
            (x,) = values
        else:
            (y,) = values
        found.append((x, y))
    return np.array(found)


@dataclasses.dataclass
class Scores:
    member_scores: np.ndarray
    nonmember_scores: np.ndarray


def shape_of(scores):
    return shapes.roc_shape(scores.member_scores, scores.nonmember_scores)


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    return Scores(np.r_[rng.normal(1, 1, 9_900), rng.normal(6, 1, 100)], rng.normal(0, 1, 20_000))


class TestCurves:
    def test_the_linear_roc_is_the_whole_one_to_a_grain(self, many):
        curve = vertices(pictures.roc_linear({"a": shape_of(many)}).marks[1].path)
        fpr, tpr, _ = metrics.roc(many.member_scores, many.nonmember_scores)
        x, y = charts.across(0, 1), charts.upward(0, 1)
        assert len(curve) < 3000 < len(fpr)
        at = np.linspace(charts.LEFT, charts.RIGHT, 500)
        exact = np.interp(at, x(fpr), y(tpr))
        assert np.abs(np.interp(at, curve[:, 0], curve[:, 1]) - exact).max() < 0.6

    def test_the_logarithmic_roc_shows_the_tpr_at_each_low_fpr(self, many):
        chart = pictures.roc_logarithmic({"a": shape_of(many)})
        curve = vertices(chart.marks[1].path)
        lowest = 0.5 / 20_000
        x, y = charts.across(lowest, 1, log=True), charts.upward(lowest, 1, log=True)
        for fpr in (1.5 / 20_000, 2.5 / 20_000, 7.5 / 20_000, 0.00103, 0.0101, 0.1003):
            drawn = curve[curve[:, 0] <= x(fpr) + 1e-9][-1, 1]
            assert drawn == pytest.approx(
                float(y(metrics.tpr_at_fpr(many.member_scores, many.nonmember_scores, fpr=fpr))),
                abs=0.6,
            )
        # those whom no non-member resembles, at the very left
        certain = np.mean(many.member_scores > many.nonmember_scores.max())
        assert curve[curve[:, 0] == charts.LEFT][-1, 1] == pytest.approx(float(y(certain)), abs=0.6)

    def test_an_attack_that_gives_one_score_is_a_single_step(self):
        chart = pictures.roc_logarithmic({"a": shape_of(Scores(np.ones(10), np.ones(20)))})
        curve = vertices(chart.marks[1].path)
        assert (curve[-1] == [charts.RIGHT, charts.TOP]).all()
        assert set(curve[:-2, 1]) == {charts.BOTTOM}

    def test_a_histogram_has_the_shares_of_a_naive_count(self):
        rng = np.random.default_rng(1)
        members, others = rng.normal(0.6, 0.3, 300), rng.normal(0.4, 0.3, 500)
        shares = shapes.histogram(members, others, limits=(0.0, 1.0))
        chart = pictures.histogram("t", shares, label="x", top=1.0)
        y = charts.upward(0, 1)
        for values, mark in zip((members, others), chart.marks, strict=True):
            naive = np.zeros(shapes.BINS)
            for value in values:
                naive[min(max(int(value * shapes.BINS), 0), shapes.BINS - 1)] += 1 / len(values)
            tops = [float(number) for number in re.findall(r"V([\d.]+)H", mark.path)]
            np.testing.assert_allclose(tops, y(naive), atol=0.051)
            assert naive.sum() == pytest.approx(1)

    def test_values_without_spread_or_infinite_are_drawn(self):
        chart = pictures.histogram("t", shapes.histogram(np.zeros(3), np.array([0.0, -np.inf])), label="x")
        assert "nan" not in chart.marks[0].path + chart.marks[1].path

    @pytest.mark.parametrize("limits", [(0.0, 1.0), (0.0, 0.37), (-0.15, 0.8), (0.4, 1.05), (-3.2, 900.0)])
    def test_ticks_are_round_few_and_inside(self, limits):
        ticks = charts.across(*limits).ticks()
        values = [float(text) for _, text in ticks]
        assert 3 <= len(ticks) <= 8 and limits[0] <= min(values) and max(values) <= limits[1]
        steps = np.diff(values)
        np.testing.assert_allclose(steps, steps[0])

    def test_a_logarithmic_scale_gives_each_decade_the_same_room(self):
        scale = charts.across(1e-4, 1, log=True)
        assert [text for _, text in scale.ticks()] == ["0.0001", "0.001", "0.01", "0.1", "1"]
        np.testing.assert_allclose(
            np.diff([at for at, _ in scale.ticks()]), (charts.RIGHT - charts.LEFT) / 4, atol=0.1
        )
        assert scale(1e-9) == charts.LEFT

    def test_overfitting_puts_the_gap_attack_on_its_line(self, report):
        on_line = dataclasses.replace(report, attack_accuracy=metrics.Estimate(report.gap_bound, 0, 1))
        chart = pictures.overfitting({"m": read({**on_line.to_dict(), "per_class": []})}, [])
        (dot,) = chart.points
        line = vertices(chart.marks[1].path)
        assert dot.label == "m" and np.interp(dot.x, line[:, 0], line[:, 1]) == pytest.approx(dot.y, abs=0.3)

    def test_the_front_passes_through_those_that_no_other_beats(self):
        def spot(test, attack):
            rates = [metrics.Estimate(rate, rate - 0.02, rate + 0.02) for rate in (test, attack)]
            return Spot(*rates)

        spots = {"a": spot(0.6, 0.9), "b": spot(0.55, 0.6), "worse": spot(0.5, 0.7), "c": spot(0.4, 0.52)}
        chart = pictures.front(spots)
        (path,) = (mark.path for mark in chart.marks if mark.style == "front")
        at = {dot.name: [dot.x, dot.y] for dot in chart.points}
        corners = vertices(path).tolist()
        assert all(at[name] in corners for name in "abc") and at["worse"] not in corners
        assert corners[0] == [charts.LEFT, at["c"][1]]
        assert [dot.sign for dot in chart.points] == ["1", "2", "3", "4"]
        # Between two, whoever wants more accuracy than the one has must take the other.
        assert [y for x, y in corners if at["c"][0] <= x < at["b"][0]] == [at["c"][1], at["b"][1]]


class TestFront:
    @pytest.mark.parametrize("seed", range(20))
    def test_those_on_it_are_beaten_by_none_and_all_others_are(self, seed):
        rng = np.random.default_rng(seed)
        places = [tuple(place) for place in rng.integers(0, 6, (12, 2)).tolist()]  # with ties

        def beats(one, other):
            return one[0] >= other[0] and one[1] <= other[1] and one != other

        useful = max(test for test, _ in places) / 2  # what is below has collapsed
        unbeaten = [
            n
            for n, place in enumerate(places)
            if place[0] >= useful and not any(beats(other, place) for other in places)
        ]
        found = on_front(places)
        assert sorted(found) == unbeaten
        assert [places[number][0] for number in found] == sorted(places[number][0] for number in found)

    def test_a_collapsed_model_is_not_on_it(self):
        assert on_front([(0.60, 0.90), (0.06, 0.50), (0.58, 0.65)]) == [2, 0]


class TestReading:
    """What helps whoever does not see the page, has no script, or reads on a phone."""

    def test_every_table_has_a_caption_and_every_heading_says_what_it_heads(self, report, comparison):
        for html in (render_html(report), render_html(comparison), assessment(report).to_html()):
            page = Page(html)
            assert page.tags["caption"] == page.tags["table"] > 0
            scopes = [value for name, value in page.attributes if name == "scope"]
            assert len(scopes) == page.tags["th"] and set(scopes) == {"col", "row"}

    def test_every_part_can_be_reached_from_the_contents(self, comparison):
        html = render_html(comparison)
        linked = re.findall(r'<a href="#([^"]+)">', html)
        parts = set(re.findall(r'<(?:section|details class="model"|div) id="([^"]+)"', html)) - {"headline"}
        assert linked and set(linked) == parts and "model-2" in parts

    def test_what_is_said_of_each_of_several_models_is_folded(self, report, comparison):
        assert len(re.findall(r'<details class="model" id="model-\d">', render_html(comparison))) == 2
        assert "<details" not in render_html(report)

    def test_pictures_have_titles_on_both_axes(self, comparison):
        html = render_html(comparison)
        pictures_there = html.count('role="img"')
        assert html.count('<text class="axis"') == 2 * pictures_there > 8
        assert html.count('transform="rotate(-90)"') == pictures_there

    def test_numbers_are_sorted_by_their_values(self, report):
        html = render_html(report)
        for result in report.attacks.values():
            assert f'data-value="{float(result.auc):.6g}"' in html
            assert f'data-value="{float(result.accuracy):.6g}"' in html

    def test_nothing_is_said_of_files_where_there_are_none(self, report):
        text = Page(render_html(report)).words
        assert "file" not in text.replace("Where the figures come from", "")
        assert "impact assessment" not in text
        files = [{"role": "members", "file": "a.npz", "records": 9, "bytes": 1, "sha256": "0" * 64}]
        audit = {"schema": "mpreg.audit/1", "report": report.to_dict(), "files": files}
        assert "Rows of the file of members" in Page(render_html(audit)).words

    def test_a_probability_far_from_one_is_explained_where_exposed_members_are_listed(self, report):
        assert words.why_not_certain() in Page(render_html(report)).words

    def test_the_report_and_the_assessment_have_titles_of_their_own(self, report):
        titles = [
            re.search("<title>(.*)</title>", html)[1]
            for html in (render_html(report, title="A"), assessment(report, title="A").to_html())
        ]
        assert titles[0] == "A – Membership privacy report"
        assert titles[1].startswith("A – Data protection impact assessment")
        headings = [
            re.search("<h1>(.*)</h1>", html)[1]
            for html in (render_html(report), assessment(report).to_html())
        ]
        assert headings[0] != headings[1] and "mpact assessment" in headings[1]

    def test_a_note_on_all_models_stands_once(self, report):
        noted = dataclasses.replace(report, notes=("few records",))
        text = Page(render_html(mpreg.compare({"a": noted, "b": noted, "c": report}))).words
        assert text.count("few records") == 1 and "a, b: few records" in text


class TestFiles:
    def test_the_page_is_written_whole(self, report, tmp_path):
        write_html(report, tmp_path / "new" / "page.html", title="T")
        assert (tmp_path / "new" / "page.html").read_text("utf-8") == render_html(report, title="T")
        assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]

    def test_where_one_file_fails_none_is_changed_and_nothing_is_left(self, tmp_path):
        (tmp_path / "a.txt").write_text("old")
        with pytest.raises(UnicodeEncodeError):
            write_all(tmp_path, {"a.txt": "new", "b.txt": "\udc80"})
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
        assert (tmp_path / "a.txt").read_text() == "old"

    def test_who_reads_a_file_that_is_replaced_goes_on_reading_the_old_one(self, tmp_path):
        (tmp_path / "a.txt").write_text("old")
        with (tmp_path / "a.txt").open() as reader:
            write_all(tmp_path, {"a.txt": "new"})
            assert reader.read() == "old"
        assert (tmp_path / "a.txt").read_text() == "new"
