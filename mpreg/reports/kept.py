"""`mpreg report`: renders a saved `report.json` again."""

import json
from pathlib import Path

import jinja2

from mpreg._files import check_as_written, check_outputs, write_all
from mpreg.reports.html import render_html
from mpreg.reports.impact import assessment
from mpreg.reports.markdown import render_markdown
from mpreg.reports.schema import AUDIT, read

FORMATS = ("html", "md", "dpia")
REPORT_FILES = ("report.html", "report.json", "report.md", "member_scores.npz")
DPIA_FILES = ("dpia.html", "dpia.md")


def render_kept(path, out=None, *, formats=("html",), title=None, class_names=None, **dpia):
    """Renders a saved document as a page, Markdown or an impact assessment: all files, or none.

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
        ValueError: a file that holds no document of `docs/report-schema.md`, an unknown format, a folder with files of
            another report that would stand beside the new ones, an assessment there that a person has filled in, or as
            for the renderers.
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
        pages = _contents(document, path.stem, ("html", "md"), title, class_names, {})
        contents = _contents(document, path.stem, formats, title, class_names, dpia)
    except (TypeError, LookupError, AttributeError, jinja2.TemplateError) as error:
        raise ValueError(f"{path} is not as docs/report-schema.md describes: {error}") from error
    out = path.parent if out is None else out
    check_outputs(out, contents, [path])
    _check_folder(Path(out), contents, {path.name: path.read_bytes(), **pages})
    return write_all(out, contents)


def _check_folder(out, contents, known):
    """That new files neither replace what a person wrote nor stand beside those of another report.

    Args:
        out: the folder.
        contents: of the new files by name.
        known: of the report that is rendered, and its own pages, by name.
    """
    source = next(iter(known))
    same = _holds(out / source, known[source])
    family = {*REPORT_FILES, *DPIA_FILES, *known} - set(contents)
    others = [name for name in sorted(family) if not _holds(out / name, known.get(name))]
    check_outputs(out, (), (), others=() if same else others)
    check_as_written(out, [name for name in DPIA_FILES if name in contents])


def _holds(path, content):
    if content is None or not path.is_file():
        return False
    return path.read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)


def load(path):
    """Loads the document from a file.

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
