"""Cells of the defence table on a Dask cluster of two workers: equal figures, also where one is killed."""

import os
import signal
import threading
import time

import joblib
import pytest

from mpreg.recipes.studies import defence_table

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

ASKED = {"defences": "confidence-penalty", "shadows": 2, "canaries": "none", "seeds": 1, "epochs": 1}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr(defence_table, "CURVE", (("undefended", None), ("early-stopping", 0.4)))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def figures(tables):
    rows = tables["digits"]
    return [{name: value for name, value in row.items() if "cost" not in name} for row in rows]


def test_figures_are_the_same_and_a_killed_worker_loses_nothing(client, tmp_path, monkeypatch):
    workers, folder = client.run(os.getpid), tmp_path / "there"
    made, first = folder / "cells" / "shadows", next(iter(workers.values()))

    def kill():
        while not list(made.rglob("*.npz")):  # until a first shadow model is kept
            time.sleep(0.05)
        kept.update({path: path.stat().st_mtime_ns for path in made.rglob("*.npz")})
        os.kill(first, signal.SIGKILL)

    kept = {}
    killer = threading.Thread(target=kill)
    killer.start()
    told = []

    class Bar:
        def __enter__(self):
            return lambda words="", steps=1: told.append(steps)

        def __exit__(self, *_):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(defence_table, "progress_bar", lambda *_: Bar())
        with joblib.parallel_config("dask"):
            there = defence_table.run(("digits",), out=folder, **ASKED)
    killer.join()
    assert first not in client.run(os.getpid).values()
    cells = sorted((folder / "cells").glob("*.json"))
    assert told[0] == 0 and told[1:] == [1] * len(cells)  # each cell as it comes
    here = defence_table.run(("digits",), out=tmp_path / "here", **ASKED)
    assert figures(there) == figures(here)
    assert kept and all(
        path.stat().st_mtime_ns == time for path, time in kept.items()
    )  # none was trained again
    # All is there: what goes on makes nothing.
    with joblib.parallel_config("dask"):
        monkeypatch.setattr(defence_table.Cell, "make_anew", lambda *_: pytest.fail("made again"))
        assert figures(defence_table.run(("digits",), out=folder, **ASKED)) == figures(there)
