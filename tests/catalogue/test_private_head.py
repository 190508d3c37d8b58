"""A private head: public records teach the features, members the last layer alone, within their budget."""

import types

import keras
import numpy as np

import mpreg
from mpreg.catalogue import Setting, defence_of


def network(shape, classes, seed):
    keras.utils.set_random_seed(seed)
    stack = [keras.Input(shape), keras.layers.Dense(6, "tanh"), keras.layers.Dense(classes, "softmax")]
    return keras.Sequential(stack)


def test_members_reach_the_last_layer_alone_and_through_noise(monkeypatch):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    x = (rng.normal(size=(120, 4)) + 2 * y[:, None]).astype(np.float32)
    setting = Setting(
        dataset="none", members=40, reference=40, network=network, learning_rate=0.1, epochs=6, batch_size=20
    )
    data, defence = types.SimpleNamespace(features=x, labels=y, classes=2), defence_of("dpsgd-head")
    private = []
    for_budget = mpreg.DPSGD.for_budget
    monkeypatch.setattr(
        mpreg.DPSGD,
        "for_budget",
        lambda *given, **options: private.append(for_budget(*given, **options)) or private[-1],
    )

    def train(members):
        split = mpreg.MembershipSplit(
            (x[members], y[members]), (x[40:80], y[40:80]), (x[80:], y[80:]), duplicates="allow"
        )
        return defence.train(setting, data, split, seed=0).get_weights()

    one, other = train(np.arange(40)), train(np.arange(40)[::-1] // 2)
    for value, same in zip(one[:2], other[:2], strict=True):
        np.testing.assert_array_equal(value, same)  # features, of the reference records alone
    assert not np.allclose(one[2], other[2])
    assert 6 < private[0].privacy_spent(1e-5).epsilon <= 8
    assert (defence.consumes_reference, defence.guarantee) == (True, True)
