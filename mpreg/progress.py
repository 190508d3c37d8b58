"""Progress bars: on standard error of a terminal, and in the output of a notebook."""

import contextlib
import html
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_shown: list[object] = []  # bars on the terminal, at most one: what runs inside what a bar counts shows none


@contextlib.contextmanager
def progress_bar(description, steps, *, hidden=False):
    """Yields a function that advances a progress bar by one step; silent without terminal and notebook.

    A bar within another stays quiet too, for a terminal has room for one.

    Args:
        description: words in front of the bar.
        steps: steps until it is full.
        hidden: whether to stay quiet on a terminal too.
    """
    console = Console(file=sys.stderr)
    in_notebook = console.is_jupyter
    if hidden or _shown or not (in_notebook or sys.stderr.isatty()):
        yield lambda note="", steps=1: None
        return
    bar = _NotebookBar(description, steps) if in_notebook else _TerminalBar(description, steps, console)
    _shown.append(bar)
    try:
        with bar:
            yield bar.move
    finally:
        _shown.pop()


class _TerminalBar:
    """A bar of rich's."""

    def __init__(self, description, steps, console):
        columns = (
            TextColumn("{task.description:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task(description, total=steps, note="")

    def __enter__(self):
        self._bar.start()

    def __exit__(self, *error):
        self._bar.stop()

    def move(self, note="", steps=1):
        self._bar.update(self._task, advance=steps, note=note)


class _NotebookBar:
    """A bar of HTML that is drawn again in its place; rich's own needs ipywidgets in a notebook."""

    def __init__(self, description, steps):
        self._description, self._steps, self._done, self._note = description, steps, 0, ""
        self._began = time.perf_counter()

    def __enter__(self):
        from IPython.display import display  # there, because a notebook is

        self._handle = display(self, display_id=True)

    def __exit__(self, *error):
        self._handle.update(self)

    def move(self, note="", steps=1):
        self._done, self._note = self._done + steps, note
        self._handle.update(self)

    def __repr__(self):
        return f"{self._description} {self._done}/{self._steps} {self._left()} {self._note}".rstrip()

    def _repr_html_(self):
        words, note = html.escape(self._description), html.escape(self._note)
        return (
            f'<label>{words} <progress max="{self._steps}" value="{self._done}"></progress></label> '
            f"{self._done}/{self._steps} {self._left()} {note}"
        )

    def _left(self):
        """Time left, as minutes and seconds, once a step tells how long one takes."""
        if not 0 < self._done < self._steps:
            return ""
        each = (time.perf_counter() - self._began) / self._done
        minutes, seconds = divmod(round(each * (self._steps - self._done)), 60)
        return f"{minutes}:{seconds:02} left"
