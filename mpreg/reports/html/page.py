"""Renders a report, a comparison or an audit as one page, readable without network or script."""

from pathlib import Path

from mpreg._files import write_all
from mpreg.reports.html import sections
from mpreg.reports.html.rendering import rendered
from mpreg.reports.schema import COMPARISON, class_names_of, models_of, part_of, read

TITLE = "What this model gives away about its training data"


def write_html(subject, path, **options):
    """Writes a report, a comparison or an audit as one HTML file, whole or not at all.

    Args:
        subject: a document as `render_html` takes it.
        path: the file to write.
        **options: as for `render_html`.

    Example:
    ```python
    write_html(mpreg.compare({"undefended": before, "defended": after}), "report.html", class_names=["cat", "dog"])
    ```
    """
    path = Path(path)
    write_all(path.parent, {path.name: render_html(subject, **options)})


def render_html(subject, *, title=None, class_names=None, provenance=None, gradient_norms=None):
    """Returns the page as text, with all names escaped.

    What the document does not hold, such as the curves in one that an older version kept, is left out.

    Args:
        subject: a document of `docs/report-schema.md`, as `json.loads` gives it, or what gives one by `to_dict()`: a
            `PrivacyReport`, a `Comparison` or an `Audit`.
        title: heading of the page; None takes the document's.
        class_names: a name for each class, class 0 first; None takes the document's, or numbers them.
        provenance: further lines of "Where these figures come from", text by name.
        gradient_norms: `GradientNorms`, or for a comparison a dict of them by model; None takes the document's.

    Raises:
        ValueError: no such document, or fewer class names than classes.
    """
    document = read(subject)
    models = models_of(document)
    names = class_names_of(models, document.get("class_names") if class_names is None else class_names)
    kept = {name: document[name] for name in ("made", "command") if document.get(name)}
    shown = sections.page(models, differences=document.get("differences", {}), class_names=names)
    return rendered(
        "report.html",
        **shown,
        contents=sections.contents(shown, gates=bool(document.get("gates"))),
        norms=sections.norms(_by_model(document, models, gradient_norms)),
        title=title or document.get("title") or TITLE,
        provenance={**kept, **(provenance or {})},
        sources=document.get("files", []),
        gates=document.get("gates", []),
        norms_note=document.get("gradient_norms_note"),
    )


def _by_model(document, models, gradient_norms):
    """The gradient norms of the models that have them, by name."""
    found = document.get("gradient_norms") if gradient_norms is None else gradient_norms
    if document["schema"] != COMPARISON:
        found = dict.fromkeys(models, found)
    return {name: part_of(norms) for name, norms in (found or {}).items() if norms is not None}
