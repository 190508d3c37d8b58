"""Moved: to `mpreg.catalogue`, `mpreg.recipes.training` and `mpreg.recipes.writing`."""

import click

from mpreg.catalogue import Setting as Setting
from mpreg.catalogue import images as images
from mpreg.catalogue import setting_of as setting_of
from mpreg.catalogue import table as table
from mpreg.catalogue.setting import validation_part as validation_part
from mpreg.recipes._moved import warn_of_move
from mpreg.recipes.training import EpochBar as EpochBar
from mpreg.recipes.training import train_defended as train_defended
from mpreg.recipes.training import train_undefended as train_undefended
from mpreg.recipes.training import watch as watch
from mpreg.recipes.writing import console as console
from mpreg.recipes.writing import print_table as print_table
from mpreg.recipes.writing import write_comparison as write_comparison

warn_of_move(__name__, "mpreg.catalogue, mpreg.recipes.training and mpreg.recipes.writing")


def run_command(function, **options):
    """Runs a command; what the user can mend is a message, not a traceback. `mpreg` does so for all of its own."""
    try:
        function(**options)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
