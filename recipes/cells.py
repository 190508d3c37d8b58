"""Moved: `SETTINGS` to `mpreg.catalogue`, `Cell` to `mpreg.recipes.studies.cells`."""

from mpreg.catalogue import DEFENCES as DEFENCES
from mpreg.catalogue import SETTINGS as SETTINGS
from mpreg.recipes._moved import warn_of_move
from mpreg.recipes.studies.cells import Cell as Cell

warn_of_move(__name__, "mpreg.catalogue and mpreg.recipes.studies.cells")
