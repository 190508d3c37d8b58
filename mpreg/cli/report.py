"""`mpreg report`."""

import click

_FILE = click.Path(exists=True, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@click.option(
    "--format",
    "formats",
    type=click.Choice(("html", "md", "dpia")),
    multiple=True,
    default=("html",),
    show_default=True,
    help="A page, Markdown, or the impact assessment as both; may be given several times.",
)
@click.option("--out", type=click.Path(file_okay=False), help="Folder to write. [default: that of FILE]")
@click.option("--title", help="Heading. [default: that of FILE]")
@click.option("--class-names", type=_FILE, help="Text file with a class name on each line, class 0 first.")
@click.option("--chosen", help="The model of a comparison that is to be used, for the assessment.")
@click.option("--epsilon", type=float, help="Epsilon that the training guarantees, for the assessment.")
@click.option("--delta", type=float, help="Delta of that guarantee; 0 only where it states 0.")
def command(file, formats, out, title, class_names, chosen, epsilon, delta):
    """Render a kept report.json again; nothing is attacked anew.

    FILE is what `mpreg audit` writes, or `to_json` of a report or a comparison.
    """
    from mpreg.reports.kept import render_kept

    if "dpia" not in formats and any(given is not None for given in (chosen, epsilon, delta)):
        raise click.UsageError("--chosen, --epsilon and --delta are for the assessment: add --format dpia")
    if class_names is not None:
        from mpreg.audit.files import read_class_names

        class_names = read_class_names(class_names)
    paths = render_kept(
        file,
        out,
        formats=formats,
        title=title,
        class_names=class_names,
        **({"chosen": chosen, "epsilon": epsilon, "delta": delta} if "dpia" in formats else {}),
    )
    click.echo("\n".join(map(str, paths)))
