"""Adversarial regularization inside an unmodified model, for the duration of one `fit`."""

import inspect
from typing import Any

import tensorflow as tf

from mpreg.classifiers.like_target import changed_in_fit
from mpreg.training.core.batch import Batch, finite_weights
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.game.adversarial import open_game
from mpreg.training.game.control import GameControl
from mpreg.training.game.options import GameOptions

PATCHED = ("train_step", "compute_loss", "fit", "train_on_batch")


class AdversarialTraining(GameControl):
    """Adds the min-max game of `AdversarialRegularization` to a compiled model's training step during one `fit`.

    The model's `train_step` runs as it is; the penalty joins its loss. When `fit` ends the model is as before,
    with better weights. An exception in a training step restores it at once; after one elsewhere (another
    callback, the validation data) it is restored by its next `fit`. Step for step equal to
    `AdversarialRegularization` with the same options. Used in a second `fit` of the same model, it goes on
    with the inference network that it has.

    Adds `inference_accuracy`, `inference_loss` and `membership_gain` to `logs`. The inference network is not
    part of the model and not in its checkpoints: to resume a run use the wrapper.

    Args:
        reference: as for `AdversarialRegularization`.
        strength, penalty: as for `AdversarialRegularization`: a relative weight, 1.7 by default, or a fixed one.
        **options: the other options of `AdversarialRegularization`.

    Raises:
        ValueError: as for `AdversarialRegularization`; at the first step, a model whose own `train_step` never
            calls `compute_loss`, for the penalty has no place there.

    Example:
    ```python
    model.fit(x, y, epochs=30, callbacks=[AdversarialTraining(reference), PrivacyMeter(split)])
    ```
    """

    def __init__(
        self,
        reference: Any,
        *,
        strength: float | None = GameOptions.strength,
        penalty: float | None = GameOptions.penalty,
        reference_gain: bool = GameOptions.reference_gain,
        averaging: Any = GameOptions.averaging,
        inference_network: Any = GameOptions.inference_network,
        attack_steps: int = GameOptions.attack_steps,
        attack_optimizer: Any = GameOptions.attack_optimizer,
        warmup_epochs: int = GameOptions.warmup_epochs,
        reference_batch_size: int = GameOptions.reference_batch_size,
        from_logits: bool | None = None,
        seed: int = GameOptions.seed,
    ):
        super().__init__(game=None)
        self._reference = reference
        self._options = GameOptions(
            strength=strength,
            penalty=penalty,
            reference_gain=reference_gain,
            averaging=averaging,
            inference_network=inference_network,
            attack_steps=attack_steps,
            attack_optimizer=attack_optimizer,
            warmup_epochs=warmup_epochs,
            reference_batch_size=reference_batch_size,
            seed=seed,
        )
        self._from_logits = from_logits
        self._player = None
        self._installed = False
        self._fitting = False

    def set_model(self, model):
        self._restore()  # whichever model an exception has left it in
        _restore_player(model)
        super().set_model(model)
        if isinstance(model, TrainingDefence):
            raise ValueError(
                "a training defence takes the game as one of its parts: wrap the model, "
                f"AdversarialRegularization(model, reference). Received: {type(model).__name__}"
            )
        if self._player is not model:
            with model.distribute_strategy.scope():
                self.game = open_game(model, self._reference, self._options)
            self._player = model
        self._install()

    def on_train_begin(self, logs=None):
        if not self._installed:
            _restore_player(self.model)
            raise ValueError("a model plays one game at a time: give fit a single AdversarialTraining")
        self._fitting = True
        changed_in_fit(self.model, type(self).__name__)
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        for tracker in self.game.trackers:
            tracker.reset_state()

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self._restore()

    def on_test_begin(self, logs=None):
        self._restore_outside_fit()

    def on_predict_begin(self, logs=None):
        self._restore_outside_fit()

    def _restore_outside_fit(self):
        # A stand-alone evaluate or predict sets the model too, but never ends a training.
        if not self._fitting:
            self._restore()

    def _install(self):
        model = self.model
        self._own = {name: model.__dict__[name] for name in PATCHED if name in model.__dict__}
        self._train_step, self._compute_loss = model.train_step, model.compute_loss
        self._knows_mode = "training" in inspect.signature(model.compute_loss).parameters
        self._playing = False
        self._installed = True
        model.train_step = self._step
        model.compute_loss = self._penalized_loss
        model.fit = self._heal_then("fit")
        model.train_on_batch = self._heal_then("train_on_batch")
        model.make_train_function(force=True)
        model.train_function = self._guard(model.train_function)

    def _restore(self):
        if not self._installed:
            return
        self._installed = self._fitting = False
        for name in PATCHED:
            delattr(self.model, name)
        for name, value in self._own.items():
            setattr(self.model, name, value)
        self.model.train_function = None

    def _step(self, data):
        self._playing, self._played = True, False
        try:
            logs = self._train_step(data)
        finally:
            self._playing = False
        if not self._played:
            raise ValueError(
                "the model's own train_step never calls compute_loss, so the penalty has no place in it. "
                f"Call self.compute_loss there. Received: {type(self.model).__name__}.train_step"
            )
        return {**logs, **{tracker.name: tracker.result() for tracker in self.game.trackers}}

    def _penalized_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        sample_weight = finite_weights(sample_weight)
        mode = {"training": training} if self._knows_mode else {}
        loss = self._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **mode)
        if self._playing:
            self._played = True
            batch = Batch(
                self.model, x, y, sample_weight, loss=self.model.loss, from_logits=self._from_logits
            )
            batch.answers = y_pred
            loss = self.game.penalize(batch, loss)
        return loss

    def _guard(self, train_function):
        def guarded(iterator):
            try:
                return train_function(iterator)
            except (StopIteration, tf.errors.OutOfRangeError):  # the end of the data, not a failure
                raise
            except BaseException:
                self._restore()
                raise

        return guarded

    def _heal_then(self, name):
        def healed(*args, **kwargs):
            self._restore()
            return getattr(self.model, name)(*args, **kwargs)

        return healed


def playing(model):
    """Returns the `AdversarialTraining` that is active in a model, or None."""
    player = getattr(model.__dict__.get("train_step"), "__self__", None)
    return player if isinstance(player, AdversarialTraining) else None


def _restore_player(model):
    """Restores a model that another `AdversarialTraining` has in play."""
    player = playing(model)
    if player is not None:
        player._restore()
