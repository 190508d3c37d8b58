"""`mpreg quickstart`."""

import click

from mpreg.cli.start_up import import_tensorflow


@click.command()
@click.option("--dataset", default="digits", show_default=True, help="digits, location30, purchase100-like")
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Folder for the report. [default: mpreg-quickstart/DATASET]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split, the weights and the attacks.",
)
@click.option(
    "--strength", type=float, help="Strength of the defence: higher means more privacy and less accuracy."
)
@click.option("--penalty", type=float, help="Fixed weight of the membership gain instead.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs of both trainings.")
def command(**options):
    """Train a classifier without and with defence, attack both, and compare."""
    import_tensorflow()
    from mpreg.recipes.studies.quickstart import run

    run(**options)
