"""`evaluate`: attacks a model with a suite of attacks and reports the strongest."""

import math
import platform
from importlib import metadata

from mpreg import __version__, metrics, signals
from mpreg.attacks import cross_fit, suite
from mpreg.data import MembershipSplit, brief, check_count, label_indices
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
        TypeError: a model that gives no scores, or a split that is none.

    Example:
    ```python
    report = mpreg.evaluate(model, split)
    print(report)
    report.to_json("report.json")
    ```
    """
    if not isinstance(split, MembershipSplit):
        raise TypeError(f"split must be an mpreg.MembershipSplit. Received: {brief(split)}")
    (member_x, member_y), (nonmember_x, nonmember_y) = split.members, split.nonmembers
    # Only scikit-learn's models ask for the number of classes: they leave out those they never saw.
    classes = 1 + max(int(label_indices(y).max()) for y in (member_y, nonmember_y))
    return evaluate_predictions(
        signals.predict(model, member_x, classes=classes),
        member_y,
        signals.predict(model, nonmember_x, classes=classes),
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
    check_count("seed", seed, 0)
    members, nonmembers = signals.read_both(
        (member_predictions, member_labels),
        (nonmember_predictions, nonmember_labels),
        from_logits=from_logits,
    )
    results, decisions = {}, {}
    for attack in chosen:
        verdicts = cross_fit(attack, members, nonmembers, seed=seed)
        results[attack.name] = _result(attack, verdicts, seed)
        decisions[attack.name] = verdicts.member_decisions, verdicts.nonmember_decisions
    strongest = max(results, key=lambda name: float(results[name].accuracy))
    return PrivacyReport(
        train_accuracy=_accuracy(members),
        test_accuracy=_accuracy(nonmembers),
        attacks=results,
        attack_accuracy=_headline(results[strongest], decisions[strongest], tried=len(results)),
        strongest_attack=strongest,
        members=len(members),
        nonmembers=len(nonmembers),
        classes=members.classes,
        seed=int(seed),
        provenance=_provenance(),
    )


def _result(attack, verdicts, seed):
    member_scores, nonmember_scores = verdicts.member_scores, verdicts.nonmember_scores
    found = metrics.estimates(
        member_scores,
        nonmember_scores,
        verdicts.member_decisions,
        verdicts.nonmember_decisions,
        confidence=CONFIDENCE,
        fprs=FPRS,
    )
    if attack.learns:
        found |= {name: _widened(found[name]) for name in ("accuracy", "recall", "auc")}
    notes = (metrics.supported_fpr(len(nonmember_scores), fpr) for fpr in FPRS)
    return AttackResult(
        name=attack.name,
        **found,
        epsilon_lower_bound=metrics.epsilon_lower_bound(member_scores, nonmember_scores, seed=seed),
        member_scores=member_scores,
        nonmember_scores=nonmember_scores,
        notes=tuple(note for note in notes if note),
    )


def _widened(estimate):
    """Limits for records that taught the attacks they were judged by.

    In cross-fitting two records in different folds judge each other, so chance likeness of the two counts twice:
    where nothing leaks, the variance of the accuracy is up to twice that of independent records (exactly twice for
    scores linear in the known records). Precision, advantage and the rates at a low FPR have room for that.
    """
    low, high = (float(estimate) + math.sqrt(2) * (limit - estimate) for limit in estimate.interval)
    return Estimate(estimate, max(low, 0.0), min(high, 1.0))


def _headline(result, decisions, *, tried):
    """The strongest attack's accuracy, with limits that hold for all attacks tried (Bonferroni).

    Attacks are so alike that this has room for cross-fitting too, unless few are tried: then the attack's own
    limits, already widened for it, are the wider ones.
    """
    low, high = metrics.balanced_accuracy_interval(*decisions, confidence=1 - (1 - CONFIDENCE) / tried)
    return Estimate(result.accuracy, min(low, result.accuracy.low), max(high, result.accuracy.high))


def _accuracy(answers):
    right = int(signals.correctness(answers).sum())
    return Estimate(
        right / len(answers), *metrics.clopper_pearson(right, len(answers), confidence=CONFIDENCE)
    )


def _provenance():
    versions = {"python": platform.python_version(), "mpreg": __version__}
    for package in ("tensorflow", "keras", "numpy", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
