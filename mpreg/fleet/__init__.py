"""Many replicas of one Keras model, trained on many subsets of one data set in one program."""

from mpreg.fleet.fleet import Fleet as Fleet
from mpreg.fleet.scorer import FleetScorer as FleetScorer
