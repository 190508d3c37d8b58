"""Moved to `mpreg.catalogue`."""

from mpreg.catalogue import ANY as ANY
from mpreg.catalogue import DEFENCES as DEFENCES
from mpreg.catalogue import Defence as Defence
from mpreg.catalogue import Task as Task
from mpreg.catalogue import chosen as chosen
from mpreg.recipes._moved import warn_of_move

warn_of_move(__name__, "mpreg.catalogue")
