"""The impact assessment: what an engineer hands to a data protection officer, with the measured part filled in.

It follows Article 35(7) of the General Data Protection Regulation: what the processing is, whether it is needed,
what it risks, and what is done about it. What a measurement cannot know is marked to be filled in.
"""

from mpreg.evaluation.member_scores import member_risk
from mpreg.reports.document import Document
from mpreg.reports.html import sections
from mpreg.reports.html.page import models_of
from mpreg.reports.impact import exposure, measures, person, processing


def assessment(
    subject,
    *,
    title,
    chosen=None,
    class_names=None,
    gradient_norms=None,
    risk=None,
    sources=(),
    made="",
    epsilon=None,
    delta=0.0,
):
    """The impact assessment of a model as a `Document`.

    Args:
        subject: a `PrivacyReport`, or a `Comparison` of the defences that were considered.
        title: heading.
        chosen: name of the model of the comparison that is to be used; None takes the last.
        class_names: a name for each class; None numbers them.
        gradient_norms: `GradientNorms` of the chosen model, where they were measured.
        risk: its `MemberRisk`; None calibrates it here.
        sources: the `Source` of each file the figures rest on.
        made: when, as text.
        epsilon, delta: the guarantee of differential privacy that the training states; None where there is none.

    Raises:
        ValueError: an unknown model, a guarantee out of range, or as for `render_html`.

    Example:
    ```python
    document = assessment(mpreg.compare(reports), title="Triage model", chosen="DP-SGD", epsilon=8, delta=1e-5)
    Path("dpia.html").write_text(document.to_html(), "utf-8")
    ```
    """
    models = models_of(subject)
    chosen = list(models)[-1] if chosen is None else chosen
    if chosen not in models:
        raise ValueError(f"chosen must be one of {list(models)}. Received: {chosen!r}")
    person.check_guarantee(epsilon, delta)
    report = models[chosen]
    names = sections.checked_names(class_names, max(one.classes for one in models.values()))
    risk = risk or member_risk(report, seed=report.seed)
    parts = [
        *processing.opening(report, sources, made),
        *processing.need(report),
        exposure.threat(),
        exposure.access(report, gradient_norms),
        exposure.method(report),
        exposure.aggregate(report),
        person.person(report, epsilon, delta),
        exposure.records(report, risk),
        exposure.classes(report, names),
        *measures.measures(models, chosen),
        measures.residual(report),
        measures.limits(report),
        *measures.people(),
    ]
    return Document(
        title, "Data protection impact assessment: the part on what a model reveals", tuple(parts)
    )
