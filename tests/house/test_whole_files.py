"""What is written appears whole under its name, or not at all."""

import os

import numpy as np
import pytest
from support import records

import mpreg
from mpreg._files import replacing


@pytest.fixture
def replaced(monkeypatch):
    """Names of the files that took the place of others in one step."""
    names, replace = set(), os.replace

    def noted(source, target, **options):
        names.add(os.path.realpath(target))
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", noted)
    return names


def files(folder):
    return {os.path.realpath(path) for path in folder.rglob("*") if path.is_file()}


def test_a_file_that_is_replaced(tmp_path):
    path = tmp_path / "new" / "a.keras"
    with replacing(path) as written:
        assert written.parent == path.parent and written.suffix == path.suffix
        written.write_text("one")
        assert not path.exists()
    with replacing(path) as written, replacing(path) as other:  # of two that write it, either may win
        written.write_text("two")
        other.write_text("three")
        assert path.read_text() == "one"
    assert path.read_text() == "two"
    with pytest.raises(RuntimeError), replacing(path) as written:
        written.write_text("ha")
        raise RuntimeError
    assert path.read_text() == "two"
    assert files(tmp_path) == {os.path.realpath(path)}


@pytest.fixture(scope="module")
def comparison():
    rng = np.random.default_rng(0)
    answers, labels = rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40)
    report = mpreg.evaluate_predictions(answers, labels, answers[::-1], labels, attacks="fast", seed=0)
    return mpreg.compare({"a": report, "b": report})


def test_reports_and_pictures(comparison, replaced, tmp_path):
    from mpreg.recipes.writing import write_comparison
    from mpreg.reports.figures import plot_roc
    from mpreg.reports.membership import plot_membership
    from mpreg.reports.rounds import plot_rounds
    from mpreg.reports.setups import plot_estimates

    write_comparison(comparison, tmp_path / "all", title="Both")
    plot_roc(comparison, tmp_path / "roc")  # a picture without a suffix is PNG
    probabilities = np.linspace(0.1, 0.9, 8)
    plot_membership((probabilities, probabilities), (np.arange(8) % 2,) * 2, tmp_path / "membership.png")
    plot_rounds(np.arange(2), {"a": np.arange(2)}, tmp_path / "rounds.png", figure="AUC", unit="rounds")
    report = comparison.reports["a"]
    plot_estimates({"a": report.attack_accuracy}, tmp_path / "setups.png", figure="accuracy", title="Set-ups")
    assert files(tmp_path) == replaced
    assert {"roc.png", "membership.png", "report.md"} <= {os.path.basename(name) for name in replaced}


def test_stacked_models(replaced, tmp_path):
    pytest.importorskip("skops")
    from sklearn.linear_model import LogisticRegression

    stacking = mpreg.Stacking([LogisticRegression(), LogisticRegression(C=0.1)], LogisticRegression()).fit(
        *records(48)
    )
    stacking.save(tmp_path / "stacked.zip")
    assert files(tmp_path) == replaced
