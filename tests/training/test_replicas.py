"""Wrappers and callbacks on several devices: equal to one device, or refused by name."""

import inspect
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from support import replicas

import mpreg
from mpreg import callbacks
from mpreg.training.core.wrapping import Wrapper

TESTS = Path(__file__).resolve().parents[1]
ERROR = 2e-6  # of float32, after a few steps
QUICK = ["DPSGD, adaptive"]
EVERYTHING = [*replicas.WRAPPERS, *replicas.CALLBACKS, *replicas.EXTRAS]


def run(names, tmp_path):
    """What the program tells of these."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [sys.executable, TESTS / "support" / "replicas.py", tmp_path, *names],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def first_word(name):
    return name.split(",")[0]


def test_every_wrapper_and_every_callback_is_tried():
    trained = {
        name
        for name in mpreg.__all__
        if inspect.isclass(getattr(mpreg, name)) and issubclass(getattr(mpreg, name), Wrapper)
    }
    called = {name for name, kind in vars(callbacks).items() if inspect.isclass(kind)}
    assert {first_word(name) for name in replicas.WRAPPERS} == trained
    assert set(replicas.CALLBACKS) == called


def check(name, found):
    if name in replicas.WRAPPERS or name in replicas.CALLBACKS:
        assert found["mirrors"] == 0
        assert found["weights"] < ERROR and found["logs"] < 10 * ERROR
        if "steps" in found:
            assert found["steps"][0] == found["steps"][1] > 0
            assert found["epsilon"][0] == found["epsilon"][1] > 0
        return
    globals()[f"check_{name}"](found)


def check_equal_shares(found):
    assert found < ERROR


def check_noise(found):
    """Noise of each device would be 1.41 times as much; half of it on each, .71 times."""
    assert abs(found["deviation"] - 1.0) < 5 / (2 * found["numbers"]) ** 0.5


def check_whole_batch_twice(found):
    assert found == [
        2
    ]  # train_on_batch gives every device the whole batch, so each record moves the sum twice


def check_repeats(found):
    assert found == [2]


def check_poisson(found):
    assert found == {"same": True, "kind": "poisson", "steps": 8}


def check_fleet(found):
    assert found < ERROR


def check_refusals(found):
    assert "Keras applies clipnorm to the part of each" in found["clipnorm"]
    assert "an audit watches the noisy gradients of one device" in found["observer"]


def test_some_of_them_on_two_devices(tmp_path):
    for name, found in run(QUICK, tmp_path).items():
        check(name, found)


@pytest.mark.slow
def test_all_of_them_on_two_devices(tmp_path):
    found = run([name for name in EVERYTHING if name not in QUICK], tmp_path)
    for name in found:
        check(name, found[name])


WORKER = """
import json, os, sys
os.environ["TF_CONFIG"] = json.dumps(
    {"cluster": {"worker": sys.argv[2:]}, "task": {"type": "worker", "index": int(sys.argv[1])}}
)
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
from support import mlp, records, replicas
found = {}
with strategy.scope():
    for name, wrap in replicas.WRAPPERS.items():
        try:
            wrap(mlp())
        except ValueError as error:
            found[name] = str(error)
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
try:
    model.fit(*records(16), verbose=0)
except ValueError as error:
    found["keras"] = type(error).__name__
print(json.dumps(found))
"""


@pytest.mark.slow
def test_several_processes_are_refused_by_name(tmp_path):
    """As Keras cannot train there either: when it can, this fails, and the refusal is to be looked at again."""
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two)]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(index), *workers],
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    try:
        told = [child.communicate(timeout=300) for child in children]
    finally:
        for child in children:
            child.kill()
    for out, errors in told:
        assert out, errors[-3000:]
        found = json.loads(out.splitlines()[-1])
        assert found.pop("keras") == "ValueError"
        assert set(found) == set(replicas.WRAPPERS)
        for name, said in found.items():
            assert f"{first_word(name)} cannot be trained by several processes" in said


def test_an_untried_strategy_is_refused_by_name():
    strategy = tf.distribute.experimental.CentralStorageStrategy()
    with strategy.scope(), pytest.raises(ValueError, match="DPSGD was never tried under CentralStorage"):
        replicas.private(replicas.mlp())
