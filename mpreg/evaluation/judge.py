"""Runs attacks on what the attacker has and collects the report."""

import copy
import platform
from importlib import metadata

import numpy as np

from mpreg import __version__, metrics, signals
from mpreg.attacks import NEEDS, cross_fit_each
from mpreg.attacks.access import level_of
from mpreg.attacks.crossfit import WIDENING
from mpreg.data import distinct_rows
from mpreg.evaluation.headline import CONFIDENCE, WIDENED, strongest_accuracy
from mpreg.evaluation.report import PrivacyReport
from mpreg.evaluation.result import AttackResult
from mpreg.metrics import Estimate
from mpreg.metrics.epsilon import epsilon_of
from mpreg.metrics.summary import estimates_of
from mpreg.metrics.tally import tally


def judge(access, attacks, *, optional=(), notes=()):
    """Runs all attacks and returns the report; skips those of `optional` names that lack something, with a note."""
    chosen, prepared, notes = [], [], list(notes)
    for attack in attacks:
        missing = [need for need in NEEDS if need in attack.needs and not access.has(need)]
        if "records" in missing and "numbers" in missing:
            missing.remove("numbers")  # nobody knows what records would hold that are not there
        if missing:
            lacking = f"{attack.name!r} needs {' and '.join(NEEDS[need] for need in missing)}"
            if attack.name not in optional or "shadows" in missing:
                raise ValueError(f"attack {lacking}, which this evaluation has not. {_WHERE[missing[-1]]}")
            notes.append(f"Attack {lacking}: left out.")
            continue
        # What an attack prepares may stay on it: on a copy, so that another evaluation of the same one keeps its own.
        chosen.append(copy.copy(attack))
        prepared.append(chosen[-1].prepare(access))
    judged = cross_fit_each(
        chosen,
        access.members,
        access.nonmembers,
        scores=prepared,
        groups=access.groups,
        seed=access.seed,
    )
    results = {
        attack.name: _result(attack, verdicts, access.groups)
        for attack, verdicts in zip(chosen, judged, strict=True)
    }
    strongest = max(results, key=lambda name: float(results[name].accuracy))
    members, nonmembers = access.members, access.nonmembers
    notes += _copies(access)
    return PrivacyReport(
        train_accuracy=_accuracy(members, access.groups[0]),
        test_accuracy=_accuracy(nonmembers, access.groups[1]),
        attacks=results,
        attack_accuracy=strongest_accuracy(
            results[strongest].distinct, learns=results[strongest].learns, tried=len(results)
        ),
        strongest_attack=strongest,
        members=len(members),
        nonmembers=len(nonmembers),
        classes=members.classes,
        seed=int(access.seed),
        member_labels=members.labels,
        nonmember_labels=nonmembers.labels,
        cost=_cost(access, chosen),
        notes=tuple(notes),
        provenance=_provenance(),
    )


def needs_shadows(attacks):
    """Returns whether any of the attacks needs shadow models of the judged records."""
    return any("shadows" in attack.needs for attack in attacks)


_WHERE = {
    "records": "Use mpreg.evaluate with a model and a split",
    "numbers": "Give the attack a function for such records, augment= or draw=, or encode text ahead of the model",
    "model": "Use mpreg.evaluate with a model and a split",
    "population": "Give the split reference records",
    "weights": "Use mpreg.evaluate with a Keras model, or the model of one that answers with several",
    "shadows": "Pass shadows= a mpreg.ShadowFleet or ShadowTraining to mpreg.evaluate, or ready mpreg.ShadowModels",
}


def _cost(access, attacks):
    """What the attacker spent beyond the target's answers to the judged records."""
    cost = {"queries": access.queries}
    used = [access.shadows] if needs_shadows(attacks) else []
    own = (getattr(attack, "source", None) for attack in attacks)  # shadow models of the attacker's records
    used = {id(shadows): shadows for shadows in (*used, *own) if shadows is not None}.values()
    if used:
        cost |= {
            "shadow_models": sum(map(len, used)),
            "shadow_seconds": round(sum(shadows.seconds for shadows in used), 1),
            "shadow_training": "; ".join(dict.fromkeys(shadows.how for shadows in used if shadows.how)),
        }
    return cost


def _copies(access):
    """A note for each side that holds copies of records."""
    for role, groups in zip(("members", "non-members"), access.groups, strict=True):
        records = len(np.unique(groups))
        if records < len(groups):
            yield (
                f"{len(groups):,} {role} are copies of {records:,} different records: copies are judged together, and "
                "every figure and interval counts a record once."
            )


def _result(attack, verdicts, groups):
    distinct = verdicts.subset(*map(distinct_rows, groups))
    member_scores, nonmember_scores = distinct.member_scores, distinct.nonmember_scores
    counts = tally(member_scores, nonmember_scores)
    decisions = distinct.member_decisions, distinct.nonmember_decisions
    found = estimates_of(counts, *decisions, confidence=CONFIDENCE)
    if attack.learns:  # precision, advantage and the rates at a low FPR have room for it
        found |= {name: found[name].widened(WIDENING) for name in WIDENED}
    notes = (metrics.supported_fpr(len(nonmember_scores), fpr) for fpr in metrics.FPRS)
    return AttackResult(
        name=attack.name,
        **found,
        epsilon_lower_bound=epsilon_of(counts),
        member_scores=verdicts.member_scores,
        nonmember_scores=verdicts.nonmember_scores,
        member_decisions=verdicts.member_decisions,
        nonmember_decisions=verdicts.nonmember_decisions,
        learns=attack.learns,
        notes=tuple(note for note in notes if note),
        key=attack.key,
        threat_model=attack.threat_model,
        level=level_of(attack),
        groups=groups,
    )


def _accuracy(answers, groups):
    right = signals.correctness(answers)[distinct_rows(groups)]
    # A record of several decisions may be right in part: the limits are those of the whole numbers around the sum.
    around = np.floor(right.sum()), np.ceil(right.sum())
    low, high = metrics.clopper_pearson(around, len(right), confidence=CONFIDENCE)
    return Estimate(float(right.mean()), float(low[0]), float(high[1]))


def _provenance():
    versions = {"python": platform.python_version(), "mpreg": __version__}
    for package in ("tensorflow", "keras", "numpy", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
