"""Output shared by recipes: tables in the terminal and reports in a folder."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mpreg._files import write_all
from mpreg._text import visible_text
from mpreg.reports.figures import plot_histograms, plot_roc

console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 140)


def write_comparison(comparison, out, *, title, notes=()):
    """Writes `report.html`, `report.json`, `report.md`, `roc.png` and `histograms.png` into the folder `out`."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    comparison.to_json(out / "report.json")
    comparison.to_html(out / "report.html", title=title)
    parts = [f"# {title}", *notes, comparison.to_markdown()]
    parts += [f"## {name}\n\n{report.to_markdown()}" for name, report in comparison.reports.items()]
    parts += ["![ROC curves](roc.png)", "![Score histograms](histograms.png)"]
    write_all(out, {"report.md": "\n\n".join(parts) + "\n"})
    plot_roc(comparison, out / "roc.png")
    plot_histograms(comparison, out / "histograms.png")


def _as_it_is(text):
    """Text that neither rich nor the terminal takes for anything else: intervals are not markup."""
    return Text(visible_text(text))


def print_table(title, header, rows):
    """Prints a table to standard output."""
    table = Table(title=_as_it_is(title), title_justify="left")
    for name in header:
        table.add_column(_as_it_is(name))
    for row in rows:
        table.add_row(*map(_as_it_is, row))
    console.print(table)
