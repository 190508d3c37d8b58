"""What stands in a report, section by section, as plain values for the template."""

from mpreg.reports import words
from mpreg.reports.front import on_front, spots_of
from mpreg.reports.html import pictures
from mpreg.reports.markdown import access_rows
from mpreg.reports.schema import CURVES, by_risk, ranked, strongest_of, worse_of

LISTED = 12  # classes shown before the reader asks for all
FEW = 3  # models whose every picture is shown unfolded


def page(models, *, differences, class_names):
    """Everything that the template shows of some reports.

    Args:
        models: reports by name.
        differences: of each model but the first from the first, by name.
        class_names: a name for each class.
    """
    spots = spots_of(models)
    return {
        "models": models,
        "several": len(models) > 1,
        "many": len(models) > FEW,
        "front": pictures.front(spots) if len(models) > 1 else None,
        "front_names": [list(spots)[number] for number in on_front([spot.place for spot in spots.values()])],
        "words": words,
        "worse": {name: worse_of(report) for name, report in models.items()},
        "differences": _differences(models, differences),
        "ranked": {name: ranked(report) for name, report in models.items()},
        "canaries": {
            name: ranked(report["canaries"]) for name, report in models.items() if report.get("canaries")
        },
        "access": {name: access_rows(report) for name, report in models.items() if "access" in report},
        "classes": {name: _class_rows(report, class_names) for name, report in models.items()},
        "listed": LISTED,
        "vulnerable": {name: _record_rows(report, class_names) for name, report in models.items()},
        "roc": _roc(models),
        "answers": _answer_charts(models),
        "risk": _risk_charts(models),
        "overfitting": pictures.overfitting(models, class_names),
        "notes": _notes(models),
    }


def contents(shown, *, gates):
    """The contents of the page: `(anchor, words)` of each part that there is.

    Args:
        shown: as `page` gives it.
        gates: whether limits were set.
    """
    parts = {
        "gates": ("Limits", gates),
        "accuracy": ("Accuracy and attack", True),
        "front": ("Privacy against utility", shown["front"]),
        "roc": ("ROC curves", shown["roc"]),
        "histograms": ("Histograms", shown["answers"] or shown["risk"]),
        "overfitting": ("Overfitting", True),
    }
    for number, name in enumerate(shown["models"], 1):
        parts[f"model-{number}"] = (name if shown["several"] else "Every attack, classes and records", True)
    parts |= {"method": ("How this was measured", True), "provenance": ("Where the figures come from", True)}
    return [(anchor, words) for anchor, (words, there) in parts.items() if there]


def norms(by_model):
    """Gradient norms and their chart, by model."""
    several = len(by_model) > 1
    return {name: (found, _norm_chart(name, found, several=several)) for name, found in by_model.items()}


def _differences(models, differences):
    (first_name, first), *_ = models.items()
    return [
        words.difference(name, models[name], first_name, first, difference)
        for name, difference in differences.items()
    ]


def _class_rows(report, class_names):
    return [{**row, "name": class_names[row["label"]]} for row in by_risk(report.get("per_class", []))]


def _record_rows(report, class_names):
    return [
        {
            **row,
            "name": class_names[row["label"]],
            "alike": f"{row['alike']:,} of {report['nonmembers']:,}",
            "look_alikes": row["alike"],
            "tied": f"{row['tied']:,} others" if row.get("tied") else "-",
        }
        for row in report.get("most_vulnerable", [])
    ]


def _roc(models):
    if len(models) > 1:
        attacks = {name: strongest_of(report) for name, report in models.items()}
        curves = {f"{name}: {attack['name']}": attack for name, attack in attacks.items()}
    else:
        (report,) = models.values()
        curves = {attack["name"]: attack for attack in ranked(report)[:CURVES]}
    shapes = {
        f"{label}, AUC {float(attack['auc']):.3f}": attack["roc"]
        for label, attack in curves.items()
        if "roc" in attack
    }
    return [pictures.roc_linear(shapes), pictures.roc_logarithmic(shapes)] if shapes else []


def _answer_charts(models):
    """The probability of the true class, a picture a model, on one vertical axis."""
    found = {name: report.get("true_class_probability") for name, report in models.items()}
    return _small_multiples(
        "What the model says of the true class", found, models, label="probability of the true class"
    )


def _risk_charts(models):
    """The calibrated membership probability, a picture a model, on one vertical axis."""
    found = {name: report["risk"]["histogram"] for name, report in models.items() if "risk" in report}
    return _small_multiples(
        "Membership probability of each record", found, models, label="membership probability"
    )


def _small_multiples(title, shares, models, *, label):
    """A histogram a model; its name is the title where there are several."""
    shares = {name: found for name, found in shares.items() if found is not None}
    top = pictures.headroom(shares.values()) if shares else None
    return [
        pictures.histogram(
            f"{name} (attack {100 * models[name]['attack_accuracy']:.1f} %)" if len(models) > 1 else title,
            found,
            label=label,
            top=top,
        )
        for name, found in shares.items()
    ]


def _norm_chart(name, found, *, several):
    return pictures.histogram(
        f"Gradient norms, {name}" if several else "Gradient norms",
        found["histogram"],
        label="log10 of the gradient norm",
    )


def _notes(models):
    """What readers must know, each said once, of whichever models it holds for."""
    found = {}
    for name, report in models.items():
        for note in (*report["notes"], *(note for attack in ranked(report) for note in attack["notes"])):
            found.setdefault(note, {})[name] = None
    return [
        note if len(names) == len(models) else f"{', '.join(names)}: {note}" for note, names in found.items()
    ]
