"""A fleet on a Dask cluster of two worker processes: equal results, also where a worker is killed."""

import os
import signal
import threading
import time

import joblib
import keras
import numpy as np
import pytest
from support import mlp, records

import mpreg

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

X, Y = records(200)
MEMBERSHIP = np.random.default_rng(0).random((8, 200)) < 0.5


def build():
    model = mlp(dropout=0.2)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def trained(**options):
    fleet = mpreg.Fleet(build, 8)
    return fleet.fit(X, Y, membership=MEMBERSHIP, epochs=6, batch_size=16, verbose=0, **options)


@pytest.fixture
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_fleet_is_the_same_on_a_cluster(client):
    with joblib.parallel_config("dask"):
        there = trained()
    assert there.how.startswith("processes: dask")
    np.testing.assert_array_equal(there.predict(X), trained().predict(X))


def test_a_worker_that_is_killed_loses_nothing(client, tmp_path):
    first = next(iter(client.run(os.getpid).values()))
    checkpoint = tmp_path / "fleet.npz"

    def kill():
        while not checkpoint.exists():  # until the first share has come back
            time.sleep(0.05)
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with joblib.parallel_config("dask"):
        there = trained(checkpoint=checkpoint)
    killer.join()
    assert first not in client.run(os.getpid).values()
    # With a checkpoint a program holds fewer replicas at a time, and float32 rounds otherwise in its last place.
    np.testing.assert_allclose(there.predict(X), trained().predict(X), rtol=0, atol=1e-6)
    again = trained(checkpoint=checkpoint)  # all of it is there
    np.testing.assert_array_equal(again.predict(X), there.predict(X))
