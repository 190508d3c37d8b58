"""Defences that train several models and deploy one: split distillation, distillation to reference, stacking."""

from mpreg.data import Erased as Erased
from mpreg.ensembles.membership_invariant import MembershipInvariantTraining as MembershipInvariantTraining
from mpreg.ensembles.reference_distillation import DistillToReference as DistillToReference
from mpreg.ensembles.split_distillation import SplitDistillation as SplitDistillation
from mpreg.ensembles.stacking import Stacking as Stacking
