"""Attacks: each has `fit` and `score`; a higher score means a more likely member."""

from mpreg.attacks.base import Attack as Attack
from mpreg.attacks.crossfit import Verdicts as Verdicts
from mpreg.attacks.crossfit import cross_fit as cross_fit
from mpreg.attacks.gap import GapAttack as GapAttack
from mpreg.attacks.suites import suite as suite
from mpreg.attacks.threshold import ThresholdAttack as ThresholdAttack
from mpreg.attacks.trained import TrainedAttack as TrainedAttack
