"""Rules of layers: a stranger adds one, and no layer gets a rule that was written for another."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg import gradients
from mpreg.gradients.plan import make_plan
from mpreg.gradients.registry import _RULES, find_rule
from mpreg.gradients.trial import by_layers, one_by_one


@pytest.fixture(autouse=True)
def _no_rule_stays():
    before = dict(_RULES)
    yield
    _RULES.clear()
    _RULES.update(before)


class Scale(layers.Layer):
    """What a stranger may have: a factor for each channel."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale


def scaled(kind=Scale):
    layer = kind()
    return layer, keras.Sequential([keras.Input((4, 3)), layer, layer, layers.Flatten(), layers.Dense(2)])


def by_scale(layer, calls, copies):
    products = [
        tf.reduce_sum(gradients.exact(call.inputs) * gradients.exact(call.gradient), 1) for call in calls
    ]
    return [gradients.Rows(layer.scale, gradients.fold_rows(products, copies, layer.scale.shape))]


def row_of(plan, layer):
    return next(row for row in plan.rows if row["layer"] == layer.name)


def test_the_rule_of_a_stranger_is_used_and_right():
    assert mpreg.gradients.rule(Scale)(by_scale) is by_scale
    layer, model = scaled()
    plan = mpreg.DPSGD(model, noise_multiplier=0.0, l2_norm_clip=1.0).clipping_plan()
    assert plan.whole is None and row_of(plan, layer)["how"] == "ghost"
    assert "by scale" in row_of(plan, layer)["why"]
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 4, 3)), tf.float32)
    digest = by_layers(plan, x, training=True)
    for found, expected in zip([digest[0], *digest[1]], one_by_one(model, x, training=True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_wrong_rule_is_found_out_and_not_used():
    @gradients.rule(Scale)
    def wrong(layer, calls, copies):
        (piece,) = by_scale(layer, calls[:1], copies)  # forgets that the layer is called twice
        return [piece]

    _, model = scaled()
    plan = make_plan(model, tf.TensorSpec((None, 4, 3)))
    assert plan.whole and "come out otherwise" in plan.why


def test_a_rule_that_raises_is_not_used():
    @gradients.rule(Scale)
    def broken(layer, calls, copies):
        raise KeyError("what")

    _, model = scaled()
    assert "KeyError: 'what'" in make_plan(model, tf.TensorSpec((None, 4, 3))).why


class Renamed(Scale):
    """Redefines nothing."""

    def get_config(self):
        return super().get_config()


class Louder(Scale):
    def call(self, inputs):
        return 2 * super().call(inputs)


class Standardized(layers.Conv2D):
    """Keras says of `convolution_op` that it may be overridden."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel - keras.ops.mean(kernel))


class Tied(layers.Dense):
    @property
    def kernel(self):
        return self._kernel - keras.ops.mean(self._kernel)


class Extra(layers.Dense):
    def build(self, shape):
        super().build(shape)
        self.extra = self.add_weight(shape=(2,), name="extra")


class Watched(layers.Dense):
    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs)


def built(layer, shape=(1, 4, 4, 3)):
    layer.build(shape)
    return layer


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Louder, "it is a Scale with a call of its own"),
        (lambda: Standardized(2, 2), "it is a Conv2D with a convolution_op of its own"),
        (lambda: Tied(2), "it is a Dense with a kernel of its own"),
        (lambda: Extra(2), "it is a Dense with further weights"),
        (lambda: Watched(2), "it is a Dense with a __call__ of its own"),
        (lambda: layers.PReLU(), "no rule"),
    ],
)
def test_a_subclass_that_does_something_else_gets_no_rule(make, why):
    gradients.rule(Scale)(by_scale)
    rule, reason = find_rule(built(make()))
    assert rule is None and why in reason


def test_a_layer_whose_call_was_replaced_gets_no_rule():
    layer = built(layers.Dense(2))
    layer.__dict__["call"] = lambda inputs: inputs
    assert find_rule(layer)[0] is None


def test_a_layer_with_lora_gets_no_rule():
    layer = built(layers.Dense(2), (1, 3))
    layer.enable_lora(1)
    assert find_rule(layer) == (None, "no rule for LoRA or quantized weights")


def test_the_nearest_class_and_the_last_registration_hold():
    gradients.rule(Scale)(by_scale)

    def nearer(layer, calls, copies):
        return by_scale(layer, calls, copies)

    assert find_rule(built(Renamed()))[0].pieces is by_scale
    gradients.rule(Renamed)(nearer)
    assert find_rule(built(Renamed()))[0].pieces is nearer
    assert find_rule(built(Scale()))[0].pieces is by_scale
    gradients.rule(Scale)(nearer)
    assert find_rule(built(Scale()))[0].pieces is nearer


def test_a_rule_may_refuse_a_layer_in_words():
    gradients.rule(Scale, refuses=lambda layer: "it is Monday" if layer.name == "monday" else None)(by_scale)
    assert find_rule(built(Scale(name="monday"))) == (None, "no rule: it is Monday")
    assert find_rule(built(Scale(name="tuesday")))[0].pieces is by_scale


@pytest.mark.parametrize("given", [(), ("Dense",), (dict,), (layers.Dense, 3)])
def test_what_is_no_class_of_layers_is_refused(given):
    with pytest.raises(TypeError, match="a rule is for classes of Keras layers. Received"):
        gradients.rule(*given)
