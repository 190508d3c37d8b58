"""The seed of a part's random draws."""

import keras


class Seed:
    """Holds a seed in a variable, so that replicas of a fleet that share one program have one each; no file holds it.

    Args:
        seed: non-negative integer.
    """

    def __init__(self, seed):
        self.variable = keras.Variable(seed, dtype="int32", trainable=False, autocast=False)

    @property
    def value(self):
        """The seed, int32 ()."""
        return self.variable.value
