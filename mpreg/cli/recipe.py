"""`mpreg recipe`."""

import importlib

import click
from click.shell_completion import CompletionItem

from mpreg.cli.start_up import import_tensorflow
from mpreg.recipes import RECIPES


class Recipes(click.Group):
    """The recipes as subcommands, as `mpreg.recipes.RECIPES` lists them; each is imported when it is used."""

    def list_commands(self, context):
        return sorted(RECIPES)

    def get_command(self, context, name):
        if name not in RECIPES:
            return None
        import_tensorflow()
        return importlib.import_module(RECIPES[name][0]).command

    def shell_complete(self, context, incomplete):
        # From the list too, for who presses a key does not wait for TensorFlow.
        names = [
            CompletionItem(name, help=RECIPES[name][1])
            for name in self.list_commands(context)
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, context, incomplete)

    def format_commands(self, context, formatter):
        # From the list, because the recipes themselves import TensorFlow.
        with formatter.section("Recipes"):
            formatter.write_dl([(name, RECIPES[name][1]) for name in self.list_commands(context)])


@click.group(cls=Recipes)
def command():
    """Rebuild a paper's table, published figures beside measured ones."""
