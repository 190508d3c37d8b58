"""Renders a report, a comparison or an audit as Markdown."""

from mpreg._text import markdown_table, percent, percent_with_interval, plain_markdown
from mpreg.reports import words
from mpreg.reports.schema import AUDIT, COMPARISON, ranked, read


def render_markdown(subject):
    """Renders a document as Markdown.

    Args:
        subject: a document of `docs/report-schema.md`, as `json.loads` gives it, or what gives one by `to_dict()`.

    Raises:
        ValueError: no such document.
    """
    document = read(subject)
    forms = {AUDIT: _audit, COMPARISON: _comparison}
    return forms.get(document["schema"], _report)(document)


def comparison_rows(subject):
    """Returns header and rows of the comparison table, as text: training, test and attack accuracy of each model.

    Args:
        subject: a comparison, as for `render_markdown`.
    """
    reports = read(subject)["reports"]
    header = [
        "model",
        "training accuracy",
        "test accuracy",
        "attack accuracy",
        "strongest attack",
        "gap attack",
    ]
    further = {"attack on reference": attack_on_reference, "attack on canaries": attack_on_canaries}
    held = ("reference", "canaries")
    shown = {
        title: text
        for (title, text), part in zip(further.items(), held, strict=True)
        if any(report.get(part) is not None for report in reports.values())
    }
    rows = [
        [
            name,
            percent_with_interval(report["train_accuracy"]),
            percent_with_interval(report["test_accuracy"]),
            percent_with_interval(report["attack_accuracy"]),
            report["strongest_attack"],
            percent(report["gap_bound"]),
            *(text(report) for text in shown.values()),
        ]
        for name, report in reports.items()
    ]
    return [*header, *shown], rows


def attack_on_reference(report):
    """Returns the accuracy of the strongest attack on reference records; a dash where they were not attacked."""
    reference = report.get("reference")
    return "-" if reference is None else percent_with_interval(reference["attack_accuracy"])


def attack_on_canaries(report):
    """Returns the accuracy of the strongest attack on canaries; a dash where there were none."""
    canaries = report.get("canaries")
    return "-" if canaries is None else percent_with_interval(canaries["attack_accuracy"])


def access_rows(report):
    """Returns header and rows, as text, of the attacks tried and not tried by access level, with their cost.

    Args:
        report: a report that was read; one that an older version kept has none.
    """
    header = ["an attacker who ...", "tried", "not tried", "why, and what it would cost"]
    rows = []
    for level in report["access"]:
        missing = level["not_tried"]
        rows.append(
            [
                f"{level['attacker']} ({level['level']})",
                ", ".join(level["tried"]) or "nothing",
                ", ".join(one["attack"] for one in missing) or "-",
                words.reasons(missing) or "-",
            ]
        )
    return header, rows


def label_rows(report):
    """Header and rows, as text: a row for each label of a model that says yes or no of each.

    Args:
        report: a report that was read, with `per_label`.
    """
    header = ["label", "training accuracy", "test accuracy", "attack accuracy", "strongest attack"]
    rows = [
        [
            label,
            *(percent_with_interval(row[f"{rate}_accuracy"]) for rate in ("train", "test", "attack")),
            row["strongest_attack"],
        ]
        for label, row in report["per_label"].items()
    ]
    return header, rows


def versions(report):
    """Returns each package and its version, in one line."""
    return ", ".join(f"{package} {version}" for package, version in report["provenance"].items())


def _report(report):
    """The headline, then a row an attack, strongest first, then what a reader must know."""
    headline = (
        f"**Strongest attack: {report['strongest_attack']}, "
        f"accuracy {percent_with_interval(report['attack_accuracy'])}** "
        f"(guessing: 50.0 %; gap attack: {percent(report['gap_bound'])}). Training accuracy "
        f"{percent_with_interval(report['train_accuracy'])} on {report['members']:,} members, test accuracy "
        f"{percent_with_interval(report['test_accuracy'])} on {report['nonmembers']:,} non-members."
    )
    if report["reference"] is not None:
        headline += f" {reference_headline(report['reference'])}"
    attacks = ranked(report)
    table = _attacks(attacks)
    if report.get("canaries"):
        of_canaries = _attacks(ranked(report["canaries"]))
        table += f"\n\n**Canaries.** {words.canaries(report['canaries'])}\n\n{of_canaries}"
    if report.get("per_label"):
        table += f"\n\n**Per label.**\n\n{markdown_table(*label_rows(report))}"
    found = [
        *report["notes"],
        *(note for attack in attacks for note in attack["notes"]),
        *_spent(report["cost"]),
        words.adaptive(report),
        *words.not_tried(report),
        words.retest(),
    ]
    notes = [f"- {note}" for note in dict.fromkeys(found)]
    return "\n".join([headline, "", table, *(["", *notes] if notes else []), ""])


def _attacks(attacks):
    """A row an attack."""
    fprs = list(attacks[0]["tpr_at_fpr"])
    header = [
        "attack",
        "accuracy",
        "AUC",
        "advantage",
        *(f"TPR at {percent(float(fpr))} FPR" for fpr in fprs),
        "ε ≥",
    ]
    rows = [
        [
            attack["name"],
            percent_with_interval(attack["accuracy"]),
            format(attack["auc"], ".3f"),
            format(attack["advantage"], ".3f"),
            *(percent_with_interval(attack["tpr_at_fpr"][fpr]) for fpr in fprs),
            f"{attack['epsilon_lower_bound']:.2f}",
        ]
        for attack in attacks
    ]
    return markdown_table(header, rows)


def reference_headline(reference):
    """Returns one sentence on how well reference records are told from non-members."""
    return (
        f"The {reference['members']:,} reference records, which a defence may learn from, are told from non-members "
        f"with accuracy {percent_with_interval(reference['attack_accuracy'])} ({reference['strongest_attack']})."
    )


def _spent(cost):
    if cost.get("shadow_models"):
        yield (
            f"The attacker trained {cost['shadow_models']} shadow models in "
            f"{cost['shadow_seconds']:,.1f} s ({cost['shadow_training']})."
        )
    if cost.get("queries"):
        yield f"The attacker asked the model about {cost['queries']:,} more records."


def _comparison(document):
    reports = document["reports"].values()
    sizes = sorted({(report["members"], report["nonmembers"]) for report in reports})
    records = "; ".join(f"{members:,} members and {others:,} non-members" for members, others in sizes)
    table = markdown_table(*comparison_rows(document))
    text = f"{table}\n\nMeasured on {records}; 95 % intervals. Guessing: 50.0 %.\n"
    if len({frozenset(report["attacks"]) for report in reports}) > 1:
        text += "\nThe models were not attacked alike: more attacks find more.\n"
    return text


def _audit(document):
    """The report, with the limits and the files."""
    report = document["report"]
    parts = [f"# {plain_markdown(document['title'])}", words.headline(report), words.certainty(report)]
    if document["gates"]:
        rows = [
            [gate["figure"], words.measured(gate), f"{gate['limit']:g}", words.verdict(gate)]
            for gate in document["gates"]
        ]
        parts.append(markdown_table(["figure", "measured", "limit", "verdict"], rows))
    parts.append(_report(report))
    rows = [
        [
            file["role"],
            plain_markdown(file["file"]),
            "-" if file["records"] is None else f"{file['records']:,}",
            file["sha256"],
        ]
        for file in document["files"]
    ]
    parts.append(markdown_table(["role", "file", "records", "sha256"], rows))
    parts.append(f"Made {document['made']} with {versions(report)}; seed {report['seed']}.")
    return "\n\n".join(parts) + "\n"
