"""The benchmarks run and report; how fast they find us is not for a test to say."""

import json

import keras
import numpy as np
import pytest
from support import load_benchmark


@pytest.fixture(scope="module")
def overhead():
    return load_benchmark("training_overhead")


def small_target():
    return keras.Sequential([keras.Input((600,)), keras.layers.Dense(100, "softmax")])


@pytest.mark.slow  # eight ways of training are traced
def test_training_overhead_prints_its_table_and_writes_its_figures(overhead, tmp_path, capsys, monkeypatch):
    path = tmp_path / "overhead.json"
    monkeypatch.setattr(overhead, "purchase_mlp", small_target)
    monkeypatch.setattr(overhead, "RECORDS", 400)
    monkeypatch.setattr(overhead, "BATCH", 16)
    monkeypatch.setattr(overhead, "SIDE", 8)
    monkeypatch.setattr(overhead, "IMAGE_BATCH", 8)
    assert overhead.main(["--quick", "--rounds", "1", "--json", str(path)]) == 0
    printed = capsys.readouterr()
    result = json.loads(path.read_text())
    for name in (overhead.PLAIN, overhead.OURS, overhead.NASR, overhead.CALLBACK, overhead.PUBLISHED):
        assert name in printed.out
        assert [len(rounds) for rounds in result["seconds_per_batch"][name].values()] == [1, 1]
    for name in (overhead.PLAIN, overhead.OURS):
        assert [len(rounds) for rounds in result["seconds_per_image_batch"][name].values()] == [1, 1]
    assert "extrapolated" in printed.out and "Load average" in printed.out
    assert "\x1b" not in printed.out and printed.err == ""


def test_ratios_are_taken_round_by_round(overhead):
    seconds = {overhead.PLAIN: {"wall": [1.0, 2.0, 4.0]}, "other": {"wall": [3.0, 4.0, 8.0]}}
    assert overhead.ratios(seconds, "other", to=overhead.PLAIN) == (2.0, 2.0, 3.0)
    assert overhead.ratios(seconds, overhead.PLAIN, to="other")[0] == 0.5


def test_records_are_random_but_the_same_each_time(overhead):
    x, y = overhead.random_records(40, 600, 5, seed=3)
    assert x.shape == (40, 600) and set(np.unique(x)) == {0.0, 1.0} and set(np.unique(y)) == set(range(5))
    np.testing.assert_array_equal(y, overhead.random_records(40, 600, 5, seed=3)[1])


def test_every_way_takes_a_turn_a_round_there_and_back(overhead):
    order = []

    def way(name):
        return lambda: order.append(name) or {"wall": float(len(order)), "processor": 0.0}

    figures = overhead.take_turns(lambda: {name: way(name) for name in "abc"}, 2)
    assert "".join(order) == "cbaabc"
    assert figures["a"] == {"wall": [3.0, 4.0], "processor": [0.0, 0.0]}


@pytest.mark.parametrize("argv", [["--rounds", "0"], ["--rounds", "-3"], ["--fast"]])
def test_options_are_checked(overhead, argv, capsys):
    with pytest.raises(SystemExit):
        overhead.main(argv)
    assert "usage:" in capsys.readouterr().err


def test_the_fleet_prints_its_table_and_writes_its_figures(tmp_path, capsys, monkeypatch):
    module = load_benchmark("fleet")
    monkeypatch.setattr(module, "RECORDS", 256)
    monkeypatch.setattr(module, "NETWORKS", {"two layers": module.small})
    assert module.main(["--quick", "--json", str(tmp_path / "fleet.json")]) == 0
    assert "two layers" in capsys.readouterr().out
    (result,) = json.loads((tmp_path / "fleet.json").read_text("utf-8"))["results"].values()
    assert result["replicas"] == 2 and result["how"] == "one program, waves of 2"
    assert all(seconds > 0 for way in result["seconds"].values() for seconds in way.values())
