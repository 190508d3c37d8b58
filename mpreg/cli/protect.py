"""`mpreg protect`."""

import sys

import click

from mpreg.cli.start_up import import_tensorflow
from mpreg.recipes import own_data

NOT_MET = 1


class Times(click.ParamType):
    """Parses a multiple: `5x`, or `5`."""

    name = "times"

    def convert(self, value, param, ctx):
        try:
            return float(str(value).lower().removesuffix("x"))
        except ValueError:
            self.fail(f"{value!r} is no multiple of one plain training, such as 20x.", param, ctx)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False), required=False)
@click.option("--data", type=click.Path(exists=True), required=True, help="Data: .csv, .parquet, .npz, ...")
@own_data.label
@own_data.drop
@own_data.image_size
@click.option(
    "--max-attack", type=float, default=0.60, show_default=True, help="Accuracy that no attack may exceed."
)
@click.option(
    "--max-loss",
    type=float,
    default=3.0,
    show_default=True,
    help="Test accuracy that the defence may cost, in percentage points.",
)
@click.option(
    "--budget",
    type=Times(),
    default="20x",
    show_default=True,
    help="Limit on the training time, in multiples of one plain training.",
)
@own_data.members
@own_data.reference
@click.option(
    "--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Epochs of each training."
)
@own_data.batch_size
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split, the weights and the attacks.",
)
@click.option("--out", type=click.Path(file_okay=False), default="mpreg-protect", show_default=True)
def command(**given):
    """Find the cheapest defence that keeps an attack below a limit, and train MODEL, or a small network, with it.

    \b
    mpreg protect --data patients.csv --label outcome --max-attack 0.60 --out out
    mpreg protect model.keras --data data.npz --max-attack 0.55 --max-loss 2 --budget 40x --out out

    Writes classifier.keras, a report of everything that was tried, a script that trains it again and a model card. An
    interrupted run continues where it stopped. Exit code: 0, or 1 if the classifier does not meet the limits on records
    that nothing was chosen by.
    """
    import_tensorflow()
    from mpreg.protection.files import protect_files

    found = protect_files(**given)
    click.echo(f"{found.comparison}\n\n{found.why}\n")
    click.echo("\n".join(str(path) for path in sorted(found.out.iterdir()) if path.is_file()))
    if not found.met:
        sys.exit(NOT_MET)
