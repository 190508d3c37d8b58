"""The numbers of a document, flat, under names that trackers take."""

import math
import re

from mpreg.reports.schema import COMPARISON, models_of, strongest_of

FPR = "0.01"
NO_NAME = re.compile(r"[^\w. -]")  # what MLflow takes in no name of a metric


def numbers_of(document):
    """Figures by name: `report/attack_accuracy`, of several models `report/NAME/attack_accuracy`.

    Undefined ones are left out. Of rates the ends of the 95 % interval too, as `..._low` and `..._high`.

    Args:
        document: one that was read.
    """
    several = document["schema"] == COMPARISON
    found = {}
    for name, report in models_of(document).items():
        prefix = f"report/{NO_NAME.sub('_', name)}" if several else "report"
        strongest = strongest_of(report)
        rates = {
            "train_accuracy": report["train_accuracy"],
            "test_accuracy": report["test_accuracy"],
            "attack_accuracy": report["attack_accuracy"],
            "attack_auc": strongest["auc"],
            "attack_advantage": strongest["advantage"],
            "attack_tpr_at_fpr_0.01": strongest["tpr_at_fpr"].get(FPR),
            "reference_attack_accuracy": (report.get("reference") or {}).get("attack_accuracy"),
            "canary_attack_accuracy": (report.get("canaries") or {}).get("attack_accuracy"),
        }
        for figure, rate in rates.items():
            if rate is not None and not math.isnan(rate):
                ends = {"": float(rate), "_low": rate.low, "_high": rate.high}
                found |= {f"{prefix}/{figure}{end}": value for end, value in ends.items()}
        for figure in ("generalization_gap", "gap_bound", "epsilon_lower_bound"):
            if report.get(figure) is not None:
                found[f"{prefix}/{figure}"] = float(report[figure])
    return found


def strongest_by_model(document):
    """The name of the strongest attack on each model, by tag: `strongest_attack`, or with the model's name after it."""
    models = models_of(document)
    if document["schema"] != COMPARISON:
        (report,) = models.values()
        return {"strongest_attack": report["strongest_attack"]}
    return {f"strongest_attack, {name}": report["strongest_attack"] for name, report in models.items()}
