"""Seconds per batch of Keras' `fit`, without its first batch."""

import dataclasses

import keras
from rounds import Stopwatch


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to time: rounds, and in each round batches of every way of training."""

    rounds: int
    batches: int


def time_fit(model, records, *, batch_size, callbacks=(), epochs=1):
    """Seconds per batch of the last epoch of a `fit`, by clock."""
    clock = BatchClock()
    model.fit(*records, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=[*callbacks, clock])
    return clock.seconds


class BatchClock(keras.callbacks.Callback):
    """Times the batches of an epoch but the first, before which Keras opens the data and may trace."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self._stopwatch = Stopwatch()
        else:
            self._batches = batch

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = self._stopwatch.seconds(per=self._batches)
