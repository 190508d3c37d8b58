"""Training shared by recipes: a classifier without and with the min-max game, and callbacks to monitor it."""

import keras

import mpreg
from mpreg.callbacks import PrivacyMeter


def train_undefended(setting, data, split, *, seed, callbacks=()):
    """Plain training; returns the classifier."""
    keras.utils.set_random_seed(seed)
    model = setting.build_model(data, seed)
    _fit(model, setting, split, callbacks)
    return model


def train_defended(setting, data, split, *, seed, callbacks=(), **game):
    """Adversarial regularization, with options of `AdversarialRegularization`; returns the classifier."""
    keras.utils.set_random_seed(seed)
    model = mpreg.AdversarialRegularization(
        setting.build_model(data, seed), split.reference, seed=seed, **game
    )
    _fit(model, setting, split, callbacks)
    return model.target_model


def _fit(model, setting, split, callbacks):
    setting.compile(model).fit(
        *split.members,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        verbose=0,
        callbacks=list(callbacks),
    )


class EpochBar(keras.callbacks.Callback):
    """Moves a progress bar on by one each epoch and shows the latest figures beside it."""

    def __init__(self, advance):
        super().__init__()
        self._advance = advance

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        shown = ("train_accuracy", "test_accuracy", "attack_accuracy")
        self._advance(" ".join(f"{name.split('_')[0]} {logs[name]:.3f}" for name in shown if name in logs))


def watch(split, log_dir, advance):
    """The callbacks of a run that is looked at: the meter, TensorBoard behind it, and the bar."""
    return [
        PrivacyMeter(split, log_dir=log_dir),
        keras.callbacks.TensorBoard(log_dir, write_graph=False),
        EpochBar(advance),
    ]
