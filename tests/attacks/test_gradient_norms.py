"""Gradient norms of one unit and of many, against the gradient of logistic regression."""

import keras
import numpy as np
import pytest
from scipy import special

import mpreg
from mpreg.attacks.whitebox.gradient_norms import gradient_norms

ACTIVATIONS = {"sigmoid": (1, "sigmoid"), "logit": (1, None), "softmax": (2, "softmax"), "logits": (2, None)}


@pytest.mark.parametrize("scale", [1.0, 60.0], ids=["usual", "saturated"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_norms_are_those_of_logistic_regression_also_where_answers_are_sure(name, scale):
    """The gradient is (p - y) [x, 1]; two units share it, with opposite signs."""
    units, activation = ACTIVATIONS[name]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 3)).astype("float32"), np.arange(24) % 2
    split = mpreg.MembershipSplit((x[:12], y[:12]), None, (x[12:], y[12:]))
    weights = scale * np.array([1.0, -2.0, 0.5])
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation)])
    kernel = weights[:, None] if units == 1 else np.stack([-weights / 2, weights / 2], axis=1)
    model.set_weights([kernel, np.zeros(units)])
    found = gradient_norms(model, split, from_logits=activation is None)
    residual = np.abs(special.expit(x.astype(float) @ weights) - y)
    expected = residual * np.sqrt((x.astype(float) ** 2).sum(axis=1) + 1) * np.sqrt(units)
    np.testing.assert_allclose([*found.members, *found.nonmembers], expected, rtol=1e-3, atol=1e-6)
    assert expected.max() > 1
