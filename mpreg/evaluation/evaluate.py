"""`evaluate`: attacks a model with a suite of attacks and reports the strongest."""

import platform
from importlib import metadata

from mpreg import metrics, signals
from mpreg.attacks import cross_fit, suite
from mpreg.evaluation.report import AttackResult, PrivacyReport
from mpreg.metrics import Estimate

CONFIDENCE = 0.95
FPRS = (0.001, 0.01)


def evaluate(model, split, *, attacks="standard", from_logits=None, seed=0):
    """Attacks a classifier and reports what it gives away.

    The attacker knows the membership of four fifths of the records and judges the last fifth, in turn, so no
    threshold is chosen on records it is judged on. Numbers of members and non-members need not be equal: every
    rate weighs both sides alike.

    Args:
        model: a Keras model, a wrapper of mpreg, or anything with `predict_proba`, that answers with class
            probabilities or logits, (n, classes).
        split: a `MembershipSplit`; its members and non-members are judged.
        attacks: `"fast"` (gap and thresholds), `"standard"` (and a trained attack), or a list of attacks.
        from_logits: whether the model answers with logits; None decides by looking at the answers.
        seed: seed of the cross-fitting.

    Returns:
        A `PrivacyReport`.

    Raises:
        ValueError: answers that are neither probabilities nor logits, labels out of range, fewer than two
            records on a side, or unknown attacks.

    Example:
    ```python
    report = mpreg.evaluate(model, split)
    print(report)
    report.to_json("report.json")
    ```
    """
    (member_x, member_y), (nonmember_x, nonmember_y) = split.members, split.nonmembers
    return evaluate_predictions(
        signals.predict(model, member_x),
        member_y,
        signals.predict(model, nonmember_x),
        nonmember_y,
        attacks=attacks,
        from_logits=from_logits,
        seed=seed,
    )


def evaluate_predictions(
    member_predictions,
    member_labels,
    nonmember_predictions,
    nonmember_labels,
    *,
    attacks="standard",
    from_logits=None,
    seed=0,
):
    """Attacks a model of any framework, given its predictions.

    Args:
        member_predictions, nonmember_predictions: probabilities or logits, (n, classes), or (n,) for two classes.
        member_labels, nonmember_labels: integers (n,) or one-hot (n, classes).
        attacks, from_logits, seed: as for `evaluate`.

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
    members, nonmembers = _read_both(
        (member_predictions, member_labels), (nonmember_predictions, nonmember_labels), from_logits
    )
    results, decisions = {}, {}
    for attack in chosen:
        verdicts = cross_fit(attack, members, nonmembers, seed=seed)
        results[attack.name] = _result(attack.name, verdicts, seed)
        decisions[attack.name] = verdicts.member_decisions, verdicts.nonmember_decisions
    strongest = max(results, key=lambda name: float(results[name].accuracy))
    return PrivacyReport(
        train_accuracy=_accuracy(members),
        test_accuracy=_accuracy(nonmembers),
        attacks=results,
        attack_accuracy=_headline(decisions[strongest], tried=len(results)),
        strongest_attack=strongest,
        members=len(members),
        nonmembers=len(nonmembers),
        classes=members.classes,
        seed=seed,
        provenance=_provenance(),
    )


def _read_both(member_side, nonmember_side, from_logits):
    if from_logits is None:
        # One decision for both sides: a handful of logits may happen to lie in [0, 1].
        from_logits = any(
            signals.look_like_logits(predictions) for predictions, _ in (member_side, nonmember_side)
        )
    members = signals.read_answers(*member_side, from_logits=from_logits, side="members")
    nonmembers = signals.read_answers(*nonmember_side, from_logits=from_logits, side="non-members")
    if members.classes != nonmembers.classes:
        raise ValueError(
            f"members were scored for {members.classes} classes, non-members for {nonmembers.classes}: "
            "both must come from one model"
        )
    return members, nonmembers


def _result(name, verdicts, seed):
    member_scores, nonmember_scores = verdicts.member_scores, verdicts.nonmember_scores
    found = metrics.estimates(
        member_scores,
        nonmember_scores,
        verdicts.member_decisions,
        verdicts.nonmember_decisions,
        confidence=CONFIDENCE,
        fprs=FPRS,
    )
    notes = (metrics.supported_fpr(len(nonmember_scores), fpr) for fpr in FPRS)
    return AttackResult(
        name=name,
        **found,
        epsilon_lower_bound=metrics.epsilon_lower_bound(member_scores, nonmember_scores, seed=seed),
        member_scores=member_scores,
        nonmember_scores=nonmember_scores,
        notes=tuple(note for note in notes if note),
    )


def _headline(decisions, *, tried):
    interval = metrics.balanced_accuracy_interval(*decisions, confidence=1 - (1 - CONFIDENCE) / tried)
    return Estimate(metrics.balanced_accuracy(*decisions), *interval)


def _accuracy(answers):
    right = int(signals.correctness(answers).sum())
    return Estimate(
        right / len(answers), *metrics.clopper_pearson(right, len(answers), confidence=CONFIDENCE)
    )


def _provenance():
    versions = {"python": platform.python_version()}
    for package in ("mpreg", "tensorflow", "keras", "numpy", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            versions[package] = "not installed"
    return versions
