"""Gradient norms of one unit and of many, against the gradient of logistic regression."""

import keras
import numpy as np
import pytest
from scipy import special

import mpreg
from mpreg.attacks.whitebox.gradient_norms import HiddenGradients, gradient_norms

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


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e30])
@pytest.mark.parametrize("separate", [False, True], ids=["activation of the layer", "a layer of its own"])
def test_a_saturated_sigmoid_is_measured_and_evaluated(scale, separate):
    """Records on the wrong side of a sure sigmoid have the gradient |x, 1|, the others none; scores are numbers."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.normal(size=(60, 4)) + np.where(y, 6, -6)[:, None]).astype("float32")
    y[[0, 1, 30]] = 1 - y[[0, 1, 30]]
    split = mpreg.MembershipSplit((x[:30], y[:30]), None, (x[30:], y[30:]))
    head = [keras.layers.Dense(1, None if separate else "sigmoid")]
    head += [keras.layers.Activation("sigmoid")] if separate else []
    model = keras.Sequential([keras.Input((4,)), *head])
    model.set_weights([np.full((4, 1), 10 * scale), np.zeros(1)])
    found = gradient_norms(model, split)
    wrong = np.isin(np.arange(60), [0, 1, 30])
    expected = np.where(wrong, np.sqrt((x.astype(float) ** 2).sum(axis=1) + 1), 0.0)
    np.testing.assert_allclose([*found.members, *found.nonmembers], expected, rtol=1e-3, atol=1e-6)
    report = mpreg.evaluate(model, split)
    assert all(np.isfinite(side).all() for sides in report.scores.values() for side in sides)
    report.to_dict(), found.to_dict()


def test_gradients_that_the_last_layer_swallows_are_refused():
    """A hard sigmoid is flat where it is sure: an AUC of one half would say that nothing leaks."""
    x = np.linspace(1, 2, 20, dtype="float32")[:, None]
    split = mpreg.MembershipSplit((x[:10], np.zeros(10, int)), None, (x[10:], np.r_[np.ones(9, int), 0]))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, "hard_sigmoid")])
    model.set_weights([np.full((1, 1), 50.0), np.zeros(1)])
    with pytest.raises(
        HiddenGradients, match="11 of 20 records have no gradient, although the model is wrong"
    ):
        gradient_norms(model, split, from_logits=False)
