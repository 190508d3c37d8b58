"""AdversarialTraining: equal to the wrapper while it plays, and gone without a trace when it has."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import (
    CLASSES,
    FEATURES,
    assert_same_weights,
    compiled,
    fit,
    linear_attacker,
    mlp,
    records,
    weights_of,
)

import mpreg
from mpreg.callbacks import AdversarialTraining

INFERENCE_LOGS = {"inference_accuracy", "inference_loss", "membership_gain"}
PATCHED = ("train_step", "compute_loss", "fit", "train_on_batch")
GAME = {"penalty": 2.0, "warmup_epochs": 0, "reference_batch_size": 16}


def game(reference=None, **options):
    options = {"attack_optimizer": keras.optimizers.SGD(0.1), **GAME, **options}
    if "inference_network" not in options:
        options["inference_network"] = linear_attacker()
    return AdversarialTraining(reference or records(seed=9), **options)


def assert_restored(model):
    """The model is its class's again, and trains as one that never met the callback."""
    assert not set(PATCHED) & set(model.__dict__)
    twin = compiled(mlp())
    twin.set_weights(model.get_weights())
    twin.train_on_batch(*records())
    assert set(model.train_on_batch(*records(), return_dict=True)) == {"loss"}
    assert_same_weights(twin, model)


@pytest.mark.parametrize("options", [{}, {"attack_steps": 2, "reference_gain": True, "warmup_epochs": 1}])
def test_it_equals_the_wrapper_step_for_step(options):
    alone, target = (mlp(dropout=0.3, normalize=True) for _ in range(2))
    reference = records(seed=9)
    validation = {"validation_data": records(20, seed=5), "epochs": 2}
    rate = {"attack_optimizer": keras.optimizers.SGD(0.1)}
    ours = fit(compiled(alone), game(inference_network="compact", **options), **validation)
    wrapper = mpreg.AdversarialRegularization(target, reference, **{**GAME, **rate, **options})
    theirs = fit(compiled(wrapper), **validation)
    assert_same_weights(alone, target)
    assert ours == theirs


def test_it_equals_the_wrapper_in_a_compiled_step_with_a_streamed_reference():
    def stream():
        return tf.data.Dataset.from_tensor_slices(records(seed=9)).shuffle(48, seed=3)

    alone, target = mlp(), mlp()
    ways = {"run_eagerly": False, "steps_per_execution": 2}
    ours = fit(compiled(alone, **ways), game(stream()), epochs=2, batch_size=16)
    rate = {"attack_optimizer": keras.optimizers.SGD(0.1), "inference_network": linear_attacker()}
    wrapper = mpreg.AdversarialRegularization(target, stream(), **{**GAME, **rate})
    theirs = fit(compiled(wrapper, **ways), epochs=2, batch_size=16)
    assert_same_weights(alone, target)
    assert ours == theirs


def test_zero_penalty_is_plain_training():
    plain, played = compiled(), compiled()
    fit(plain, epochs=2)
    history = fit(played, game(penalty=0.0), epochs=2)
    assert set(history) == INFERENCE_LOGS | {"loss"}
    assert_same_weights(plain, played)


def test_a_nan_weight_does_not_destroy_the_weights():
    model = compiled()
    fit(model, game(), sample_weight=np.where(np.arange(48) < 24, np.nan, 1.0))
    assert all(np.isfinite(value).all() for value in weights_of(model))


# Restored, however it ends.


def test_it_withdraws_when_fit_ends():
    model = compiled()
    assert set(fit(model, game())) >= INFERENCE_LOGS
    assert_restored(model)


def test_what_was_set_on_the_model_by_hand_is_set_again():
    model = compiled()
    own = model.compute_loss
    model.compute_loss = lambda *args, **kwargs: own(*args, **kwargs) * 1.0
    mine = model.__dict__["compute_loss"]
    fit(model, game())
    assert model.__dict__["compute_loss"] is mine


class Raise(keras.callbacks.Callback):
    """Raises in one hook."""

    def __init__(self, hook, error=RuntimeError):
        super().__init__()

        def stop(*args, **kwargs):
            raise error("on purpose")

        setattr(self, hook, stop)


class Fuse(layers.Layer):
    """Fails in a training step, once it is lit."""

    def __init__(self):
        super().__init__()
        self.error = None

    def call(self, x, training=None):
        if training and self.error:
            raise self.error("on purpose")
        return x


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_step_restores_at_once(error):
    fuse = Fuse()
    model = compiled(keras.Sequential([keras.Input((FEATURES,)), fuse, layers.Dense(CLASSES, "softmax")]))
    fuse.error = error
    with pytest.raises(error):
        fit(model, game())
    assert not set(PATCHED) & set(model.__dict__)
    fuse.error = None
    assert not INFERENCE_LOGS & set(fit(model))


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        ("on_train_batch_end", RuntimeError),
        ("on_epoch_end", KeyboardInterrupt),
        ("on_train_begin", RuntimeError),
    ],
)
def test_after_an_exception_in_another_callback_the_next_fit_is_plain(hook, error):
    model = compiled()
    with pytest.raises(error):
        fit(model, game(), Raise(hook, error))
    plain = compiled()
    plain.set_weights(model.get_weights())
    assert set(fit(model)) == {"loss"}
    fit(plain)
    assert_same_weights(plain, model)
    assert_restored(model)


