"""What stands in a report, section by section, as plain values for the template."""

import math
from dataclasses import dataclass

import numpy as np

from mpreg._validate import brief
from mpreg.evaluation.member_scores import member_risk
from mpreg.metrics import Estimate
from mpreg.reports.html import pictures, words

LISTED = 12  # classes shown before the reader asks for all
VULNERABLE = 10  # records
CURVES = 5  # attacks in one picture
SIGNAL = "loss threshold"  # its scores are the log-probability of the true class


@dataclass(frozen=True)
class ClassRow:
    """A line of the table of classes."""

    name: str
    members: int
    nonmembers: int
    train_accuracy: float
    test_accuracy: float
    attack_accuracy: Estimate


@dataclass(frozen=True)
class RecordRow:
    """A line of the table of vulnerable records."""

    index: int
    name: str
    risk: float
    called_member: bool
    alike: str


def checked_names(class_names, classes):
    """A name for each class.

    Raises:
        ValueError: fewer names than classes.
    """
    if class_names is None:
        return [f"class {label}" for label in range(classes)]
    names = [str(name) for name in class_names]
    if len(names) < classes:
        raise ValueError(f"there must be a name for each of the {classes} classes. Received: {brief(names)}")
    return names


def page(models, *, class_names, norms, risks):
    """Everything that the template shows of some reports.

    Args:
        models: `PrivacyReport` by name.
        class_names: a name for each class.
        norms: `GradientNorms` by model, for those where they were measured.
        risks: `MemberRisk` by model; calibrated here where they are missing.
    """
    leaks = {name: report.leakage_per_class() for name, report in models.items()}
    risks = {
        name: risks.get(name) or member_risk(report, seed=report.seed) for name, report in models.items()
    }
    return {
        "models": models,
        "several": len(models) > 1,
        "words": words,
        "differences": _differences(models),
        "ranked": {name: ranked(report) for name, report in models.items()},
        "classes": {name: _class_rows(found, class_names) for name, found in leaks.items()},
        "unusual": {name: unusual(found, models[name]) for name, found in leaks.items()},
        "listed": LISTED,
        "vulnerable": {
            name: _record_rows(report, risks[name], class_names) for name, report in models.items()
        },
        "roc": _roc(models),
        "answers": _answer_charts(models),
        "risk": _risk_charts(models, risks),
        "overfitting": pictures.overfitting(models, leaks),
        "norms": {
            name: (found, _norm_chart(name, found, several=len(models) > 1)) for name, found in norms.items()
        },
        "notes": _notes(models),
    }


def ranked(report):
    """The attacks of a report, the strongest first."""
    return sorted(report.attacks.values(), key=lambda result: -float(result.accuracy))


def unusual(leaks, report):
    """`(above, judged)`: how many classes leak more than the whole by more than their interval, of how many."""
    judged = [leak for leak in leaks if not math.isnan(leak.attack_accuracy)]
    whole = float(report.attack_accuracy)
    return sum(leak.attack_accuracy.low > whole for leak in judged), len(judged)


def by_risk(leaks):
    """Classes, those first that leak most for certain: by the lower limit, so that chance ranks few of them high."""

    def certain(leak):
        return -1.0 if math.isnan(leak.attack_accuracy) else leak.attack_accuracy.low

    return sorted(leaks, key=certain, reverse=True)


def _differences(models):
    (first_name, first), *others = models.items()
    return [words.difference(name, report, first_name, first) for name, report in others]


def _class_rows(leaks, class_names):
    return [
        ClassRow(
            class_names[leak.label],
            leak.members,
            leak.nonmembers,
            leak.train_accuracy,
            leak.test_accuracy,
            leak.attack_accuracy,
        )
        for leak in by_risk(leaks)
    ]


def _record_rows(report, risk, class_names):
    return [
        RecordRow(
            record.index,
            class_names[record.label],
            float(risk.members[record.index]),
            record.called_member,
            f"{round(record.fpr * report.nonmembers):,} of {report.nonmembers:,}",
        )
        for record in report.most_vulnerable(VULNERABLE)
    ]


def _roc(models):
    if len(models) > 1:
        curves = {
            f"{name}: {report.strongest_attack}, AUC {float(report.strongest.auc):.3f}": report.strongest
            for name, report in models.items()
        }
    else:
        (report,) = models.values()
        curves = {f"{result.name}, AUC {float(result.auc):.3f}": result for result in ranked(report)[:CURVES]}
    return pictures.roc_linear(curves), pictures.roc_logarithmic(curves)


def _answer_charts(models):
    """The probability of the true class, a picture a model, on one vertical axis."""
    sides = {
        name: [np.exp(report.attacks[SIGNAL].member_scores), np.exp(report.attacks[SIGNAL].nonmember_scores)]
        for name, report in models.items()
        if SIGNAL in report.attacks
    }
    return _small_multiples(
        "What the model says of the true class", sides, models, label="probability of the true class"
    )


def _risk_charts(models, risks):
    """The calibrated membership probability, a picture a model, on one vertical axis."""
    sides = {name: [risks[name].members, risks[name].nonmembers] for name in models}
    return _small_multiples(
        "What the strongest attack makes of it", sides, models, label="membership probability"
    )


def _small_multiples(title, sides, models, *, label):
    """A histogram a model; its name is the title where there are several."""
    edges = np.linspace(0, 1, pictures.BINS + 1)
    shares = [pictures.shares_of(side, edges).max() for pair in sides.values() for side in pair]
    top = min(1.0, 1.08 * max(shares)) if shares else None
    return [
        pictures.histogram(
            f"{name} (attack {100 * models[name].attack_accuracy:.1f} %)" if len(models) > 1 else title,
            *pair,
            label=label,
            limits=(0.0, 1.0),
            top=top,
        )
        for name, pair in sides.items()
    ]


def _norm_chart(name, found, *, several):
    with np.errstate(divide="ignore"):
        sides = [np.log10(side) for side in (found.members, found.nonmembers)]
    return pictures.histogram(
        f"Gradient norms, {name}" if several else "Gradient norms", *sides, label="log10 of the gradient norm"
    )


def _notes(models):
    """What readers must know, each said once."""
    found = []
    for name, report in models.items():
        prefix = f"{name}: " if len(models) > 1 else ""
        for note in (*report.notes, *(note for result in ranked(report) for note in result.notes)):
            found.append(prefix + note)
    return list(dict.fromkeys(found))
