"""The benchmark of DP-SGD runs and reports; how fast it finds us is not for a test to say."""

import importlib.util
import json
from pathlib import Path

import keras
import pytest

PATH = Path(__file__).resolve().parents[1] / "benchmarks" / "dpsgd.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("dpsgd_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tiny():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])


def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "dpsgd.json"
    monkeypatch.setattr(benchmark, "MODELS", {"tiny": tiny})
    monkeypatch.setattr(benchmark, "BATCH", 8)
    assert benchmark.main(["--quick", "--rounds", "1", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    result = json.loads(path.read_text())
    for name in (benchmark.PLAIN, benchmark.GHOST, benchmark.NOISELESS, benchmark.WHOLE):
        assert name in printed
        assert [len(rounds) for rounds in result["seconds_per_batch"]["tiny"][name].values()] == [1, 1]
    assert "examples a second" in printed and "Load average" in printed


def test_speeds_are_compared_round_by_round(benchmark):
    seconds = {benchmark.PLAIN: {"wall": [1.0, 2.0, 4.0]}, "other": {"wall": [2.0, 2.0, 16.0]}}
    assert benchmark.speeds(seconds, "other") == (0.5, 0.25, 1.0)


@pytest.mark.parametrize("argv", [["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
