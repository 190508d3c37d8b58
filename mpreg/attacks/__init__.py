"""Attacks: each has `fit` and `score`; a higher score means a more likely member."""

from mpreg.attacks.access import NEEDS as NEEDS
from mpreg.attacks.access import Access as Access
from mpreg.attacks.base import Attack as Attack
from mpreg.attacks.base import PreparedAttack as PreparedAttack
from mpreg.attacks.crossfit import Verdicts as Verdicts
from mpreg.attacks.crossfit import cross_fit as cross_fit
from mpreg.attacks.gap import GapAttack as GapAttack
from mpreg.attacks.instance_threshold import InstanceThresholdAttack as InstanceThresholdAttack
from mpreg.attacks.label_only import LabelOnlyAttack as LabelOnlyAttack
from mpreg.attacks.likelihood_ratio import LikelihoodRatioAttack as LikelihoodRatioAttack
from mpreg.attacks.random_threshold import RandomThresholdAttack as RandomThresholdAttack
from mpreg.attacks.relative import RelativeAttack as RelativeAttack
from mpreg.attacks.shadow import ShadowAttack as ShadowAttack
from mpreg.attacks.shadow_models import ShadowFleet as ShadowFleet
from mpreg.attacks.shadow_models import ShadowModels as ShadowModels
from mpreg.attacks.shadow_models import ShadowTraining as ShadowTraining
from mpreg.attacks.shadow_models import draw_membership as draw_membership
from mpreg.attacks.suites import suite as suite
from mpreg.attacks.threshold import ThresholdAttack as ThresholdAttack
from mpreg.attacks.trained import TrainedAttack as TrainedAttack
from mpreg.attacks.transfer import OneShadowAttack as OneShadowAttack
from mpreg.attacks.transfer import TransferAttack as TransferAttack
