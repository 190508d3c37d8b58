"""Progress bars on standard error."""

import contextlib
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_shown = []  # bars on the terminal, at most one: what runs inside what a bar counts shows none


@contextlib.contextmanager
def progress_bar(description, steps, *, hidden=False):
    """A bar on standard error that the yielded function moves on by one step; quiet where there is no terminal.

    A bar within another stays quiet too, for a terminal has room for one.

    Args:
        description: words in front of the bar.
        steps: steps until it is full.
        hidden: whether to stay quiet on a terminal too.
    """
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    quiet = hidden or bool(_shown) or not sys.stderr.isatty()
    with Progress(*columns, console=Console(file=sys.stderr), disable=quiet) as bar:
        task = bar.add_task(description, total=steps, note="")
        if not quiet:
            _shown.append(task)
        try:
            yield lambda note="", steps=1: bar.update(task, advance=steps, note=note)
        finally:
            if not quiet:
                _shown.pop()
