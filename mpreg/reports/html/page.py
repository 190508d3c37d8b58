"""`write_html`: a report or a comparison as one page that needs no network and no script."""

import functools
import re
from pathlib import Path

import jinja2

from mpreg._files import write_all
from mpreg._text import percent, percent_with_interval
from mpreg._validate import brief
from mpreg.evaluation.comparison import Comparison
from mpreg.evaluation.report import PrivacyReport
from mpreg.reports.html import charts, sections

TITLE = "What this model gives away about its training data"


def write_html(subject, path, **options):
    """Writes a report or a comparison as one HTML file; whole, or not at all.

    Args:
        subject: a `PrivacyReport` or a `Comparison`.
        path: the file to write.
        **options: as for `render_html`.

    Example:
    ```python
    write_html(mpreg.compare({"undefended": before, "defended": after}), "report.html", class_names=["cat", "dog"])
    ```
    """
    path = Path(path)
    write_all(path.parent, {path.name: render_html(subject, **options)})


def render_html(
    subject,
    *,
    title=TITLE,
    class_names=None,
    provenance=None,
    sources=(),
    gradient_norms=None,
    gates=(),
    risks=None,
):
    """The page as text: names in it may come from anyone, for nothing of them is taken for markup.

    Args:
        subject: a `PrivacyReport` or a `Comparison`.
        title: heading of the page.
        class_names: a name for each class, class 0 first; None numbers them.
        provenance: further lines of "Where these figures come from", text by name.
        sources: the `Source` of each file the figures rest on.
        gradient_norms: `GradientNorms`, or for a comparison a dict of them by model.
        gates: `Gate`s that were judged.
        risks: `MemberRisk`, or for a comparison a dict of them by model; None calibrates them here.

    Raises:
        ValueError: neither report nor comparison, or fewer class names than classes.
    """
    models = models_of(subject)
    norms, risks = (_by_model(given, models) for given in (gradient_norms, risks))
    page = sections.page(
        models,
        class_names=sections.checked_names(class_names, max(report.classes for report in models.values())),
        norms=norms,
        risks=risks,
    )
    return rendered(
        "report.html", **page, title=title, provenance=dict(provenance or {}), sources=sources, gates=gates
    )


def models_of(subject):
    """The `PrivacyReport`s of a report or a comparison, by name.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(subject, Comparison):
        return dict(subject.reports)
    if isinstance(subject, PrivacyReport):
        return {"model": subject}
    raise ValueError(f"a page needs a PrivacyReport or a Comparison. Received: {brief(subject)}")


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
        percent=lambda rate: percent(float(rate)), interval=percent_with_interval, plain=markdown_text
    )
    environment.globals.update(box=charts)
    return environment


def markdown_text(text):
    """Text that Markdown shows as it is: on one line, without markup of its own."""
    text = " ".join(str(text).split())
    return re.sub(
        r"[\\`*_{}<>#|]|](?=[(\[:])", r"\\\g<0>", text
    )  # brackets alone, as of intervals, are no markup


def _by_model(given, models):
    if given is None:
        return {}
    return given if isinstance(given, dict) else {name: given for name in models}
