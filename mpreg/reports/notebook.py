"""Results as a notebook shows them: the headline and the tables of the page, on small room."""

from mpreg.reports import words
from mpreg.reports.schema import models_of, ranked, read


def notebook_html(subject):
    """A piece of HTML for a notebook, whose style reaches no further than itself.

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
