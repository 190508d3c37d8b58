"""Many models are asked without a warning; what others trace too often is still told."""

import logging

import numpy as np
import tensorflow as tf
from support import mlp, records

from mpreg.internals.reading import Choice, read_signals
from mpreg.signals import predict

X, _ = records(16)


def retraced():
    """Traces one function of TensorFlow often enough for its warning."""
    function = tf.function(lambda x: x + 1)
    for size in range(1, 12):
        function(np.ones(size, "float32"))


def test_many_models_are_asked_in_silence(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        for seed in range(9):
            predict(mlp(seed=seed), X)
    assert caplog.messages == []


def test_the_insides_of_many_models_are_read_in_silence(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        for seed in range(7):
            read_signals(mlp(seed=seed), X, np.zeros(16, int), Choice((-1,)), classes=3)
    assert caplog.messages == []


def test_keras_alone_warns_and_so_does_anybody_after_it(caplog, monkeypatch):
    """Or the test above could not fail."""
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    predict(mlp(), X)
    with caplog.at_level(logging.WARNING, logger="tensorflow"):
        retraced()
    assert any("triggered tf.function retracing" in message for message in caplog.messages)
    assert logging.getLogger("tensorflow").filters == []
