"""The `mpreg` command."""

import importlib
import os
import pkgutil

import click

import mpreg


class RecipeGroup(click.Group):
    """The recipes as subcommands: each module of `mpreg.recipes` that has a `command`, imported when it is used."""

    def list_commands(self, context):
        import mpreg.recipes

        return sorted(
            module.name for module in pkgutil.iter_modules(mpreg.recipes.__path__) if _is_paper(module.name)
        )

    def get_command(self, context, name):
        if name not in self.list_commands(context):
            return None
        return importlib.import_module(f"mpreg.recipes.{name}").command

    def format_commands(self, context, formatter):
        # A list of names, because the help of each would import TensorFlow.
        with formatter.section("Recipes"):
            formatter.write_text(", ".join(self.list_commands(context)))


def _is_paper(name):
    """Recipes are named after a paper: its first author and year."""
    return name[-4:].isdigit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mpreg.__version__, prog_name="mpreg")
def main():
    """Train Keras classifiers that do not betray who they were trained on, and prove it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # a command's output is its own, not TensorFlow's


@main.command()
@click.option("--dataset", default="digits", show_default=True, help="digits, location30, purchase100-like")
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Folder for the report. [default: mpreg-quickstart/DATASET]",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the split, the weights and the attacks.")
@click.option("--penalty", type=float, help="Weight of the membership gain. More privacy, less accuracy.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of both trainings.")
def quickstart(**options):
    """Train a classifier without and with defence, attack both, and compare."""
    from mpreg.recipes.experiment import run_command
    from mpreg.recipes.quickstart import run

    run_command(run, **options)


@main.group(cls=RecipeGroup)
def recipe():
    """Rebuild a paper's table, published figures beside measured ones."""


if __name__ == "__main__":
    main()
