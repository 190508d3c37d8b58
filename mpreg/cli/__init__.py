"""The `mpreg` command, one file a command. A new one is a file here and its name in `COMMANDS`."""

import importlib

import click

import mpreg
from mpreg.cli.group import CommandGroup

COMMANDS = ("quickstart", "protect", "compare", "audit", "report", "recipe")


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mpreg.__version__, prog_name="mpreg")
def main():
    """Train Keras classifiers that do not betray who they were trained on, and prove it.

    Exit code: 0 on success, 2 on wrong input, 3 on an internal error.
    """


for name in COMMANDS:
    main.add_command(importlib.import_module(f"mpreg.cli.{name}").command, name)
