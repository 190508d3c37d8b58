"""What the min-max game needs from Python between compiled executions."""

import keras

from mpreg.training.game import watchdog


class GameControl(keras.callbacks.Callback):
    """Counts warm-up epochs, refills a streamed reference, and lets the watchdog look at each epoch.

    Args:
        game: the `MembershipGame` in play.
    """

    def __init__(self, game):
        super().__init__()
        self.game = game

    def on_epoch_begin(self, epoch, logs=None):
        warming = float(self.game.warmup_left.numpy()) > 0
        self.game.charging.assign(0.0 if warming else 1.0)

    def on_train_batch_begin(self, batch, logs=None):
        self.game.refill(self.model.steps_per_execution)

    def on_epoch_end(self, epoch, logs=None):
        game = self.game
        game.warmup_left.assign(max(float(game.warmup_left.numpy()) - 1.0, 0.0))
        game.charging.assign(1.0)  # a step outside of fit knows no epochs, so it has no warm-up
        if watchdog.collapsed(game.evidence):
            if not game.collapse_reported:
                watchdog.warn_of_collapse(game.evidence)
                game.collapse_reported = True
            watchdog.rewarm(game)
            game.evidence.reset()
        elif float(game.evidence.steps.numpy()) >= watchdog.LEAST_STEPS:
            game.evidence.reset()
