"""The impact assessment for a data protection officer, with the measured part filled in.

It follows Article 35(7) of the General Data Protection Regulation: what the processing is, whether it is needed,
what it risks, and what is done about it. What a measurement cannot know is marked to be filled in.
"""

from mpreg.reports.document import Document
from mpreg.reports.html import TITLE
from mpreg.reports.impact import exposure, measures, person, processing
from mpreg.reports.schema import class_names_of, models_of, part_of, read

HEADING = "Impact assessment: what this model gives away"  # where the report has no title of its own either


def assessment(
    subject, *, title=None, chosen=None, class_names=None, gradient_norms=None, epsilon=None, delta=None
):
    """Returns the impact assessment of a model as a `Document`.

    Args:
        subject: a document of `docs/report-schema.md`, as `json.loads` gives it, or what gives one by `to_dict()`: a
            `PrivacyReport`, an `Audit`, or a `Comparison` of the defences that were considered.
        title: heading; None takes the document's, if it has one of its own.
        chosen: name of the model of the comparison that is to be used; None takes the last.
        class_names: a name for each class; None takes the document's, or numbers them.
        gradient_norms: `GradientNorms` of the chosen model, where they were measured; None takes the document's.
        epsilon, delta: the guarantee of differential privacy that the training states, both or neither.

    Raises:
        ValueError: an unknown model, a guarantee out of range or by half, or as for `render_html`.

    Example:
    ```python
    document = assessment(mpreg.compare(reports), title="Triage model", chosen="DP-SGD", epsilon=8, delta=1e-5)
    Path("dpia.html").write_text(document.to_html(), "utf-8")
    ```
    """
    document = read(subject)
    models = models_of(document)
    chosen = list(models)[-1] if chosen is None else chosen
    if chosen not in models:
        raise ValueError(f"chosen must be one of {list(models)}. Received: {chosen!r}")
    person.check_guarantee(epsilon, delta)
    report = models[chosen]
    names = class_names_of(models, document.get("class_names") if class_names is None else class_names)
    norms = document.get("gradient_norms") if gradient_norms is None else gradient_norms
    parts = [
        *processing.opening(report, document.get("files", []), document.get("made", "")),
        *processing.need(report),
        exposure.threat(),
        exposure.access(report, part_of(norms), document.get("gradient_norms_note")),
        exposure.method(report),
        exposure.aggregate(report),
        person.person(report, epsilon, delta),
        exposure.records(report),
        exposure.classes(report, names),
        *measures.measures(models, chosen, document.get("differences", {})),
        measures.residual(report),
        measures.limits(report),
        *measures.people(),
    ]
    title = title or document.get("title") or TITLE
    return Document(
        HEADING if title == TITLE else title,
        "Data protection impact assessment: the part on what a model reveals",
        tuple(parts),
    )
