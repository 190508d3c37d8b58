"""Options of commands that take data and models of one's own; light to import."""

import functools

import click

label = click.option(
    "--label", help="Column of the labels in a table, or the file of labels beside a .npy file."
)
drop = click.option(
    "--drop", multiple=True, help="Column of a table to leave out; may be given several times."
)
image_size = click.option(
    "--image-size", type=click.IntRange(min=1), help="Width and height in pixels to which images are resized."
)
members = click.option("--members", type=click.IntRange(min=1), help="Records to train on. [default: 40 %]")
reference = click.option(
    "--reference", type=click.IntRange(min=2), help="Records for defences. [default: 30 %]"
)
batch_size = click.option(
    "--batch-size", type=click.IntRange(min=1), help="Records in each step. [default: 64]"
)
_OPTIONS = (
    click.option(
        "--data", type=click.Path(exists=True), help="Data of your own in place of --dataset: .csv, .npz, ..."
    ),
    label,
    drop,
    image_size,
    click.option(
        "--model",
        type=click.Path(exists=True, dir_okay=False),
        help=".keras file whose layers are trained on --data. [default: a small network]",
    ),
    members,
    reference,
    batch_size,
)


def own_data(before, dataset="dataset"):
    """Options of data of one's own, which is registered and takes the place of the option `dataset`.

    Args:
        before: called ahead of the first import.
        dataset: name of the parameter that takes the data set's name; one that ends in "s" takes a tuple of names.
    """

    def decorate(command):
        @functools.wraps(command)
        def with_own(*, data, **given):
            own = {name: given.pop(name) for name in ("label", "drop", "image_size", *_OF_THE_SETTING)}
            if data is not None:
                before()
                name = register(data, epochs=given.get("epochs"), **own)
                given[dataset] = (name,) if dataset.endswith("s") else name
            elif any(own.values()):
                said = next(name for name, value in own.items() if value)
                raise click.UsageError(f"--{said.replace('_', '-')} goes with --data")
            return command(**given)

        for option in reversed(_OPTIONS):
            with_own = option(with_own)
        return with_own

    return decorate


_OF_THE_SETTING = ("model", "members", "reference", "batch_size")


def register(path, *, label=None, drop=(), image_size=None, **options):
    """The name under which commands know a data file from now on, after it was read and checked.

    Args:
        path, label, drop, image_size: as of `mpreg.datasets.OwnFile`.
        **options: of `mpreg.catalogue.OwnData`; None among them are its defaults.
    """
    from mpreg.catalogue import OwnData, load_plugin
    from mpreg.datasets import OwnFile

    file = OwnFile(path=path, label=label, drop=drop, image_size=image_size)
    given = {name: value for name, value in options.items() if value is not None}
    return load_plugin(OwnData(file=file, **given)).dataset
