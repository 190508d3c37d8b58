"""The benchmark of the attacks runs and reports; how fast it finds us is not for a test to say."""

import json
import sys
import types

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support import load_benchmark

from mpreg import signals


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark("attacks")


def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "attacks.json"
    monkeypatch.setattr(benchmark, "load_peer", lambda: None)
    assert benchmark.main(["--quick", "--json", str(path)]) == 0
    printed = capsys.readouterr()
    result = json.loads(path.read_text())
    for name in (benchmark.FAST, benchmark.GLOBAL, benchmark.PER_CLASS):
        assert name in printed.out
        assert [len(rounds) for rounds in result["seconds"][name].values()] == [2, 2]
    assert "not installed" in printed.out and "2,000 members" in printed.out
    assert "\x1b" not in printed.out and printed.err == ""


def test_the_areas_are_those_of_the_signals(benchmark):
    sides = [benchmark.random_answers(300, 5, seed=seed, margin=8 - 4 * seed) for seed in (0, 1)]
    areas = benchmark.open_ways(sides)[benchmark.GLOBAL]()
    read = [signals.read_answers(*side, from_logits=True) for side in sides]
    truth = np.repeat([1, 0], 300)
    expected = roc_auc_score(truth, np.concatenate([signals.loss(answers) for answers in read]))
    assert areas["loss"] == pytest.approx(expected) and expected > 0.55
    assert set(areas) == set(benchmark.SIGNALS)


def test_a_peer_is_set_beside_ours_round_by_round(benchmark, capsys, monkeypatch):
    monkeypatch.setattr(
        benchmark, "load_peer", lambda: lambda sides, by_class: dict.fromkeys(benchmark.SIGNALS, 0.5)
    )
    ticks = iter(np.arange(10_000.0))
    monkeypatch.setattr(
        sys.modules["rounds"], "CLOCKS", {"wall": lambda: next(ticks), "processor": lambda: next(ticks)}
    )
    benchmark.main(["--quick"])
    printed = capsys.readouterr().out
    assert "the peer takes 1.0 times as long, and 1.0 times the processor time" in printed
    assert "0.50000" in printed and "not installed" not in printed


def test_the_peers_answers_are_read_by_signal(benchmark, monkeypatch):
    """A stand-in with the peer's names: it is given all four arrays and both kinds of attack."""
    seen = {}

    def run_attacks(given, *, slicing_spec, attack_types):
        seen.update(given=given, slicing=slicing_spec, types=attack_types)
        results = [types.SimpleNamespace(get_auc=lambda value=value: value) for value in (0.7, 0.6, 0.1, 0.2)]
        return types.SimpleNamespace(single_attack_results=results)

    modules = {
        "membership_inference_attack": types.SimpleNamespace(run_attacks=run_attacks),
        "data_structures": types.SimpleNamespace(
            AttackType=types.SimpleNamespace(THRESHOLD_ATTACK="loss", THRESHOLD_ENTROPY_ATTACK="entropy"),
            AttackInputData=dict,
            SlicingSpec=dict,
        ),
    }
    monkeypatch.setattr(benchmark.importlib, "import_module", lambda name: modules[name.rpartition(".")[2]])
    sides = [benchmark.random_answers(10, 3, seed=seed, margin=1) for seed in (0, 1)]
    assert benchmark.load_peer()(sides, by_class=True) == {"loss": 0.7, "modified entropy": 0.6}
    assert seen["slicing"] == {"entire_dataset": True, "by_class": True}
    assert seen["types"] == ("loss", "entropy")
    np.testing.assert_array_equal(seen["given"]["logits_test"], sides[1][0])


@pytest.mark.parametrize("argv", [["--records", "1"], ["--classes", "1"], ["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
