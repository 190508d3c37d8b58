"""The benchmarks of growth, memory, reports, starts and kinds of layers run and report."""

import json

import keras
import numpy as np
import pytest
from support import load_benchmark


def test_an_exponent_is_the_slope_of_logarithms():
    growth = load_benchmark("growth")
    sizes = np.array([10, 100, 1000])
    curve = {"sizes": sizes, "seconds": {"wall": [3 * sizes**0.5, 2.0 * sizes], "processor": [sizes**2.0]}}
    exponents = growth.exponents_of(curve)
    assert exponents["wall"] == pytest.approx([0.5, 1.0]) and exponents["processor"] == pytest.approx([2.0])


def test_growth_prints_its_table_and_writes_its_curves(tmp_path, capsys, monkeypatch):
    growth = load_benchmark("growth")
    path = tmp_path / "growth.json"
    curves = [
        growth.Curve("fast suite", "records", (200, 400, 800), lambda n: growth.open_attack(n, n, 3, "fast")),
        growth.Curve("ratio", "classes", (2, 3, 4), lambda n: growth.open_shadow_attack(n, 64, n)),
    ]
    monkeypatch.setattr(growth, "open_curves", lambda: curves)
    assert growth.main(["--quick", "--rounds", "2", "--json", str(path)]) == 0
    printed, result = capsys.readouterr().out, json.loads(path.read_text())
    for name in ("fast suite, with records", "ratio, with classes"):
        assert name in printed and [len(each) for each in result["exponents"][name].values()] == [2, 2]
    assert [curve["sizes"] for curve in result["curves"]] == [[200, 400], [2, 3]]
    assert np.shape(result["curves"][0]["seconds"]["wall"]) == (2, 2)  # rounds, sizes


def test_every_curve_has_a_name_of_its_own_and_grows():
    growth = load_benchmark("growth")
    curves = list(growth.open_curves())
    assert len({curve.title for curve in curves}) == len(curves) == 10
    assert all(list(curve.sizes) == sorted(set(curve.sizes)) and len(curve.sizes) > 2 for curve in curves)


def test_peak_memory_is_this_process_own():
    memory = load_benchmark("memory")
    if not memory.STATUS.exists():
        pytest.skip("no /proc")
    resident = next(
        int(line.split()[1]) for line in memory.STATUS.read_text().splitlines() if "VmRSS" in line
    )
    held = np.ones(2**25)  # a quarter of a GiB
    assert held.sum() == 2**25 and memory.peak() >= resident / 2**20 + 0.24
    highest = memory.peak()
    del held
    assert memory.peak() >= highest - 0.01
    found = memory.work("fast", True, 200, 3)
    assert set(found["seconds"]) == {"wall", "processor"} and found["seconds"]["wall"] > 0


def test_reports_are_timed_beside_the_way_to_them(tmp_path, capsys):
    reports = load_benchmark("reports")
    path = tmp_path / "reports.json"
    assert reports.main(["--records", "100", "--rounds", "1", "--json", str(path)]) == 0
    assert {"HTML", "JSON", "Markdown"} < set(json.loads(path.read_text())["seconds"])
    assert "100 records" in capsys.readouterr().out


def test_starts_evaluate_predictions():
    starts = load_benchmark("starts")
    option, code = starts.WAYS["evaluate_predictions, fast suite"]
    assert option == "-c"
    space = {}
    exec(code, space)  # what the process runs
    assert len(space["predictions"]) == 400


def test_kinds_of_layers_are_given_words_or_vectors():
    module = load_benchmark("dpsgd_layers")
    for name, make in module.MODELS.items():
        model = make()
        x, y = module.random_sequences(model, 3)
        assert np.issubdtype(x.dtype, np.integer) == (name == "embedding") and x.shape[:2] == (
            3,
            module.STEPS,
        )
        assert model(x).shape == (3, module.CLASSES) and y.shape == (3,)


@pytest.mark.slow  # it traces DP-SGD twice
def test_kinds_of_layers_are_timed_on_what_they_take(tmp_path, capsys, monkeypatch):
    module = load_benchmark("dpsgd_layers")

    def words():
        given = keras.Input((4,), dtype="int32")
        return module._classifier(
            given, keras.layers.Flatten()(keras.layers.Embedding(module.WORDS, 2)(given))
        )

    monkeypatch.setattr(module, "MODELS", {"words": words})
    monkeypatch.setattr(module, "BATCH", 4)
    assert module.main(["--quick", "--rounds", "1", "--json", str(tmp_path / "layers.json")]) == 0
    seconds = json.loads((tmp_path / "layers.json").read_text())["seconds_per_batch"]["words"]
    assert (
        set(seconds) == {module.PLAIN, module.OURS, module.NOISELESS} and "words" in capsys.readouterr().out
    )
