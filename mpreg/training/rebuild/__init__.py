"""Defences that rebuild a Keras model: the same layers and weights, trained under one more restraint."""

from mpreg.training.rebuild.dropout import with_dropout as with_dropout
from mpreg.training.rebuild.weights import with_l2 as with_l2
