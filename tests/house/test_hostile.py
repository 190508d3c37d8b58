"""Whatever comes in is taken, or refused with a `ValueError` or `TypeError` that says why; names stay names."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import mpreg
from mpreg import metrics
from mpreg._text import plain_markdown, visible_text
from mpreg.attacks import ShadowModels
from mpreg.audit.files import read_predictions
from mpreg.recipes.writing import print_table
from mpreg.reports.figures import plot_histograms, plot_roc

REFUSED = (ValueError, TypeError)
often = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
KINDS = st.one_of(
    arrays.floating_dtypes(),
    arrays.integer_dtypes(),
    arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(),
    arrays.unicode_string_dtypes(),
    st.just(np.dtype(object)),
)
OBJECTS = st.one_of(st.none(), st.text(), st.integers(), st.floats())
OPTIONS = st.one_of(st.integers(-2, 13), st.floats(), st.none(), st.booleans(), st.text(max_size=2))


def any_array(shape):
    return KINDS.flatmap(
        lambda kind: arrays.arrays(kind, shape, elements=OBJECTS if kind.hasobject else None)
    )


def refused(call):
    """What a call returns, or None where it refuses in words."""
    try:
        return call()
    except REFUSED as error:
        assert str(error)
        return None


@often
@given(st.data())
def test_splits(data):
    rows = data.draw(st.integers(0, 12))
    x = data.draw(any_array((rows, data.draw(st.integers(0, 3)))))
    y = data.draw(any_array(data.draw(st.sampled_from([(rows,), (rows, 1), (rows, 3), (rows + 1,), ()]))))
    members, reference = data.draw(OPTIONS), data.draw(OPTIONS)
    duplicates = data.draw(st.sampled_from(["drop", "allow", "error", "nothing"]))
    split = refused(
        lambda: mpreg.MembershipSplit.from_arrays(
            x, y, members=members, reference=reference, seed=0, duplicates=duplicates
        )
    )
    if split is not None:
        assert 1 <= len(split.members[1]) <= members and len(split.nonmembers[1]) >= 1


@often
@given(st.data())
def test_predictions(data):
    classes, sides = data.draw(st.integers(0, 4)), []
    numbers = st.one_of(st.floats(0, 1, width=32), st.floats(width=32))
    for _ in range(2):
        rows = data.draw(st.integers(0, 12))
        answers = data.draw(arrays.arrays("float32", (rows, classes), elements=numbers))
        if data.draw(st.booleans()) and classes:
            with np.errstate(all="ignore"):
                answers = np.abs(answers) / np.abs(answers).sum(1, keepdims=True)
        kind = data.draw(st.sampled_from(["int64", "float64", "uint8"]))
        sides += [answers, data.draw(arrays.arrays(kind, (rows,), elements=st.integers(0, 4)))]
    report = refused(lambda: mpreg.evaluate_predictions(*sides, attacks="fast", seed=0))
    if report is not None:
        assert report.to_markdown()
        for attack in json.loads(json.dumps(report.to_dict(), allow_nan=False))["attacks"].values():
            for key in ("accuracy", "auc"):
                assert 0 <= attack[key]["low"] <= attack[key]["value"] <= attack[key]["high"] <= 1


@often
@given(st.data())
def test_scores(data):
    shapes = st.sampled_from([(0,), (3,), (7,), (2, 2), ()])
    sides = data.draw(any_array(data.draw(shapes))), data.draw(any_array(data.draw(shapes)))
    for rate in (metrics.auc, metrics.attack_advantage, lambda a, b: metrics.tpr_at_fpr(a, b, fpr=0.1)):
        found = refused(lambda rate=rate: rate(*sides))
        assert found is None or 0 <= float(found) <= 1


@often
@given(st.data())
def test_shadow_models(data):
    count, rows = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 5))
    membership = data.draw(any_array((count, rows)))
    answers = data.draw(any_array(data.draw(st.sampled_from([(count, rows, 3), (count, rows), (rows, 3)]))))
    found = refused(lambda: ShadowModels(membership, answers, data.draw(any_array((rows,)))))
    assert found is None or found.predictions.shape[:2] == (count, rows)


@often
@given(st.binary(max_size=400), st.integers(0, 400), st.sampled_from(["cut", "flip", "insert", "replace"]))
def test_damaged_files(tmp_path_factory, noise, at, how):
    path = tmp_path_factory.mktemp("damaged") / "a.npz"
    np.savez(path, predictions=np.full((5, 3), 1 / 3), labels=np.arange(5) % 3)
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[:at]
    elif how == "flip":
        content[2 * at % len(content)] ^= 0x5A
    else:
        content[at : at + len(noise) * (how == "replace")] = noise
    path.write_bytes(bytes(content))
    try:
        found = read_predictions(path, "members")
    except (*REFUSED, OSError) as error:
        assert str(error)
    else:
        assert len(found.pair[0]) == len(found.pair[1])


NAMES = [
    "$x$",
    "$\\frac{$",
    "a|b",
    "<script>alert(1)</script>",
    "[/red]",
    "[red]b",
    "\x1b[31mred",
    "`x`",
    "a\nb",
    "\u202eabc",
    "'\"><img src=x onerror=alert(1)>",
    "*b*",
]


class Tags(HTMLParser):
    """The tags of a page, and the attributes that could act."""

    def __init__(self, page):
        super().__init__()
        self.found = set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.found.update(name for name, _ in attributes if name.startswith("on"))


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    answers, labels = rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40)
    return mpreg.evaluate_predictions(answers, labels, answers[::-1], labels, attacks="fast", seed=0)


def test_names_steer_neither_a_page_nor_a_table_nor_a_terminal(report, capsys, tmp_path):
    def tags(compared):
        compared.to_html(tmp_path / "a.html")
        return Tags((tmp_path / "a.html").read_text()).found

    plain = tags(mpreg.compare({"a": report, "b": report}))
    for name in NAMES:
        compared = mpreg.compare({name: report, "b": report})
        assert tags(compared) == plain
        table = [line for line in compared.to_markdown().splitlines() if line.startswith("|")]
        assert len(table) == 4 and len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
        print_table(name, [name, "b"], [[name, "1"]])
    printed = capsys.readouterr().out
    assert "\x1b[31m" not in printed and "\u202e" not in printed and "[/red]" in printed
    assert plain_markdown("<b>`x`") == "\\<b\\>\\`x\\`"


@pytest.mark.parametrize("name", ["$x$", "$\\frac{$", "\x1b[31m"])
def test_names_are_drawn_as_they_are(report, name, tmp_path):
    compared = mpreg.compare({name: report, "b": report})
    for draw in (plot_roc, plot_histograms):
        draw(compared, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size


@often
@given(st.text())
def test_visible_text_is_one_line_that_steers_nothing(text):
    shown = visible_text(text)
    assert shown.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible_text(shown) == shown
