"""Defences that rebuild a Keras model with the same layers and weights, and a regularizer added."""

from mpreg.classifiers.rebuild.dropout import with_dropout as with_dropout
from mpreg.classifiers.rebuild.weights import with_l2 as with_l2
