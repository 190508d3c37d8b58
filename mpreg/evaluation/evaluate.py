"""`evaluate`: runs a suite of attacks on a model and reports the strongest."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mpreg import signals
from mpreg._validate import check_count, short_repr
from mpreg.attacks import Access, draw_membership, suite
from mpreg.attacks.shadow.models import ShadowModels
from mpreg.attacks.shadow.training import ShadowFleet
from mpreg.attacks.suites import optional_in
from mpreg.classifiers.kind import logits_by_last_layer
from mpreg.data import MembershipSplit, label_indices, pool, take
from mpreg.data.frames import TakesFrames, wants_frames
from mpreg.data.labels import ONE, check_decisions
from mpreg.evaluation import canaries
from mpreg.evaluation.held import undefended_classifier
from mpreg.evaluation.judge import judge, needs_shadows
from mpreg.evaluation.report import PrivacyReport
from mpreg.evaluation.several import evaluate_several, several_report


def evaluate(
    model: Any,
    split: MembershipSplit,
    *,
    attacks: Any = "standard",
    shadows: Any = None,
    reference: bool | None = None,
    from_logits: bool | None = None,
    seed: int = 0,
) -> PrivacyReport:
    """Attacks a classifier and reports how well its members can be told from non-members.

    The attacker knows the membership of four fifths of the records and judges the last fifth, in turn, so no
    threshold is chosen on records it is judged on. Numbers of members and non-members need not be equal: every
    rate weighs both sides alike.

    Args:
        model: a Keras model, a wrapper of mpreg, or anything with `predict_proba`, that answers with class
            probabilities or logits, (n, classes).
        split: a `MembershipSplit`; its members and non-members are judged. Attacks that want records known not to
            be members take its reference. Canaries (`mpreg.plant_canaries`) are judged in a section of their own, and
            all other figures leave them out.
        attacks: `"fast"` (gap and thresholds), `"standard"` (and two that learn, one of them beside small networks that
            imitate the model), `"strong"` (and attacks with shadow models), or a list of attacks.
        shadows: for attacks that need shadow models, how to train them: a `ShadowFleet` or a `ShadowTraining`,
            or ready `ShadowModels`. None trains 16 like the target, where that is a Keras model fitted in this
            process: about 16 times its training. All attacks share them; the report states what they cost.
        reference: whether to attack the split's reference records too, as if they were members, by the attacks that
            need no shadow models: a defence that learns from them may betray them. None does so where the model is a
            wrapper of mpreg that consumed them.
        from_logits: whether the model answers with logits; None asks the last layer of a Keras model, and looks at the
            answers where that does not tell.
        seed: seed of the shadow models and the cross-fitting.

    Returns:
        A `PrivacyReport`.

    Raises:
        ValueError: answers that are neither probabilities nor logits, such as percent, labels out of range, fewer
            than two records on a side, unknown attacks, or an attack that needs what is not there.
        TypeError: a model that gives no scores, or a split that is none.

    Example:
    ```python
    report = mpreg.evaluate(model, split)
    print(report)
    report.to_json("report.json")
    ```
    """
    if not isinstance(split, MembershipSplit):
        raise TypeError(f"split must be an mpreg.MembershipSplit. Received: {short_repr(split)}")
    chosen = suite(attacks)
    check_count("seed", seed, 0)
    if split.decisions != ONE:
        return evaluate_several(
            lambda x: signals.predict(model, x, classes=1),
            model,
            split,
            chosen,
            optional=optional_in(attacks),
            reference=_wants_reference(reference, model, split),
            from_logits=from_logits,
            seed=seed,
        )
    access, has, notes = _access(model, split, chosen, shadows=shadows, from_logits=from_logits, seed=seed)
    optional = optional_in(attacks)
    if split.canaries is None:
        report = judge(access, chosen, optional=optional, notes=notes)
    else:
        report, access = _with_canaries(access, split, chosen, chosen, optional=optional, notes=notes)
    if not _wants_reference(reference, model, split) or access.population is None:
        return report
    of_reference = _judge_reference(access, has, split, chosen)
    return dataclasses.replace(report, reference=of_reference)


def evaluate_canaries(model, split, *, attacks="standard", others="fast", shadows=None, seed=0):
    """`evaluate` of a split with canaries that attacks these, and all other records by other attacks.

    Args:
        model, split, shadows, seed: as for `evaluate`.
        attacks: on the canaries, as there.
        others: on the other records.
    """
    chosen = suite(attacks)
    access, _, notes = _access(model, split, chosen, shadows=shadows, from_logits=None, seed=seed)
    optional = optional_in(attacks) | optional_in(others)
    report, _ = _with_canaries(access, split, chosen, suite(others), optional=optional, notes=notes)
    return report


def _access(model, split, attacks, *, shadows, from_logits, seed):
    """The `Access` to all judged records, what of it holds for other records too, and notes on shadow models."""
    (member_x, member_y), (nonmember_x, nonmember_y) = split.members, split.nonmembers
    # Only scikit-learn's models ask for the number of classes: they leave out those they never saw.
    classes = 1 + max(int(label_indices(y).max()) for y in (member_y, nonmember_y))
    coarse = _serves_coarse(model)
    queried = TakesFrames(model, split.columns) if wants_frames(model, split.columns, member_x) else model

    def query(x):
        return signals.predict(queried, x, classes=classes)

    sides = (query(member_x), member_y), (query(nonmember_x), nonmember_y)
    if from_logits is None and not coarse:
        from_logits = logits_by_last_layer(model)
    from_logits, members, nonmembers = _read(*sides, from_logits=from_logits, coarse=coarse)
    prediction_options = {"from_logits": from_logits, "coarse": coarse}
    held = undefended_classifier(model) if any("weights" in attack.needs for attack in attacks) else None
    has = {"query": query, "model": held, "prediction_options": prediction_options, "seed": seed}
    inputs = member_x, nonmember_x
    reference = split.reference
    if reference is not None and hasattr(queried, "classes_"):  # it may hold a class that nobody else has
        known = label_indices(reference[1]) < members.classes
        reference = take(reference, known) if known.any() else None
    access = Access(members, nonmembers, inputs=inputs, population=reference, **has)
    if not needs_shadows(attacks):
        return access, has, []
    if shadows is None:
        shadows = ShadowFleet.like(model, members=len(members))
    access.shadows = _shadow_models(shadows, access.records, split, seed)
    return access, has, [*getattr(shadows, "notes", ()), *access.shadows.size_notes(len(members))]


def _with_canaries(access, split, attacks, others, *, optional, notes):
    """The report with a section on canaries, and the `Access` to the other records, which `others` attack."""
    access, planted = canaries.apart(access, split.canaries)
    found = canaries.CanaryFigures(split.canaries.kind, judge(planted, attacks, optional=optional))
    report = judge(access, others, optional=optional, notes=[canaries.left_out(split.canaries), *notes])
    report = dataclasses.replace(
        report,
        canaries=found,
        cost={**report.cost, "queries": report.cost["queries"] + found.report.cost["queries"]},
        member_rows=np.setdiff1d(np.arange(len(split.members[1])), split.canaries.members),
    )
    return report, access


def evaluate_predictions(
    member_predictions: ArrayLike,
    member_labels: ArrayLike,
    nonmember_predictions: ArrayLike,
    nonmember_labels: ArrayLike,
    *,
    attacks: Any = "standard",
    shadows: Any = None,
    from_logits: bool | None = None,
    coarse: bool = False,
    decisions: str = ONE,
    seed: int = 0,
) -> PrivacyReport:
    """Attacks a model of any framework through its predictions.

    Args:
        member_predictions, nonmember_predictions: probabilities or logits, (n, classes), or (n,) for two classes.
        member_labels, nonmember_labels: integers (n,) or one-hot (n, classes).
        attacks, seed: as for `evaluate`.
        from_logits: whether the predictions are logits; None decides by looking at them.
        shadows: `ShadowModels` of the same records, members first, for attacks that need them.
        coarse: whether probabilities were rounded or cut, so that they need not sum to one.
        decisions: what a record holds, as in `MembershipSplit`: for `"labels"` predictions are (n, labels), for
            `"positions"` (n, ..., classes).

    Returns:
        A `PrivacyReport`.

    Raises:
        ValueError: as for `evaluate`, and where the two sides differ in classes.

    Example:
    ```python
    forest = RandomForestClassifier().fit(x, y)
    mpreg.evaluate_predictions(forest.predict_proba(x), y, forest.predict_proba(x_other), y_other)
    ```
    """
    chosen = suite(attacks)
    check_count("seed", seed, 0)
    sides = (member_predictions, member_labels), (nonmember_predictions, nonmember_labels)
    if check_decisions(decisions) != ONE:
        if shadows is not None or coarse:
            raise ValueError(
                f'shadows and coarse go with one class a record. Received: decisions="{decisions}"'
            )
        optional = optional_in(attacks)
        return several_report(sides, decisions, chosen, optional=optional, from_logits=from_logits, seed=seed)
    _, members, nonmembers = _read(*sides, from_logits=from_logits, coarse=coarse)
    if shadows is not None:
        _check_shadows(shadows, np.concatenate([members.labels, nonmembers.labels]))
    access = Access(members, nonmembers, shadows=shadows, seed=seed)
    notes = [] if shadows is None else shadows.size_notes(len(members))
    return judge(access, chosen, optional=optional_in(attacks), notes=notes)


def train_shadows(shadows, split, *, seed=0):
    """Trains `ShadowModels` on the records of a split as `evaluate` does, to share them among evaluations.

    Args:
        shadows: a `ShadowFleet`, a `ShadowTraining`, or what trains as these do.
        split: the `MembershipSplit`.
        seed: as for `evaluate`.
    """
    return _shadow_models(shadows, pool(split.members[0], split.nonmembers[0]), split, seed)


def _judge_reference(access, has, split, chosen):
    """The report of the reference records, judged as if they were the members."""
    x, y = access.population
    unknown = len(split.reference[1]) - len(y)
    suspects = signals.read_answers(has["query"](x), y, **has["prediction_options"], side="reference")
    others = access.nonmembers, access.inputs[1]  # canaries are not among them
    access = Access(suspects, others[0], inputs=(x, others[1]), **has)
    able = [attack for attack in chosen if all(access.has(need) for need in attack.needs)]
    notes = [f"{unknown} reference records of classes that no judged record has: left out."][: unknown > 0]
    return judge(access, able, notes=notes)


def _wants_reference(reference, model, split):
    if reference and split.reference is None:
        raise ValueError(f"the split has no reference records to attack. Received: reference={reference!r}")
    if reference is None:
        return split.reference is not None and getattr(model, "consumes_reference", False)
    return reference


def _serves_coarse(model):
    """Whether a model ends in output defences whose answers need not sum to one."""
    if not hasattr(model, "predict_on_batch"):
        return False
    from mpreg.outputs import is_coarse  # it imports Keras, which other models do without

    return is_coarse(model)


def _read(*sides, from_logits, coarse):
    """Whether the answers are logits, and the `Answers` of both sides."""
    members, nonmembers = signals.read_both(*sides, from_logits=from_logits, coarse=coarse)
    from_logits = signals.are_logits([side[0] for side in sides], from_logits=from_logits, coarse=coarse)
    return from_logits, members, nonmembers


def _shadow_models(shadows, records, split, seed):
    labels = np.concatenate([split.members[1], split.nonmembers[1]])
    if isinstance(shadows, ShadowModels):
        return _check_shadows(shadows, label_indices(labels))
    if not hasattr(shadows, "train") or not hasattr(shadows, "count"):
        raise TypeError(
            "shadows must be an mpreg.ShadowFleet, ShadowTraining or ShadowModels. "
            f"Received: {short_repr(shadows)}"
        )
    # A model that leaves a record out leaves its copies out, and its twin.
    groups = canaries.groups_of_pool(records, split)
    count = int(groups.max()) + 1
    size = max(1, round(len(split.members[1]) * count / len(labels)))
    membership = draw_membership(shadows.count, count, size, seed=seed)[:, groups]
    return shadows.train(records, labels, membership=membership, seed=seed)


def _check_shadows(shadows, labels):
    if not isinstance(shadows, ShadowModels):
        raise TypeError(
            f"shadows must be mpreg.ShadowModels: predictions cannot be trained on. Received: {short_repr(shadows)}"
        )
    if len(shadows.labels) != len(labels):
        raise ValueError(
            f"the shadow models answer to {len(shadows.labels):,} records, but {len(labels):,} are judged: "
            "give their answers to the members and then the non-members"
        )
    others = int(np.sum(shadows.labels != labels))
    if others:
        raise ValueError(
            f"the shadow models answer to records of other labels: {others:,} of {len(labels):,} differ from those "
            "that are judged. Train them on this split, members first, then non-members"
        )
    return shadows
