"""What the min-max game needs from Python between compiled executions."""

import keras

from mpreg.training import watchdog


class GameControl(keras.callbacks.Callback):
    """Switches warm-up, refills a streamed reference, and lets the watchdog look at each epoch.

    Args:
        game: the `MembershipGame` in play.
    """

    def __init__(self, game):
        super().__init__()
        self.game = game
        self._warned = False
        self._rewarming = False

    def on_train_begin(self, logs=None):
        self._refill()

    def on_epoch_begin(self, epoch, logs=None):
        warming = self._rewarming or epoch < self.game.warmup_epochs
        self.game.charging.assign(0.0 if warming else 1.0)
        self._rewarming = False

    def on_train_batch_begin(self, batch, logs=None):
        if batch:  # on_train_begin has filled the first
            self._refill()

    def on_epoch_end(self, epoch, logs=None):
        evidence = self.game.evidence
        if watchdog.collapsed(evidence):
            if not self._warned:
                watchdog.warn_of_collapse(evidence)
                self._warned = True
            watchdog.rewarm(self.game)
            self._rewarming = True
            evidence.reset()
        elif float(evidence.steps.numpy()) >= watchdog.LEAST_STEPS:
            evidence.reset()

    def _refill(self):
        self.game.reference.refill(self.model.steps_per_execution)
