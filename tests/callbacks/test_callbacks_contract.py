"""What every callback of mpreg promises: it is a Keras callback that works in any fit and never prints."""

import inspect
import tempfile

import keras
import numpy as np
import pytest
from support import LOSS, linear_attacker, mlp, records

import mpreg
import mpreg.callbacks

SPLIT = mpreg.MembershipSplit(records(24), records(24, seed=2), records(24, seed=1))


def private():
    return mpreg.DPSGD(mlp(), noise_multiplier=5.0, l2_norm_clip=1.0, delta=1e-3, seed=0)


def paid_for_entropy():
    return mpreg.ConfidencePenalty(mlp(), weight=0.1)


# name -> a new callback, the keys that it adds to `logs`, and the kind of model that it is for
MAKERS = {
    "Backup": (lambda: mpreg.callbacks.Backup(tempfile.mkdtemp()), set(), mlp),
    "AdversarialTraining": (
        lambda: mpreg.callbacks.AdversarialTraining(
            SPLIT.reference, penalty=1.0, inference_network=linear_attacker()
        ),
        {"inference_accuracy", "inference_loss", "membership_gain"},
        mlp,
    ),
    "PrivacyBudget": (
        lambda: mpreg.callbacks.PrivacyBudget(epsilon=50.0, delta=1e-3),
        {"epsilon", "epsilon_rdp"},
        private,
    ),
    "PrivacyMeter": (
        lambda: mpreg.callbacks.PrivacyMeter(SPLIT),
        {"train_accuracy", "attack_accuracy", "attack_auc", "privacy_meter_cost"},
        mlp,
    ),
    "PrivacyTarget": (
        lambda: mpreg.callbacks.PrivacyTarget(SPLIT, attack_accuracy=0.95),
        {"privacy_target_strength", "privacy_target_attack"},
        paid_for_entropy,
    ),
    "SnapshotRecorder": (lambda: mpreg.callbacks.SnapshotRecorder(epochs=(1,)), set(), mlp),
}


def exported():
    return {
        name: value
        for name, value in vars(mpreg.callbacks).items()
        if inspect.isclass(value) and issubclass(value, keras.callbacks.Callback)
    }


@pytest.fixture(params=MAKERS)
def made(request):
    """A callback, the keys that it adds and a function that builds a model for it."""
    make, keys, build = MAKERS[request.param]
    return make(), keys, lambda: compiled(build)


def compiled(build):
    model = build()
    model.compile("sgd", LOSS, run_eagerly=build is mlp)
    return model


def fit(model, *callbacks, **options):
    return model.fit(*SPLIT.members, batch_size=24, verbose=0, callbacks=list(callbacks), **options)


def test_every_callback_is_under_contract():
    assert set(exported()) == set(MAKERS)


def test_only_callbacks_are_exported():
    assert {name for name, value in vars(mpreg.callbacks).items() if inspect.isclass(value)} == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_documented_and_keyword_only_after_its_data(name):
    callback = exported()[name]
    for part in ("Args:", "Raises:", "Example:"):
        assert part in callback.__doc__
    _, _, *options = inspect.signature(callback.__init__).parameters.values()
    assert all(option.kind is inspect.Parameter.KEYWORD_ONLY for option in options)
    for option in options:
        assert option.name in callback.__doc__ or "other options" in callback.__doc__


def test_its_keys_are_floats_in_the_logs_of_callbacks_after_it(made):
    callback, keys, build = made
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    history = fit(build(), callback, after, epochs=2, validation_data=SPLIT.nonmembers).history
    for logs in seen:
        assert set(logs) >= keys | {"loss", "val_loss"}
        assert all(np.isscalar(value) and np.isfinite(value) for value in logs.values())
    assert all(len(values) == 2 for values in history.values())
    assert not any(f"val_{key}" in history for key in keys)


def test_it_never_prints(made, capfd):
    callback, _, build = made
    model = build()
    capfd.readouterr()
    fit(model, callback)
    assert capfd.readouterr().out == ""


def test_it_serves_a_second_fit_and_a_second_model(made):
    callback, keys, build = made
    model = build()
    for each in (model, model, build()):
        assert set(fit(each, callback).history) >= keys


def test_it_leaves_the_model_as_it_was(made):
    callback, _, build = made
    plain, model = build(), build()
    weights = [weight.path for weight in model.weights]
    fit(plain)
    fit(model, callback)
    assert set(model.__dict__) == set(plain.__dict__)
    assert [weight.path for weight in model.weights] == weights
    assert set(fit(model).history) == {"loss"}


def test_it_can_be_given_to_evaluate_and_predict(made):
    callback, _, build = made
    model = build()
    x, y = SPLIT.nonmembers
    assert model.evaluate(x, y, verbose=0, callbacks=[callback]) == model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0, callbacks=[callback]), model.predict(x, verbose=0)
    )


def test_all_of_them_work_in_one_fit_in_any_order():
    callbacks = {name: make for name, (make, _, build) in MAKERS.items() if build is mlp}
    keys = set().union(*(MAKERS[name][1] for name in callbacks))
    for order in (list(callbacks), list(callbacks)[::-1]):
        assert set(fit(compiled(mlp), *(callbacks[name]() for name in order)).history) >= keys


def test_it_outlives_an_interruption(made):
    """The next plain fit is plain, and the callback can be used again."""
    callback, keys, build = made

    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    model = build()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callback, keras.callbacks.LambdaCallback(on_epoch_end=interrupt))
    assert set(fit(model).history) == {"loss"}
    assert set(fit(model, callback).history) >= keys
