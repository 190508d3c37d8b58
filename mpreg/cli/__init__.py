"""The `mpreg` command."""

from mpreg.cli.main import main as main
