"""The benchmark of DP-SGD runs and reports; how fast it finds us is not for a test to say."""

import json
import sys
from pathlib import Path

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
opened = {"ways": ["plain peer", "its own"], "versions": {"Peer": sys.argv[2]}, "found": {}, "failed": None}
print(json.dumps(opened), flush=True)
for line in sys.stdin:
    seconds = 4.0 if line.strip() == "its own" else 1.0
    print(json.dumps({"wall": seconds, "processor": seconds}), flush=True)
"""

SERVED = """
import sys
sys.path.insert(0, {folder!r})
from serving import serve, timed
def works(given):
    print("noise of a library")
    return {{"works": given}}, {{"its own": lambda: timed(lambda: None)}}, {{"its own": [0.5]}}
def fails(given):
    raise ValueError("no good " + given)
serve({{"works": works, "fails": fails}}, *sys.argv[1:])
"""


def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "dpsgd.json"
    monkeypatch.setattr(benchmark, "MODELS", {"tiny": tiny})
    monkeypatch.setattr(benchmark, "BATCH", 8)
    monkeypatch.setattr(benchmark, "PEERS", tmp_path / "peer.py")
    benchmark.PEERS.write_text(PEER)
    options = ["--quick", "--rounds", "1", "--json", str(path), "--peer", f"stand-in={sys.executable}"]
    assert benchmark.main(options) == 0
    printed = capsys.readouterr().out
    result = json.loads(path.read_text())
    for name in (benchmark.PLAIN, benchmark.GHOST, benchmark.NOISELESS, benchmark.WHOLE):
        assert name in printed
        assert [len(rounds) for rounds in result["seconds_per_batch"]["tiny"][name].values()] == [1, 1]
    assert "examples a second" in printed and "Load average" in printed
    own = next(line for line in printed.splitlines() if "its own" in line)
    assert "0.25" in own and "stand-in: Peer tiny" in printed  # of the peer's plain training, not of ours
    assert result["peers"] == {"stand-in": {"versions": {"Peer": "tiny"}, "failed": None}}


def test_a_peer_that_ends_early_is_named_and_has_nothing_to_time(benchmark, tmp_path):
    (tmp_path / "peer.py").write_text("")
    with benchmark.Peer(f"stand-in={sys.executable}", tmp_path / "peer.py", "tiny", 1) as peer:
        assert "peer.py stand-in tiny 1 ended early" in peer.facts["failed"] and peer.turns() == {}


def test_a_peer_says_what_it_timed_or_why_it_could_not(benchmark, tmp_path):
    script = tmp_path / "peer.py"
    script.write_text(SERVED.format(folder=str(Path(benchmark.__file__).parent)))
    with benchmark.Peer(f"works={sys.executable}", script, "7") as peer:
        assert peer.facts == {"versions": {"works": "7"}, "failed": None} and peer.found == {"its own": [0.5]}
        assert set(peer.turn("its own")) == {"wall", "processor"}
    with benchmark.Peer(f"fails={sys.executable}", script, "7") as peer:
        assert peer.failed == "ValueError: no good 7" and peer.ways == []


def test_speeds_are_compared_round_by_round(benchmark):
    seconds = {benchmark.PLAIN: {"wall": [1.0, 2.0, 4.0]}, "other": {"wall": [2.0, 2.0, 16.0]}}
    assert benchmark.speeds(seconds, "other") == (0.5, 0.25, 1.0)


@pytest.mark.parametrize("argv", [["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
