"""Flower's rounds against those of the simulator; skipped where Flower is not installed."""

import re
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from mpreg.federated import Federation, GradientAscent, Isolation, Watch, run_in_flower


def federation(**options):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)).astype("float32"), rng.integers(0, 3, 30)
    model = keras.Sequential([keras.Input((5,)), layers.Dense(6, "tanh"), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy")
    parts = [(x[:6], y[:6]), (x[6:16], y[6:16]), (x[16:], y[16:])]
    return Federation(model, parts, **{"batch_size": 5, "local_epochs": 2, **options}), (x, y)


def test_rounds_in_flower_are_those_of_the_simulator_attacked_or_not():
    pytest.importorskip("flwr")
    for attacked in (False, True):
        kept, losses = [], []
        for run in (Federation.run, run_in_flower):
            simulated, sought = federation()
            watch = Watch(updates=True)
            servers = [watch]
            if attacked:
                servers += [Isolation(participant=1), GradientAscent(sought, participant=2)]
                losses.append(servers[-1])
            run(simulated, 3, server=servers)
            kept.append(watch.rounds_kept)
        for one, other in zip(*kept, strict=True):
            assert one.number == other.number
            for name in ("start", "end"):
                for found, expected in zip(getattr(one, name), getattr(other, name), strict=True):
                    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
            for name in ("sent", "returned"):
                for found, expected in zip(getattr(one, name), getattr(other, name), strict=True):
                    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-5)
        if attacked:
            np.testing.assert_allclose(losses[0].rebounds, losses[1].rebounds, rtol=1e-2, atol=1e-2)


def test_where_flower_is_not_installed_or_cannot_do_it_that_is_said(monkeypatch):
    with pytest.raises(ValueError, match="averages weights. Received: algorithm='fedsgd'"):
        run_in_flower(federation(algorithm="fedsgd")[0], 1)
    monkeypatch.setitem(sys.modules, "flwr.server.server", None)
    with pytest.raises(ImportError, match=r"pip install \"mpreg\[flower\]\""):
        run_in_flower(federation()[0], 1)


def test_the_quickstart_runs_in_flower(monkeypatch, tmp_path):
    """The examples of the page one after the other, those that need Flower too; then the strategy of a user's own."""
    pytest.importorskip("flwr")
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters

    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "federate.md").read_text("utf-8")
    names = {}
    for snippet in re.findall(r"^```(?:python|py)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        exec(compile(snippet, "federate.md", "exec"), names)
    assert names["federation"].rounds == 10  # five of the simulator, five of Flower
    strategy, weights = names["Watched"](), names["model"].get_weights()
    for number in (1, 2):
        sent = [[number * part for part in weights], [3 * part for part in weights]]
        results = [
            (types.SimpleNamespace(cid=cid), FitRes(Status(Code.OK, ""), ndarrays_to_parameters(own), 10, {}))
            for cid, own in zip("ba", sent[::-1], strict=True)
        ]
        mean, _ = strategy.aggregate_fit(number, results, [])
        assert mean is not None
    kept = strategy.watch.snapshots
    np.testing.assert_allclose(kept.weights(2)[0], 2 * weights[0], rtol=1e-6)
