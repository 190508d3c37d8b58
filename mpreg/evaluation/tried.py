"""What was tried and what was not, by how far an attacker reaches, with why and what it would cost."""

from mpreg.attacks.access import LEVELS, OWN_RECORDS, level_of
from mpreg.attacks.suites import ATTACKS

SHADOWS = 16  # shadow models of a serious attack
# What an attack of a level that was not tried would cost beyond what was done: trainings, and in words.
COSTS = {
    "label only": (0, "no training"),
    "probabilities": (0, "no training"),
    "repeated queries": (0, "no training, but many questions to the model for each record"),
    "shadow models": (SHADOWS, f"{SHADOWS} trainings with the target's defence"),
    "white box": (0, "no training, but the model itself and the gradients of each record"),
}
NOT_ASKED = "was not asked for"


def tried(report):
    """For each level, the attacks tried and not tried: `access` of a report in `docs/report-schema.md`.

    Args:
        report: a `PrivacyReport`.
    """
    keys = {found.key for found in report.attacks.values()}
    levels = [
        {
            "level": level,
            "attacker": attacker,
            "tried": [found.name for found in report.attacks.values() if found.level == level],
            "not_tried": [
                _missing(attack, level, report)
                for key, attack in ATTACKS.items()
                if level_of(attack) == level and key not in keys
            ],
        }
        for level, attacker in LEVELS.items()
    ]
    return [*levels, _training(), _standing_out(report)]


def _missing(attack, level, report):
    """An attack that was not tried."""
    trainings, cost = COSTS[level]
    why = NOT_ASKED
    lacking = f"Attack {attack.name!r} needs "
    for note in report.notes:
        if note.startswith(lacking):
            why = f"needs {note.removeprefix(lacking).removesuffix(': left out.')}"
    if level == "shadow models":
        tried = {found.key for found in report.attacks.values() if found.level == level}
        if tried - {OWN_RECORDS}:
            trainings, cost = 0, "no further training: it shares the shadow models"
        else:
            why = "the shadow models know other records" if tried else "no shadow models were trained"
    return {"attack": attack.name, "why": why, "trainings": trainings, "cost": cost}


def _training():
    """Whoever takes part in training: no attack on a finished model is theirs."""
    why = "a finished model does not show its training"
    cost = "at least 1 training, watched step by step (mpreg.audit_dp, for training with noise)"
    return {
        "level": "every step of training",
        "attacker": "takes part in the training or watches it",
        "tried": [],
        "not_tried": [{"attack": "attacks on updates", "why": why, "trainings": 1, "cost": cost}],
    }


def _standing_out(report):
    """The most exposed records, which averages hide."""
    planted = report.canaries
    shadows = report.cost.get("shadow_models", 0)
    missing = {
        "attack": "canaries",
        "why": "none were planted",
        "trainings": 1 + shadows,
        "cost": f"{1 + shadows} training{'s' * bool(shadows)} on a split with mpreg.plant_canaries",
    }
    return {
        "level": "records that stand out",
        "attacker": "is after the most exposed person, with any of these",
        "tried": [] if planted is None else [f"{planted.kind} canaries, {name}" for name in planted.attacks],
        "not_tried": [missing] if planted is None else [],
    }
