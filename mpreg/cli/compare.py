"""`mpreg compare`."""

import click

from mpreg.cli.start_up import import_tensorflow
from mpreg.recipes import options
from mpreg.recipes.own_data import own_data


class Compare(click.Command):
    """Its help ends with the names of defences and data sets, which take TensorFlow's import to know."""

    def format_epilog(self, context, formatter):
        import_tensorflow()
        from mpreg.catalogue import DEFENCES, SETTINGS

        for heading, names in (("Defences", DEFENCES), ("Data sets", SETTINGS)):
            with formatter.section(heading):
                formatter.write_text(", ".join(names))


@click.command(cls=Compare)
@options.plugins(import_tensorflow)
@click.option(
    "--defences",
    default="advreg,advreg-l2,selena-copies",
    show_default=True,
    help="Names from the list below, separated by commas, or all.",
)
@click.option("--dataset", default="location30", show_default=True, help="One of those below.")
@own_data(import_tensorflow)
@options.attackers
@options.attacks
@options.epochs
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Folder for the report. [default: mpreg-compare/DATASET]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the split, the weights and the attacks.",
)
def command(**given):
    """Train a classifier with several defences, and compare them.

    \b
    mpreg compare --dataset location30 --defences advreg,l2
    mpreg compare --data patients.csv --label outcome --defences advreg,l2
    """
    import_tensorflow()
    from mpreg.recipes.studies.compare import run

    run(**given)
