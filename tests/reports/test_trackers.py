"""Reports in MLflow and in Weights & Biases: their calls, and where they are installed, stores on the disk."""

import json
import sys
import types

import numpy as np
import pytest

import mpreg
from mpreg.reports.trackers import log_to_mlflow, log_to_wandb


def report_on(margin, seed=0):
    rng = np.random.default_rng(seed)

    def side(margin):
        labels = rng.integers(0, 3, 60)
        logits = rng.normal(size=(60, 3))
        logits[np.arange(60), labels] += margin
        return logits, labels

    attacks = ["gap", "loss_threshold"]
    return mpreg.evaluate_predictions(*side(margin), *side(1.0), attacks=attacks, from_logits=True)


@pytest.fixture(scope="module")
def report():
    return report_on(4.0)


@pytest.fixture(scope="module")
def comparison(report):
    return mpreg.compare({"plain": report, "l2=0.1?": report_on(2.0, seed=1)})


def expected(report, prefix="report"):
    """Some of the figures that a run must have."""
    return {
        f"{prefix}/test_accuracy": float(report.test_accuracy),
        f"{prefix}/attack_accuracy": float(report.attack_accuracy),
        f"{prefix}/attack_accuracy_low": report.attack_accuracy.low,
        f"{prefix}/attack_accuracy_high": report.attack_accuracy.high,
        f"{prefix}/attack_auc": float(report.strongest.auc),
        f"{prefix}/gap_bound": report.gap_bound,
    }


class TestCalls:
    """Against modules that note how they are called."""

    @pytest.fixture
    def mlflow(self, monkeypatch):
        module = types.ModuleType("mlflow")
        module.metrics, module.tags, module.files = {}, {}, {}
        module.log_metrics, module.set_tags = module.metrics.update, module.tags.update
        module.log_text = lambda text, artifact_file: module.files.update({artifact_file: text})
        monkeypatch.setitem(sys.modules, "mlflow", module)
        return module

    @pytest.fixture
    def wandb(self, monkeypatch):
        module = types.ModuleType("wandb")
        logged, summary = {}, {}
        module.run = types.SimpleNamespace(log=logged.update, summary=summary, logged=logged)
        module.Table = lambda *, columns, data: (columns, data)
        module.Html = lambda data, *, inject: data
        monkeypatch.setitem(sys.modules, "wandb", module)
        return module

    def test_mlflow_has_the_figures_the_strongest_attack_and_the_files(self, mlflow, report):
        log_to_mlflow(report)
        assert expected(report).items() <= mlflow.metrics.items()
        assert mlflow.tags == {"mpreg.strongest_attack": report.strongest_attack}
        assert json.loads(mlflow.files["privacy/report.json"]) == report.to_dict()
        assert mlflow.files["privacy/report.html"].startswith("<!doctype html>")
        assert "**Strongest attack" in mlflow.files["privacy/report.md"]

    def test_models_of_a_comparison_are_told_apart_by_names_that_trackers_take(self, mlflow, comparison):
        log_to_mlflow(json.loads(comparison.to_json()))
        plain, other = comparison.reports.values()
        both = expected(plain, "report/plain") | expected(other, "report/l2_0.1_")
        assert both.items() <= mlflow.metrics.items()
        assert mlflow.tags["mpreg.strongest_attack, plain"] == plain.strongest_attack

    def test_wandb_has_the_figures_every_attack_and_the_page(self, wandb, report):
        log_to_wandb(report)
        assert expected(report).items() <= wandb.run.summary.items()
        assert wandb.run.summary["strongest_attack"] == report.strongest_attack
        columns, rows = wandb.run.logged["report/attacks"]
        found = {row[1]: dict(zip(columns, row, strict=True)) for row in rows}
        assert {name: row["accuracy"] for name, row in found.items()} == {
            name: float(attack.accuracy) for name, attack in report.attacks.items()
        }
        assert wandb.run.logged["report/page"].startswith("<!doctype html>")

    def test_a_run_that_is_given_is_the_one_taken_and_without_one_that_is_said(self, wandb, report):
        own = types.SimpleNamespace(log=lambda logged: None, summary={})
        log_to_wandb(report, run=own)
        assert expected(report).items() <= own.summary.items() and wandb.run.summary == {}
        wandb.run = None
        with pytest.raises(ValueError, match=r"no run is active: call wandb.init\(\) first"):
            log_to_wandb(report)

    def test_what_is_not_installed_is_told_with_its_extra(self, monkeypatch, report):
        for name, log in (("mlflow", log_to_mlflow), ("wandb", log_to_wandb)):
            monkeypatch.setitem(sys.modules, name, None)
            with pytest.raises(ImportError, match=rf'Use: pip install "mpreg\[{name}\]"'):
                log(report)


def test_a_run_of_mlflow_on_the_disk(report, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        log_to_mlflow(report)
    kept = mlflow.MlflowClient().get_run(run.info.run_id)
    assert expected(report).items() <= kept.data.metrics.items()
    assert kept.data.tags["mpreg.strongest_attack"] == report.strongest_attack
    page = mlflow.artifacts.load_text(f"{kept.info.artifact_uri}/privacy/report.html")
    assert page == mpreg.reports.html.render_html(report)


def test_a_run_of_wandb_on_the_disk(report, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="offline", dir=tmp_path, project="test") as run:
        log_to_wandb(report)
        kept = {name: run.summary[name] for name in expected(report)}
    assert kept == pytest.approx(expected(report))
    assert any(path.read_bytes().startswith(b"<!doctype html>") for path in tmp_path.rglob("*.html"))
