"""Evaluation of models that decide several things of a record: labels that are each yes or no, or positions."""

import dataclasses

import numpy as np

from mpreg.attacks import Access
from mpreg.attacks.gap import GapAttack, ShareRightAttack
from mpreg.attacks.suites import without_records
from mpreg.classifiers.kind import logits_by_last_layer, sigmoid_by_last_layer
from mpreg.data.labels import LABELS
from mpreg.evaluation.judge import judge
from mpreg.signals.decisions import read_several
from mpreg.signals.reading import SIDES

SKIPPED = "Pictures and figures by class are left out: a record has many decisions, and no class of its own."


def several_report(
    sides, decisions, attacks, *, optional, from_logits=None, inputs=None, names=SIDES, seed=0
):
    """The report of joint attacks on all decisions of a record and, for labels, of the attacks on each.

    Accuracies are shares of decisions; their limits are those of one decision a record, the widest there are.

    Args:
        sides: `(predictions, labels)` of members and of non-members, as `mpreg.signals.decisions.read_several` takes
            them.
        decisions: `"labels"` or `"positions"`.
        attacks: `Attack`s.
        optional: names of those that are left out where they need more than the answers.
        from_logits, seed: as for `evaluate`.
        inputs: the records themselves, of either side, that copies are known by; or None.
        names: of the sides, for errors.

    Raises:
        ValueError: an attack that needs more than the answers, or as for `read_several`.
    """
    able = without_records(attacks, optional)
    for attack in able:
        if attack.needs:
            raise ValueError(
                f"attack {attack.name!r} needs {', '.join(sorted(attack.needs))}, and is for models that answer one "
                f'class a record. With decisions="{decisions}", take attacks="standard" or "fast"'
            )
    joint, apart = read_several(dict(zip(names, sides, strict=True)), decisions, from_logits=from_logits)
    whole = Access(*joint, inputs=inputs, seed=seed)
    count = joint[0].decisions
    what = (
        f"{count:,} labels, each of them yes or no"
        if decisions == LABELS
        else f"a class at {count:,} positions"
    )
    notes = [
        f"Each record holds {what}. Attacks are joint: they read the mean over them of what the answers tell. "
        f"{SKIPPED}",
        *[
            f"Attack {attack.name!r} needs a model that answers one class a record: left out."
            for attack in attacks
            if attack not in able
        ],
    ]
    # A record has no class of its own, so that what tells classes apart tells nothing more.
    of_all = [
        ShareRightAttack() if type(attack) is GapAttack else attack
        for attack in able
        if not getattr(attack, "per_class", False)
    ]
    report = judge(whole, of_all, notes=notes)
    per_label = {
        str(place): judge(Access(*both, inputs=inputs, seed=seed), able)
        for place, both in enumerate(zip(*apart, strict=True))
    }
    if per_label:
        most = max(per_label, key=lambda label: float(per_label[label].attack_accuracy))
        if per_label[most].attack_accuracy > report.attack_accuracy:
            notes = (
                *report.notes,
                f"Label {most} alone gives away more than all labels together: see below.",
            )
            report = dataclasses.replace(report, notes=notes)
    return dataclasses.replace(report, decisions=decisions, per_label=per_label or None)


def evaluate_several(query, model, split, attacks, *, optional, reference, from_logits, seed):
    """`evaluate` where a record holds several decisions.

    Args:
        query: function of records that returns the model's answers.
        model: the model.
        split: a `MembershipSplit` with `decisions` other than `"one"`.
        attacks, optional: as for `several_report`.
        reference: whether the reference records are attacked too.
        from_logits, seed: as for `evaluate`.
    """
    if from_logits is None:
        from_logits = _logits(model, split.decisions)
    options = {"optional": optional, "from_logits": from_logits, "seed": seed}
    sides = {role: (np.asarray(query(x)), y) for role, (x, y) in _judged(split, reference).items()}
    others = sides["nonmembers"]

    def judged(role, names):
        inputs = getattr(split, role)[0], split.nonmembers[0]
        both = sides[role], others
        return several_report(both, split.decisions, attacks, inputs=inputs, names=names, **options)

    report = judged("members", SIDES)
    if not reference:
        return report
    return dataclasses.replace(report, reference=judged("reference", ("reference", SIDES[1])))


def _judged(split, reference):
    roles = ("members", "nonmembers", *["reference"] * bool(reference))
    return {role: getattr(split, role) for role in roles}


def _logits(model, decisions):
    if decisions == LABELS:
        return sigmoid_by_last_layer(model)
    by_sigmoid = sigmoid_by_last_layer(model, refuse=False)
    return logits_by_last_layer(model) if by_sigmoid is None else by_sigmoid
