"""The benchmark of output defences runs and reports; how fast it finds us is not for a test to say."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import load_benchmark

import mpreg


@pytest.fixture(scope="module")
def benchmark():
    return load_benchmark("outputs")


@pytest.mark.slow
def test_it_prints_its_table_and_writes_its_figures(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "outputs.json"
    small = keras.Sequential([keras.Input((446,)), keras.layers.Dense(30, "softmax")])
    monkeypatch.setattr(benchmark, "location_mlp", lambda: small)
    size = benchmark.Size(rounds=3, queries=8, batch=4, published_queries=1, epochs=(1, 1))
    monkeypatch.setattr(benchmark, "QUICK", size)
    assert benchmark.main(["--quick", "--rounds", "2", "--json", str(path)]) == 0
    printed, result = capsys.readouterr(), json.loads(path.read_text())
    for name, clocks in result["queries_per_second"].items():
        assert name[:12] in printed.out
        assert all(len(rates) == 2 and min(rates) > 0 for rates in clocks.values()), name
    assert {benchmark.BARE, benchmark.GUARD, benchmark.PUBLISHED} < set(result["queries_per_second"])
    assert "times as many queries a second as the published procedure" in printed.out
    assert "\x1b" not in printed.out and printed.err == ""


def test_the_published_procedure_finds_the_noise_that_the_layer_finds(benchmark):
    rng = np.random.default_rng(0)
    members, others = (rng.dirichlet(np.full(5, a), 200).astype("float32") for a in (0.1, 2.0))
    guard = mpreg.MemGuard(2.0, seed=0).fit(members, others, epochs=20, learning_rate=0.05)
    procedure = benchmark.PublishedMemGuard(guard)
    queries = others[:3]
    found = np.stack([procedure(row) for row in queries])
    # The search alone: the layer leaves out noise that takes the classifier further from .5.
    together = guard._find_noise(tf.constant(np.log(-np.sort(-queries, axis=1))))
    np.testing.assert_allclose(found, together, atol=1e-4)
    assert np.abs(found + np.sort(-queries, axis=1)).sum(axis=1).min() > 1e-3


@pytest.mark.parametrize("argv", [["--rounds", "0"], ["--fast"]])
def test_options_are_checked(benchmark, argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert "usage:" in capsys.readouterr().err
