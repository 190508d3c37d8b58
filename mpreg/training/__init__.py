"""Training defences: Keras models that wrap a classifier and change how it is trained."""

from mpreg.training.confidence_penalty import ConfidencePenalty as ConfidencePenalty
from mpreg.training.convex_concave import ConvexConcaveLoss as ConvexConcaveLoss
from mpreg.training.core.defence import TrainingDefence as TrainingDefence
from mpreg.training.distillation import Distillation as Distillation
from mpreg.training.distillation import pack_labels as pack_labels
from mpreg.training.game.adversarial import AdversarialRegularization as AdversarialRegularization
from mpreg.training.game.options import GameOptions as GameOptions
from mpreg.training.hamp import HAMP as HAMP
from mpreg.training.mmd.mixup_mmd import MixUpMMD as MixUpMMD
from mpreg.training.presets import Preset as Preset
from mpreg.training.presets import preset as preset
from mpreg.training.presets import presets as presets
from mpreg.training.relaxloss import RelaxLoss as RelaxLoss
from mpreg.training.smoothing import LabelSmoothing as LabelSmoothing
