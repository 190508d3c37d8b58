"""Chapters 1 and 2 of the assessment: what the processing is, and whether it is needed."""

from mpreg._text import percent_with_interval
from mpreg.reports.document import Ask, Section, Table, Text
from mpreg.reports.markdown import versions


def opening(report, sources, made):
    yield Section(
        "About this document",
        (
            Text(
                "A model that was trained on personal data can reveal who was in that data. This document states how "
                "much this model was found to reveal, in the order in which Article 35(7) of the GDPR asks. It is a "
                "technical contribution to an impact assessment and not legal advice."
            ),
            Ask("Controller, data protection officer, author, version, date of approval."),
        ),
    )
    rows = [
        (
            file["role"],
            file["file"],
            "-" if file["records"] is None else f"{file['records']:,}",
            file["sha256"],
        )
        for file in sources
    ]
    yield Section(
        "1. The processing (Article 35(7)(a))",
        (
            Ask(
                "Nature, scope, context and purposes of the processing; the legitimate interest, where it is the basis."
            ),
            Ask(
                "Whose data, which categories (special categories under Article 9?), from where, kept how long."
            ),
            Ask("Who can query the model, who receives the model itself, in which countries."),
            Text(
                f"The model sorts records into {report['classes']} classes. It was judged on {report['members']:,} "
                f"records that it was trained on (members) and {report['nonmembers']:,} that it was not (non-members)."
            ),
            *([Table(("used as", "file", "records", "SHA-256"), tuple(rows))] if rows else []),
            Text(f"Measured {made + ' ' if made else ''}with {versions(report)}; seed {report['seed']}."),
        ),
    )


def need(report):
    yield Section(
        "2. Necessity and proportionality (Article 35(7)(b))",
        (
            Ask(
                "Why a model is needed for the purpose, and why it needs these data and not fewer or less telling ones."
            ),
            Text(
                f"What it is good for: it is right on {percent_with_interval(report['test_accuracy'])} of records "
                f"that it has not seen, and on {percent_with_interval(report['train_accuracy'])} of those it was "
                "trained on. The difference is fitted to single people and serves no purpose."
            ),
            Ask(
                "Lawful basis; information given to the people concerned; how access, erasure and objection work once "
                "their data is in a trained model."
            ),
        ),
    )
