"""DP-SGD in every floating-point type: without clip and noise it is what Keras does, and its state keeps its type."""

import keras
import numpy as np
import pytest
from keras import layers

import mpreg
from mpreg.private import AdaptiveClip
from mpreg.private.noise import NoiseSource

TYPES = [
    ("float64", "float32"),
    ("float64", "float64"),
    ("mixed_bfloat16", "float32"),
    ("bfloat16", "float32"),
    ("mixed_bfloat16", "float64"),
]


@pytest.fixture(params=TYPES, ids="-".join)
def types(request):
    policy, floatx = request.param
    keras.utils.set_random_seed(1)
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    yield policy, floatx
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def target(regularizer="l2"):
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4, "relu", kernel_regularizer=regularizer),
            layers.Dense(3, "softmax"),
        ]
    )


def records():
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 6)), rng.integers(0, 3, 24)


def compiled(model):
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_without_clip_and_noise_it_is_sgd(types):
    # Keras itself cannot add penalties in one type to a loss in another.
    theirs = target("l2" if types in (("float64", "float64"), ("mixed_bfloat16", "float32")) else None)
    ours = keras.models.clone_model(theirs)
    ours.set_weights(theirs.get_weights())
    private = compiled(mpreg.DPSGD(ours, noise_multiplier=0.0, l2_norm_clip=float("inf")))
    options = {"batch_size": 10, "shuffle": False, "verbose": 0}
    expected = compiled(theirs).fit(*records(), **options).history
    found = private.fit(*records(), **options).history
    close = 2e-2 if "bfloat16" in types[0] else 1e-6
    for ours_part, theirs_part in zip(ours.weights, theirs.weights, strict=True):
        assert ours_part.dtype == theirs_part.dtype
        one, other = (keras.ops.cast(part, "float32").numpy() for part in (ours_part, theirs_part))
        np.testing.assert_allclose(one, other, rtol=close, atol=close)
    for key in ("loss", "accuracy"):
        np.testing.assert_allclose(found[key], expected[key], rtol=close)


@pytest.mark.parametrize("clip", [0.5, AdaptiveClip(0.5)], ids=["fixed", "adaptive"])
def test_noise_and_clip_are_float32_and_reach_every_weight(types, clip):
    made = target()
    private = compiled(mpreg.DPSGD(made, noise_multiplier=1.0, l2_norm_clip=clip, delta=1e-3))
    kinds = [weight.dtype for weight in made.weights]
    before = [keras.ops.cast(weight, "float32").numpy() for weight in made.weights]
    history = private.fit(mpreg.poisson_batches(*records(), batch_size=12), epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"])) and private.clip_norm.dtype == "float32"
    assert [weight.dtype for weight in made.weights] == kinds
    for weight, was in zip(made.weights, before, strict=True):
        assert np.any(keras.ops.cast(weight, "float32").numpy() != was)


def test_noise_of_steps_beyond_four_billion_is_new():
    source = NoiseSource(seed=1)
    draws = [source.draw([(50,)], step)[0].numpy() for step in (5, 5 + 2**32, 5 + 2**33, 2**31, 2**62)]
    assert len(np.unique(np.concatenate(draws))) == 250