def test_after_an_exception_elsewhere_a_single_batch_is_plain_too():
    model = compiled()
    with pytest.raises(RuntimeError):
        fit(model, game(), Raise("on_epoch_end"))
    assert set(model.train_on_batch(*records(), return_dict=True)) == {"loss"}
    assert_restored(model)


def test_after_an_exception_elsewhere_the_callback_can_go_to_another_model():
    first, second, callback = compiled(), compiled(), game()
    with pytest.raises(RuntimeError):
        fit(first, callback, Raise("on_epoch_end"))
    assert set(fit(second, callback)) >= INFERENCE_LOGS
    assert_restored(first)
    assert_restored(second)


def test_early_stopping_restores():
    model = compiled()
    stop = keras.callbacks.EarlyStopping("membership_gain", mode="max", patience=0, baseline=1.0)
    assert len(fit(model, game(), stop, epochs=9)["loss"]) < 9
    assert_restored(model)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_evaluate_and_predict_with_the_callback_change_nothing(method):
    model = compiled()
    x, y = records()
    data = {"x": x, "y": y} if method == "evaluate" else {"x": x}
    plain = getattr(model, method)(**data, verbose=0)
    found = getattr(model, method)(**data, verbose=0, callbacks=[game()])
    np.testing.assert_array_equal(plain, found)
    assert_restored(model)


def test_validation_within_fit_does_not_end_the_game():
    history = fit(compiled(), game(), epochs=3, validation_data=records(20, seed=5))
    assert len(history["inference_loss"]) == len(history["val_loss"]) == 3
    assert not any(name.startswith("val_inference") for name in history)


def test_used_twice_it_goes_on_with_the_network_that_it_has():
    model, callback = compiled(), game(warmup_epochs=1)
    fit(model, callback)
    network = weights_of(callback.game.inference_network)
    plain = compiled()
    plain.set_weights(model.get_weights())
    history = fit(model, callback)
    fit(plain)
    assert set(history) >= INFERENCE_LOGS
    assert np.any(weights_of(callback.game.inference_network)[0] != network[0])
    assert np.abs(weights_of(plain)[0] - weights_of(model)[0]).max() > 1e-5  # the warm-up is over
    assert_restored(model)


def test_two_models_have_two_games():
    first, second, callback = compiled(), compiled(mlp(seed=5)), game(inference_network="compact")
    fit(first, callback)
    network = callback.game.inference_network
    fit(second, callback)
    assert callback.game.inference_network is not network
    assert_restored(first)
    assert_restored(second)


def test_two_games_in_one_fit_are_refused():
    model = compiled()
    with pytest.raises(ValueError, match="one game at a time"):
        fit(model, game(), game())
    assert_restored(model)


def test_the_saved_model_is_plain_also_in_the_middle_of_training(tmp_path):
    model = compiled()
    middle = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit(model, game(), middle, epochs=2)
    model.save(tmp_path / "end.keras")
    x, _ = records()
    for name in ("1", "2", "end"):
        again = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert type(again) is keras.Sequential
        assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
        assert "mpreg" not in str(again.get_config())
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


# Models with steps and losses of their own.


class OwnStep(keras.Model):
    """A training step written out, which calls compute_loss in its own words."""

    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = 2.0 * self.compute_loss(y=y, y_pred=y_pred)
        slopes = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(slopes, self.trainable_variables)
        return {"doubled": loss}


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training) + 0.25


class OwnOldLoss(keras.Model):
    """As written before Keras 3.3: without a training mode."""

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return super().compute_loss(x, y, y_pred, sample_weight) + 0.25


class Forgetful(keras.Model):
    def train_step(self, data):
        return {"loss": tf.constant(0.0)}


def functional(make, seed=0):
    inputs = keras.Input((FEATURES,))
    return make(inputs, mlp(seed=seed)(inputs))


@pytest.mark.parametrize("make", [OwnStep, OwnLoss, OwnOldLoss])
def test_a_step_or_loss_of_the_models_own_is_kept_and_charged(make):
    plain, free, charged = (compiled(functional(make)) for _ in range(3))
    before = fit(plain)
    history = fit(free, game(penalty=0.0))
    fit(charged, game(penalty=20.0))
    own = next(iter(before))
    assert set(history) == {own} | INFERENCE_LOGS
    assert history[own] == before[own]
    assert_same_weights(plain, free)
    assert np.abs(weights_of(plain)[0] - weights_of(charged)[0]).max() > 1e-4
    assert set(charged.train_on_batch(*records(), return_dict=True)) == {own}


def test_a_step_that_never_computes_the_loss_is_refused():
    model = compiled(functional(Forgetful))
    with pytest.raises(ValueError, match="Forgetful.train_step"):
        fit(model, game())
    assert not set(PATCHED) & set(model.__dict__)


def test_bad_options_are_refused_before_the_first_step():
    with pytest.raises(ValueError, match="penalty=-1"):
        fit(compiled(), game(penalty=-1))
    with pytest.raises(ValueError, match=r"cannot score.*\(1, 5\)"):
        fit(compiled(), game((np.zeros((4, 5)), np.zeros(4, int))))
