"""Training defences under other types than float32: they run, and mean the same."""

import keras
import numpy as np
import pytest
from support import CLASSES, mlp, records

import mpreg
from mpreg.callbacks import AdversarialTraining

REFERENCE = records(24, seed=9)
WRAPPERS = {
    "game": lambda target: mpreg.AdversarialRegularization(target, REFERENCE, penalty=1.0, seed=0),
    "game, both sides": lambda target: mpreg.AdversarialRegularization(
        target, REFERENCE, penalty=1.0, reference_gain=True, inference_network="nasr2018"
    ),
    "mixup and mmd": lambda target: mpreg.MixUpMMD(target, REFERENCE),
    "hamp": lambda target: mpreg.HAMP(target, gamma=0.5, alpha=0.1),
    "confidence penalty": lambda target: mpreg.ConfidencePenalty(target, weight=0.1),
    "relaxloss": lambda target: mpreg.RelaxLoss(target, alpha=0.3),
    "label smoothing": lambda target: mpreg.LabelSmoothing(target, smoothing=0.1),
    "together": lambda target: mpreg.AdversarialRegularization(
        mpreg.MixUpMMD(mpreg.HAMP(target, gamma=0.5, alpha=0.1), REFERENCE), REFERENCE, penalty=1.0
    ),
}


@pytest.fixture(params=["floatx", "float64", "mixed_bfloat16"])
def other_types(request):
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if request.param == "floatx":
        keras.config.set_floatx("float64")
    else:
        keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def fitted(model, *, callbacks=()):
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    history = model.fit(
        *records(), epochs=1, batch_size=16, shuffle=False, verbose=0, callbacks=list(callbacks)
    )
    return history.history["loss"][0]


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_train_under_other_types(other_types, name):
    assert np.isfinite(fitted(WRAPPERS[name](mlp())))


def test_the_callback_trains_under_other_types(other_types):
    assert np.isfinite(fitted(mlp(), callbacks=[AdversarialTraining(REFERENCE, penalty=1.0)]))


def test_a_float64_game_ends_where_a_float32_one_does(request):
    """The same losses, within float32's rounding: no part of the penalty is lost on the way."""
    known = fitted(WRAPPERS["game, both sides"](mlp()))
    keras.config.set_floatx("float64")
    request.addfinalizer(lambda: keras.config.set_floatx("float32"))
    assert fitted(WRAPPERS["game, both sides"](mlp())) == pytest.approx(known, rel=1e-4)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16"])
def test_split_distillation_takes_submodels_of_coarse_types(policy):
    """Probabilities in bfloat16 do not sum to one; soft labels do."""

    def build():
        model = mlp()
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    known = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = mpreg.SplitDistillation(build, submodels=3, held_out=1, seed=0).fit(
            *records(), epochs=1, verbose=0
        )
    finally:
        keras.config.set_dtype_policy(known)
    assert model.soft_labels.shape == (48, CLASSES)
    np.testing.assert_allclose(model.soft_labels.sum(axis=1), 1, atol=1e-6)
