"""Shadow models: their training, their predictions, and the attack of Shokri et al. that learns from them."""

from mpreg.attacks.shadow.attack import ShadowAttack as ShadowAttack
from mpreg.attacks.shadow.models import ShadowModels as ShadowModels
from mpreg.attacks.shadow.training import ShadowFleet as ShadowFleet
from mpreg.attacks.shadow.training import ShadowTraining as ShadowTraining
from mpreg.attacks.shadow.training import draw_membership as draw_membership
from mpreg.data.noisy import noisy as noisy
from mpreg.signals.synthesis import Synthetic as Synthetic
from mpreg.signals.synthesis import synthesize as synthesize
