"""Documents of the JSON schema in `docs/report-schema.md`, as renderers read them."""

import numpy as np

from mpreg._validate import short_repr
from mpreg.metrics import Estimate

REPORT = "mpreg.report/1"
COMPARISON = "mpreg.comparison/1"
AUDIT = "mpreg.audit/1"
CURVES = 5  # attacks on one model in one picture


class Part(dict):
    """Is an object of a document that reports missing keys with its contents."""

    def __missing__(self, name):
        raise ValueError(f"the document lacks {name!r} where it holds {short_repr(list(self))}")


def read(subject):
    """Returns a document with its rates as `Estimate`s.

    Args:
        subject: a document, as `json.loads` gives it, or what gives one by `to_dict()`.

    Raises:
        ValueError: neither, or a document of a schema that is not rendered.

    Example:
    ```python
    document = read(json.loads(Path("report.json").read_text("utf-8")))
    ```
    """
    document = subject.to_dict() if hasattr(subject, "to_dict") else subject
    if not isinstance(document, dict):
        raise ValueError(f"a page needs a PrivacyReport or a Comparison. Received: {short_repr(subject)}")
    if document.get("schema") not in (REPORT, COMPARISON, AUDIT):
        raise ValueError(
            f"a document must be of the schema {REPORT}, {COMPARISON} or {AUDIT}. "
            f"Received: schema={short_repr(document.get('schema'))}"
        )
    return _read(document)


def models_of(document):
    """Returns the reports in a document, by name."""
    if document["schema"] == COMPARISON:
        return document["reports"]
    return {"model": document["report"] if document["schema"] == AUDIT else document}


def strongest_of(report):
    """Returns the strongest attack of a report."""
    return report["attacks"][report["strongest_attack"]]


def reference_is_worse(report):
    """Returns whether the reference records leak more than the members."""
    reference = report.get("reference")
    return reference is not None and reference["attack_accuracy"] > report["attack_accuracy"]


def worse_of(report):
    """Returns the report, or that of its reference records where these leak more."""
    return report["reference"] if reference_is_worse(report) else report


def ranked(report):
    """Returns the attacks of a report, the strongest first."""
    return sorted(report["attacks"].values(), key=lambda attack: -attack["accuracy"])


def by_risk(classes):
    """Returns classes sorted by the lower limit of their leak, highest first, so that few rank high by chance."""

    def certain(row):
        accuracy = row["attack_accuracy"]
        return accuracy.low if accuracy == accuracy else -1.0  # NaN where a side has no record

    return sorted(classes, key=certain, reverse=True)


def rates(curve):
    """Returns false and true positive rates along a `roc`, (n,) each."""
    false, true = np.asarray(curve["false_positives"]), np.asarray(curve["true_positives"])
    return false / false[-1], true / true[-1]


def part_of(subject):
    """A part of a document, such as gradient norms: as JSON, or what gives it by `to_dict()`."""
    return _read(subject.to_dict() if hasattr(subject, "to_dict") else subject)


def class_names_of(models, names=None):
    """Returns a name for each class of some reports.

    Args:
        models: reports by name.
        names: a name for each class, class 0 first; None numbers them.

    Raises:
        ValueError: fewer names than classes.
    """
    return checked_names(names, max(report["classes"] for report in models.values()))


def checked_names(names, classes):
    """Checks that there is a name for each class, and returns them.

    Raises:
        ValueError: fewer names than classes.
    """
    if names is None:
        return [f"class {label}" for label in range(classes)]
    names = [str(name) for name in names]
    if len(names) < classes:
        raise ValueError(
            f"there must be a name for each of the {classes} classes. Received: {short_repr(names)}"
        )
    return names


def _read(value):
    if isinstance(value, list | tuple):
        return [_read(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"value", "low", "high"}:
        return Estimate.from_dict(value)
    return Part((name, _read(part)) for name, part in value.items())
