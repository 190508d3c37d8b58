"""Attacks: each has `fit` and `score`; a higher score means a more likely member."""

from typing import TYPE_CHECKING

from mpreg._deprecated import renamed_members
from mpreg._on_use import load_on_use
from mpreg.attacks.access import NEEDS as NEEDS
from mpreg.attacks.access import Access as Access
from mpreg.attacks.base import Attack as Attack
from mpreg.attacks.base import PreparedAttack as PreparedAttack
from mpreg.attacks.bayesian_ratio import BayesianRatioAttack as BayesianRatioAttack
from mpreg.attacks.combined import CombinedAttack as CombinedAttack
from mpreg.attacks.crossfit import AttackScores as AttackScores
from mpreg.attacks.crossfit import cross_fit as cross_fit
from mpreg.attacks.crossfit import cross_fit_each as cross_fit_each
from mpreg.attacks.gap import GapAttack as GapAttack
from mpreg.attacks.imitation import ImitationAttack as ImitationAttack
from mpreg.attacks.instance_threshold import InstanceThresholdAttack as InstanceThresholdAttack
from mpreg.attacks.label_only import LabelOnlyAttack as LabelOnlyAttack
from mpreg.attacks.likelihood_ratio import LikelihoodRatioAttack as LikelihoodRatioAttack
from mpreg.attacks.moved_queries import MovedQueriesAttack as MovedQueriesAttack
from mpreg.attacks.quantile import QuantileAttack as QuantileAttack
from mpreg.attacks.random_threshold import RandomThresholdAttack as RandomThresholdAttack
from mpreg.attacks.relative import RelativeAttack as RelativeAttack
from mpreg.attacks.shadow.attack import ShadowAttack as ShadowAttack
from mpreg.attacks.shadow.models import ShadowModels as ShadowModels
from mpreg.attacks.shadow.training import ShadowFleet as ShadowFleet
from mpreg.attacks.shadow.training import ShadowTraining as ShadowTraining
from mpreg.attacks.shadow.training import draw_membership as draw_membership
from mpreg.attacks.suites import register as register
from mpreg.attacks.suites import suite as suite
from mpreg.attacks.threshold import ThresholdAttack as ThresholdAttack
from mpreg.attacks.trained import TrainedAttack as TrainedAttack
from mpreg.attacks.trajectory import TrajectoryAttack as TrajectoryAttack
from mpreg.attacks.transfer import OneShadowAttack as OneShadowAttack
from mpreg.attacks.transfer import TransferAttack as TransferAttack
from mpreg.attacks.whitebox.attack import WhiteBoxAttack as WhiteBoxAttack
from mpreg.attacks.whitebox.norm_threshold import GradientNormAttack as GradientNormAttack
from mpreg.attacks.whitebox.unsupervised import UnsupervisedWhiteBoxAttack as UnsupervisedWhiteBoxAttack
from mpreg.data import BitFlips as BitFlips
from mpreg.data import GaussianNoise as GaussianNoise
from mpreg.data import Randomize as Randomize
from mpreg.data import ShiftsAndFlips as ShiftsAndFlips
from mpreg.data.noisy import noisy as noisy
from mpreg.signals.synthesis import Synthetic as Synthetic
from mpreg.signals.synthesis import synthesize as synthesize

if TYPE_CHECKING:
    from mpreg.attacks import meminf as meminf
    from mpreg.attacks.shadow.bundles import AttackModelBundle as AttackModelBundle
    from mpreg.attacks.shadow.bundles import ShadowModelBundle as ShadowModelBundle
    from mpreg.attacks.shadow.bundles import prepare_attack_data as prepare_attack_data
    from mpreg.attacks.shadow.network import NetworkClassifier as NetworkClassifier

# What builds on classes of scikit-learn, which take longer to import than all the rest, and what needs data sets.
__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "AttackModelBundle": "mpreg.attacks.shadow.bundles",
        "NetworkClassifier": "mpreg.attacks.shadow.network",
        "ShadowModelBundle": "mpreg.attacks.shadow.bundles",
        "meminf": "mpreg.attacks.meminf",
        "prepare_attack_data": "mpreg.attacks.shadow.bundles",
    },
    otherwise=renamed_members(__name__, Verdicts="AttackScores"),
)
