"""The benchmark of DP-SGD runs and reports; how fast it finds us is not for a test to say."""

import json
import sys

import keras
import pytest
from support import load_benchmark


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark("dpsgd")


def tiny():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])


PEER = """
import json, sys
print(json.dumps({"ways": ["plain peer", "its own"], "versions": {"Peer": sys.argv[1]}}), flush=True)
for line in sys.stdin:
    seconds = 4.0 if line.strip() == "its own" else 1.0
    print(json.dumps({"wall": seconds, "processor": seconds}), flush=True)
"""


def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "dpsgd.json"
    monkeypatch.setattr(benchmark, "MODELS", {"tiny": tiny})
    monkeypatch.setattr(benchmark, "BATCH", 8)
    monkeypatch.setattr(benchmark, "PEERS", tmp_path / "peer.py")
    benchmark.PEERS.write_text(PEER)
    options = ["--quick", "--rounds", "1", "--json", str(path), "--peer", sys.executable]
    assert benchmark.main(options) == 0
    printed = capsys.readouterr().out
    result = json.loads(path.read_text())
    for name in (benchmark.PLAIN, benchmark.GHOST, benchmark.NOISELESS, benchmark.WHOLE):
        assert name in printed
        assert [len(rounds) for rounds in result["seconds_per_batch"]["tiny"][name].values()] == [1, 1]
    assert "examples a second" in printed and "Load average" in printed
    own = next(line for line in printed.splitlines() if "its own" in line)
    assert "0.25" in own and "Peer tiny" in printed  # of the peer's plain training, not of ours
    benchmark.PEERS.write_text("")
    with pytest.raises(RuntimeError, match="ended early"):
        benchmark.Peer(sys.executable, "tiny", 1)


def test_speeds_are_compared_round_by_round(benchmark):
    seconds = {benchmark.PLAIN: {"wall": [1.0, 2.0, 4.0]}, "other": {"wall": [2.0, 2.0, 16.0]}}
    assert benchmark.speeds(seconds, "other") == (0.5, 0.25, 1.0)


@pytest.mark.parametrize("argv", [["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
