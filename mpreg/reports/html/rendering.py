"""The templates of this package, filled in."""

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from mpreg._text import percent, percent_with_interval, plain_markdown
from mpreg.reports.html import charts

TEMPLATES = Path(__file__).parent / "templates"


def rendered(name, **values):
    """A template of this package with values in it; on a page, no line breaks between a number and its sign."""
    text = _environment().get_template(name).render(**values)
    return text.replace(" %", "\u00a0%") if name.endswith(".html") else text


def policy(scripted):
    """The content security policy of a page: its own style, its own script if it has one, and nothing else."""
    allowed = f"default-src 'none'; style-src '{_digest(_asset('page.css'))}'"
    if scripted:
        allowed += f"; script-src '{_digest(_asset('page.js'))}'"
    return Markup(f"{allowed}; base-uri 'none'; form-action 'none'")


def _digest(text):
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _asset(name):
    """A style or script of the templates, which stands on a page as it is."""
    return (TEMPLATES / name).read_text("utf-8")


@functools.cache
def _environment():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=lambda name: not name.endswith(".md"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=lambda rate: percent(float(rate)), interval=percent_with_interval, plain=plain_markdown
    )
    environment.globals.update(
        box=charts,
        policy=policy,
        page_style=Markup(_asset("page.css")),
        page_script=Markup(_asset("page.js")),
        notebook_style=Markup(_asset("notebook.css")),
    )
    return environment
