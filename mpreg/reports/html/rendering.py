"""The templates of this package, filled in."""

import functools
from pathlib import Path

import jinja2

from mpreg._text import percent, percent_with_interval, plain_markdown
from mpreg.reports.html import charts


def rendered(name, **values):
    """A template of this package with values in it; on a page, no line breaks between a number and its sign."""
    text = _environment().get_template(name).render(**values)
    return text.replace(" %", "\u00a0%") if name.endswith(".html") else text


@functools.cache
def _environment():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=lambda name: not name.endswith(".md"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda rate: percent(float(rate)), interval=percent_with_interval, plain=plain_markdown
    )
    environment.globals.update(box=charts)
    return environment
