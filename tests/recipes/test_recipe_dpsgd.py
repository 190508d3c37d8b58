"""The recipe of private training, on few records: every row is trained, attacked and audited, and written down."""

import json

import pytest

from mpreg.catalogue.private import Private
from mpreg.catalogue.settings import DIGITS
from mpreg.recipes import dpsgd

TINY = DIGITS.replace(
    members=60, reference=0, nonmembers=60, network="tanh_mlp", learning_rate=1e-2, epochs=2, batch_size=30
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("dpsgd")
    private = Private(learning_rate=0.4, l2_norm_clip=0.5, batch_size=30, epochs=2)
    return dpsgd.run(TINY, private=private, epsilons=(8.0,), canaries=10, out=out), out


@pytest.mark.slow
def test_every_row_has_its_epsilon_and_keeps_it(run):
    rows, _ = run
    assert list(rows) == ["none", "high accuracy", "epsilon 8"]
    assert rows["none"].epsilon is None and rows["high accuracy"].epsilon > 1e4
    assert 0.98 * 8.0 <= rows["epsilon 8"].epsilon <= 8.0
    for row in rows.values():
        assert row.audit.canaries == 10 and not row.audit.refuted


@pytest.mark.slow
def test_what_is_printed_is_written(run):
    rows, out = run
    text = (out / "report.md").read_text("utf-8")
    assert all(f"| {name} |" in text for name in rows) and "93.7 % / 93.2 %" in text
    assert text.count("Audited: at least") == 3
    assert set(json.loads((out / "report.json").read_text("utf-8"))["reports"]) >= set(rows)


def test_the_table_is_the_seeds():
    assert list(dpsgd.EPSILONS.values()) == [8.0, 4.0, 2.0, 1.0]
    for figures in dpsgd.PUBLISHED.values():
        assert set(figures) == {"none", *dpsgd.EPSILONS}
    assert set(dpsgd.SETTINGS) == set(dpsgd.PRIVATE)
