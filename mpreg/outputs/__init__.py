"""Defences that act on what a served model reveals: Keras layers on its class probabilities."""

from mpreg.outputs.base import OutputDefence as OutputDefence
from mpreg.outputs.behind import classifier_behind as classifier_behind
from mpreg.outputs.defend import defend as defend
from mpreg.outputs.defend import is_coarse as is_coarse
from mpreg.outputs.label_only import LabelOnly as LabelOnly
from mpreg.outputs.memguard import MemGuard as MemGuard
from mpreg.outputs.rank_only import RankOnly as RankOnly
from mpreg.outputs.rounding import Rounding as Rounding
from mpreg.outputs.temperature import Temperature as Temperature
from mpreg.outputs.topk import TopK as TopK
