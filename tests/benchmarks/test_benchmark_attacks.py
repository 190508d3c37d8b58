"""The benchmark of the attacks runs and reports; how fast it finds us is not for a test to say."""

import json
import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support import load_benchmark

from mpreg import signals


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark("attacks")


PEER = """
import json, sys
import numpy as np
name, path, some = sys.argv[1:]
with np.load(path) as file:
    assert file["member_logits"].shape == file["other_logits"].shape == (2000, 10) and some == "500"
found = {"ART, boosted trees": [0.5]} if name == "art" else {"peer, two thresholds": [0.5, 0.5]}
print(json.dumps({"ways": [*found], "versions": {"it": "1"}, "found": found, "failed": None}), flush=True)
for line in sys.stdin:
    print(json.dumps({"wall": 1000.0, "processor": 1000.0}), flush=True)
"""


def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "attacks.json"
    monkeypatch.setattr(benchmark, "PEERS", tmp_path / "peer.py")
    benchmark.PEERS.write_text(PEER)
    assert benchmark.main(["--quick", "--json", str(path), "--peer", f"art={sys.executable}"]) == 0
    printed = capsys.readouterr()
    result = json.loads(path.read_text())
    for name in (
        benchmark.FAST,
        benchmark.GLOBAL,
        benchmark.PER_CLASS,
        benchmark.TRAINED,
        "ART, boosted trees",
    ):
        assert name in printed.out
        assert [len(rounds) for rounds in result["seconds"][name].values()] == [2, 2]
    assert "2,000 members" in printed.out and "art: it 1" in printed.out
    assert "ART, boosted trees: " in printed.out and "as long as trained attack on some" in printed.out
    assert "\x1b" not in printed.out and printed.err == ""
    with pytest.raises(
        ValueError, match="their times do not compare"
    ):  # its thresholds are no better than chance
        benchmark.main(["--quick", "--peer", f"tensorflow-empirical-privacy={sys.executable}"])


def test_the_areas_are_those_of_the_signals(benchmark):
    sides = benchmark.random_sides(300, 5)
    ways = benchmark.open_ways(sides, 100)
    areas = ways[benchmark.GLOBAL]()
    read = [signals.read_answers(*side, from_logits=True) for side in sides]
    truth = np.repeat([1, 0], 300)
    expected = roc_auc_score(truth, np.concatenate([signals.loss(answers) for answers in read]))
    assert areas[0] == pytest.approx(expected) and expected > 0.55
    assert len(areas) == len(benchmark.SIGNALS) and 0 < ways[benchmark.TRAINED]()[0] < 1


def test_times_compare_where_answers_are_the_same_or_ours_are_better(benchmark):
    ours = {
        benchmark.TRAINED_ON_ALL: [0.7],
        benchmark.GLOBAL: [0.7, 0.7],
        benchmark.PER_CLASS: [0.7, 0.7],
        benchmark.TRAINED: [0.7],
    }
    benchmark.check_areas(ours | {"peer, two thresholds": [0.7, 0.7005], "peer, network": [0.6]})
    for peer, areas in (
        ("peer, two thresholds", [0.7, 0.69]),
        ("peer, also by class", [0.71, 0.7, 0.1]),
        ("privacy-meter, threshold on loss", [0.6]),
        ("peer, network", [0.75]),
        ("peer, logistic regression on all", [0.75]),
    ):
        with pytest.raises(ValueError, match=f"{peer} has areas"):
            benchmark.check_areas(ours | {peer: areas})


@pytest.mark.parametrize("argv", [["--records", "1"], ["--classes", "1"], ["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
