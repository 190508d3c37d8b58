"""Compact display of results in notebooks."""

from mpreg.reports import words
from mpreg.reports.schema import models_of, ranked, read


def notebook_html(subject):
    """Returns HTML for a notebook, with a style that affects nothing else.

    Args:
        subject: a document of `docs/report-schema.md`, or its figures alone, or what gives one by `to_dict()`.
    """
    from mpreg.reports.html.rendering import rendered  # jinja2 is not needed before

    document = read(subject)
    models = models_of(document)
    return rendered(
        "notebook.html",
        models=models,
        several=len(models) > 1,
        ranked={name: ranked(report) for name, report in models.items()},
        words=words,
        gates=[
            [gate["figure"], words.measured(gate), f"at most {gate['limit']:g}", words.verdict(gate)]
            for gate in document.get("gates", [])
        ],
    )
