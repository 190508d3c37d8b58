"""Training-time defences: `keras.Model`s that wrap a target."""

from mpreg.training.adversarial import AdversarialRegularization as AdversarialRegularization
