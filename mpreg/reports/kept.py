"""`mpreg report`: a kept `report.json`, rendered again."""

import json
from pathlib import Path

import jinja2

from mpreg._files import check_outputs, write_all
from mpreg.reports.html import render_html
from mpreg.reports.impact import assessment
from mpreg.reports.markdown import render_markdown
from mpreg.reports.schema import AUDIT, read

FORMATS = ("html", "md", "dpia")


def render_kept(path, out=None, *, formats=("html",), title=None, class_names=None, **dpia):
    """Writes a kept document as a page, as Markdown or as an impact assessment: all files, or none.

    Args:
        path: a `report.json`, as `mpreg audit`, `PrivacyReport.to_json` and `Comparison.to_json` write it.
        out: the folder to write; None is that of `path`.
        formats: of `"html"` and `"md"`, named like `path`, and `"dpia"`: `dpia.html` and `dpia.md`.
        title: heading; None takes the document's.
        class_names: a name for each class; None takes the document's.
        **dpia: further options of `assessment`.

    Returns:
        The paths of the files.

    Raises:
        ValueError: a file that holds no document of `docs/report-schema.md`, an unknown format, or as for the
            renderers.
        OSError: the file cannot be read.

    Example:
    ```python
    render_kept("audit/report.json", "again", formats=("html", "dpia"), epsilon=8, delta=1e-5)
    ```
    """
    if not formats or not set(formats) <= set(FORMATS):
        raise ValueError(f"formats must be some of {', '.join(FORMATS)}. Received: formats={formats!r}")
    path = Path(path)
    document = load(path)
    if title and document["schema"] == AUDIT:
        document = {**document, "title": title}
    try:
        contents = _contents(document, path.stem, formats, title, class_names, dpia)
    except (TypeError, LookupError, AttributeError, jinja2.TemplateError) as error:
        raise ValueError(f"{path} is not as docs/report-schema.md describes: {error}") from error
    out = path.parent if out is None else out
    check_outputs(out, contents, [path])
    return write_all(out, contents)


def load(path):
    """The document in a file.

    Raises:
        ValueError: no JSON, or no document of `docs/report-schema.md`.
        OSError: the file cannot be read.
    """
    try:
        return read(json.loads(Path(path).read_text("utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no report.json of mpreg: {error}") from error


def _contents(document, stem, formats, title, class_names, dpia):
    contents = {}
    if "html" in formats:
        contents[f"{stem}.html"] = render_html(document, title=title, class_names=class_names)
    if "md" in formats:
        contents[f"{stem}.md"] = render_markdown(document)
    if "dpia" in formats:
        paper = assessment(document, title=title, class_names=class_names, **dpia)
        contents |= {"dpia.html": paper.to_html(), "dpia.md": paper.to_markdown()}
    return contents
