"""The callback that controls the min-max game between compiled executions."""

import keras

from mpreg.training.core.average import MIN_EPOCHS
from mpreg.training.game import watchdog
from mpreg.training.game.collapse import CollapseWatch


class GameControl(keras.callbacks.Callback):
    """Counts warm-up epochs, refills a streamed reference, averages weights and runs the collapse checks.

    The average over the epochs of a fit is put into the target when the fit ends. It begins anew with epoch 0 of a fit,
    so that a run that is resumed goes on with what its checkpoint holds.

    Args:
        game: the `MembershipGame` in play.
    """

    def __init__(self, game):
        super().__init__()
        self.game = game
        self.restarted = False  # whether the target's optimizer was, as fleets ask
        self._watch = None

    def on_train_begin(self, logs=None):
        self._watch = None
        with (
            self.model.distribute_strategy.scope()
        ):  # unless a target that was not built kept it from being made
            self.game.attach(self._target)

    def on_epoch_begin(self, epoch, logs=None):
        game = self.game
        warming = float(game.warmup_left.numpy()) > 0
        game.charging.assign(0.0 if warming else 1.0)
        game.tally.reset()
        if epoch == 0 and game.average is not None:
            game.average.forget()
        if self._watch is None:  # later than on_train_begin, where a backup is read
            self._watch = CollapseWatch(game, self._target)

    def on_train_batch_begin(self, batch, logs=None):
        self.game.refill(self.model.steps_per_execution)

    def on_epoch_end(self, epoch, logs=None):
        game = self.game
        undone = self._watch.look(getattr(self.model, "optimizer", None))
        self.restarted = self.restarted or undone
        charged = float(game.charging.numpy()) * float(game.strength.numpy()) > 0
        if game.average is not None and charged and not undone:
            game.average.update()
        game.warmup_left.assign(max(float(game.warmup_left.numpy()) - 1.0, 0.0))
        game.charging.assign(1.0)  # a step outside of fit knows no epochs, so it has no warm-up
        if watchdog.collapsed(game.evidence):
            if not game.collapse_reported:
                watchdog.warn_of_collapse(game.evidence)
                game.collapse_reported = True
            watchdog.rewarm(game)
            game.evidence.reset()
        elif float(game.evidence.steps.numpy()) >= watchdog.MIN_STEPS:
            game.evidence.reset()

    def on_train_end(self, logs=None):
        average = self.game.average
        if average is not None and average.epochs >= MIN_EPOCHS:
            average.put()

    @property
    def _target(self):
        return getattr(self.model, "target_model", self.model)
