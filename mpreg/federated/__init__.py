"""Federated learning on one machine, and what its server and its participants learn of each other's records."""

from mpreg.federated.active import GradientAscent as GradientAscent
from mpreg.federated.active import Isolation as Isolation
from mpreg.federated.active import ReboundAttack as ReboundAttack
from mpreg.federated.alignment import AlignmentAttack as AlignmentAttack
from mpreg.federated.federation import Federation as Federation
from mpreg.federated.federation import Round as Round
from mpreg.federated.federation import Server as Server
from mpreg.federated.flower import run_in_flower as run_in_flower
from mpreg.federated.watching import Watch as Watch
