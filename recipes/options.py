"""Options that the commands of recipes share; light to import."""

import traceback

import click


class Named(click.ParamType):
    """One of the names in a dict, as they are when the option is read: plugins have added theirs by then.

    Args:
        entries: the dict.
    """

    name = "name"

    def __init__(self, entries):
        self._entries = entries

    def get_metavar(self, *_, **__):
        return f"[{'|'.join(self._entries)}]"

    def convert(self, value, param, ctx):
        if value not in self._entries:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, self._entries))}.", param, ctx)
        return value


def dataset(settings, default="location30", **options):
    """`--dataset`, of a dict of settings by name."""
    options = {"type": Named(settings), "default": default, "show_default": True, **options}
    return click.option("--dataset", **options)


def datasets(settings, default, **options):
    """`--dataset`, which may be given several times."""
    return click.option(
        "--dataset",
        "datasets",
        type=Named(settings),
        multiple=True,
        default=default,
        show_default=True,
        **options,
    )


epochs = click.option(
    "--epochs", type=click.IntRange(min=1), help="Epochs of plain training, by which those of defences go."
)
out = click.option("--out", type=click.Path(file_okay=False), help="Folder for the results.")
seed = click.option(
    "--seed", default=0, show_default=True, help="Seed of the splits, the weights and the attacks."
)
attacks = click.option(
    "--attack",
    "attacks",
    multiple=True,
    help="Key of an attack to add to the suite, such as likelihood_ratio; may be given several times.",
)


def attackers(command):
    """`--attacks`, `--shadows` and `--canaries`: by whom each defence is judged."""
    for option in (
        click.option(
            "--canaries",
            metavar="KIND:COUNT|none",
            help="Records that stand out, planted on either side for a second training: mislabelled, "
            "out-of-distribution or twins. [default: mislabelled, a tenth of the members, at most 500]",
        ),
        click.option(
            "--shadows",
            type=click.IntRange(min=2),
            default=16,
            show_default=True,
            help="Models that the attacker trains with each defence.",
        ),
        click.option(
            "--attacks",
            "suite",
            type=click.Choice(["adaptive", "standard"]),
            default="adaptive",
            show_default=True,
            help="An attacker who trains shadow models with the defence, and canaries; or, quick, neither.",
        ),
    ):
        command = option(command)
    return command


def _keys_of_access(context, parameter, access):
    return ("gradient_norm", "white_box") if access == "whitebox" else ()


access = click.option(
    "--access",
    type=click.Choice(["answers", "whitebox"]),
    default="answers",
    show_default=True,
    callback=_keys_of_access,
    help="What all attackers have: the model's predictions, or also its weights and gradients.",
)


def plugins(before=lambda: None):
    """`--plugin`, which may be given several times; `before` is called ahead of the first import."""

    def load(context, parameter, names):
        if names:
            before()
            from mpreg.catalogue import load_plugin

            for name in names:
                try:
                    load_plugin(name)
                except (ValueError, TypeError, OSError):  # what the command tells of itself
                    raise
                except Exception as error:
                    at = traceback.extract_tb(error.__traceback__)[-1]
                    what = f"{type(error).__name__}: {error}"
                    raise click.UsageError(
                        f"the plugin {name} failed in line {at.lineno} of {at.filename}: {what}"
                    ) from error

    return click.option(
        "--plugin",
        multiple=True,
        metavar="MODULE",
        is_eager=True,  # other options may name what it registers
        expose_value=False,
        callback=load,
        help="Module, or path of a .py file, that registers defences, data sets, attacks or networks; may be given "
        "several times.",
    )
