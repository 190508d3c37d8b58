"""What every callback of mpreg promises: it is a Keras callback that works in any fit and never prints."""

import inspect

import keras
import numpy as np
import pytest
from helpers import linear_attacker, mlp, records

import mpreg
import mpreg.callbacks

LOSS = "sparse_categorical_crossentropy"
SPLIT = mpreg.MembershipSplit(records(24), records(24, seed=2), records(24, seed=1))
# name -> a new callback and the keys that it adds to `logs`
MAKERS = {
    "AdversarialTraining": (
        lambda: mpreg.callbacks.AdversarialTraining(
            SPLIT.reference, penalty=1.0, inference_network=linear_attacker()
        ),
        {"inference_accuracy", "inference_loss", "membership_gain"},
    ),
    "PrivacyMeter": (
        lambda: mpreg.callbacks.PrivacyMeter(SPLIT),
        {"train_accuracy", "attack_accuracy", "attack_auc", "privacy_meter_cost"},
    ),
}


def exported():
    return {
        name: value
        for name, value in vars(mpreg.callbacks).items()
        if inspect.isclass(value) and issubclass(value, keras.callbacks.Callback)
    }


@pytest.fixture(params=MAKERS)
def made(request):
    make, keys = MAKERS[request.param]
    return make(), keys


def compiled():
    model = mlp()
    model.compile("sgd", LOSS, run_eagerly=True)
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
    callback, keys = made
    seen = []
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    history = fit(compiled(), callback, after, epochs=2, validation_data=SPLIT.nonmembers).history
    for logs in seen:
        assert set(logs) >= keys | {"loss", "val_loss"}
        assert all(np.isscalar(value) and np.isfinite(value) for value in logs.values())
    assert all(len(values) == 2 for values in history.values())
    assert not any(f"val_{key}" in history for key in keys)


def test_it_never_prints(made, capfd):
    callback, _ = made
    model = compiled()
    capfd.readouterr()
    fit(model, callback)
    assert capfd.readouterr().out == ""


def test_it_serves_a_second_fit_and_a_second_model(made):
    callback, keys = made
    model = compiled()
    for each in (model, model, compiled()):
        assert set(fit(each, callback).history) >= keys


def test_it_leaves_the_model_as_it_was(made):
    callback, _ = made
    plain, model = compiled(), compiled()
    weights = [weight.path for weight in model.weights]
    fit(plain)
    fit(model, callback)
    assert set(model.__dict__) == set(plain.__dict__)
    assert [weight.path for weight in model.weights] == weights
    assert set(fit(model).history) == {"loss"}


def test_it_can_be_given_to_evaluate_and_predict(made):
    callback, _ = made
    model = compiled()
    x, y = SPLIT.nonmembers
    assert model.evaluate(x, y, verbose=0, callbacks=[callback]) == model.evaluate(x, y, verbose=0)
    np.testing.assert_array_equal(
        model.predict(x, verbose=0, callbacks=[callback]), model.predict(x, verbose=0)
    )


def test_all_of_them_work_in_one_fit_in_any_order():
    callbacks = {name: make for name, (make, _) in MAKERS.items()}
    keys = set().union(*(keys for _, keys in MAKERS.values()))
    for order in (list(callbacks), list(callbacks)[::-1]):
        assert set(fit(compiled(), *(callbacks[name]() for name in order)).history) >= keys


def test_it_outlives_an_interruption(made):
    """The next plain fit is plain, and the callback can be used again."""
    callback, keys = made

    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        fit(model, callback, keras.callbacks.LambdaCallback(on_epoch_end=interrupt))
    assert set(fit(model).history) == {"loss"}
    assert set(fit(model, callback).history) >= keys
