"""Documents of sections, tables and text, rendered as HTML or Markdown."""

from dataclasses import dataclass

from mpreg._files import sealed
from mpreg.reports.html.rendering import rendered


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind = "text"


@dataclass(frozen=True)
class Points:
    """A list."""

    items: tuple
    kind = "points"


@dataclass(frozen=True)
class Table:
    """A table of text."""

    header: tuple
    rows: tuple
    kind = "table"


@dataclass(frozen=True)
class Ask:
    """A place that only the organisation can fill in."""

    text: str
    kind = "ask"


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Attributes:
        title: the heading.
        blocks: `Text`, `Points`, `Table` and `Ask`, in order.
        level: 2 for a chapter, 3 within one.
    """

    title: str
    blocks: tuple
    level: int = 2


@dataclass(frozen=True)
class Document:
    """A document; all of its text is shown as it is, markup in it included.

    Attributes:
        title, subtitle: its heading, and a line above it.
        sections: `Section`s, in order.
    """

    title: str
    subtitle: str
    sections: tuple

    @property
    def open_questions(self):
        """How many places are to be filled in."""
        return sum(block.kind == "ask" for section in self.sections for block in section.blocks)

    def to_html(self):
        """One page that needs no network and no script."""
        return sealed(rendered("document.html", document=self))

    def to_markdown(self):
        """The same as Markdown."""
        return sealed(rendered("document.md", document=self))
