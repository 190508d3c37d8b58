"""Soft labels: distributions that give the other classes some probability."""

import math

import keras
from scipy import optimize

from mpreg._validate import check_number
from mpreg.training.core.part import LABELS, RELABEL, DefencePart


class SoftLabels(DefencePart):
    """Trains the target towards the true class at a fixed probability, the rest shared evenly by the other classes."""

    stage = RELABEL
    decides = frozenset({LABELS})

    def confidence(self, classes):
        """Returns the probability of the true class for a number of classes."""
        raise NotImplementedError

    def relabel(self, batch):
        confidence = self.confidence(batch.classes)
        if confidence < 1:
            rest = (1 - confidence) / (batch.classes - 1)
            batch.labels = rest + (confidence - rest) * batch.distributions


@keras.saving.register_keras_serializable("mpreg")
class SmoothedLabels(SoftLabels):
    """Spreads a share of each label evenly over all classes.

    Args: as `LabelSmoothing`.
    """

    def __init__(self, *, smoothing, **kwargs):
        super().__init__(**{"name": "smoothed_labels", **kwargs})
        check_number("smoothing", smoothing, least=0, below=1)
        self.smoothing = float(smoothing)

    def confidence(self, classes):
        return 1 - self.smoothing + self.smoothing / classes

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


@keras.saving.register_keras_serializable("mpreg")
class HighEntropyLabels(SoftLabels):
    """Gives labels an entropy that is a share of the maximum, log(classes).

    Args: as `HAMP`.
    """

    def __init__(self, *, gamma, **kwargs):
        super().__init__(**{"name": "high_entropy_labels", **kwargs})
        check_number("gamma", gamma, above=0, below=1)
        self.gamma = float(gamma)

    def confidence(self, classes):
        return confidence_of_entropy(self.gamma * math.log(classes), classes)

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


def confidence_of_entropy(entropy, classes):
    """Returns the probability of one class, the others equal, at which a distribution has an entropy in nats."""

    def excess(confidence):
        rest = (1 - confidence) / (classes - 1)
        return -confidence * math.log(confidence) - (1 - confidence) * math.log(rest) - entropy

    return optimize.brentq(excess, 1 / classes, 1 - 1e-12)
