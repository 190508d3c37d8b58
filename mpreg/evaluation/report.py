"""The frozen results of an evaluation: `AttackResult` and `PrivacyReport`."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg._validate import check_count
from mpreg.evaluation import records
from mpreg.metrics import Estimate

SCHEMA = "mpreg.report/1"


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack learns. Every rate is at equal weight of members and non-members, with a 95 % interval.

    Attributes:
        name: the attack.
        key: what kind of attack it is, as in `Attack`; None where it says nothing.
        threat_model: who carries it out, as in `Attack`; None where it says nothing.
        accuracy, precision, recall: of its decisions, each made by a copy that never saw the record. The limits
            of accuracy, recall and AUC allow for records that taught the copies they were judged by.
        auc: area under the ROC of its scores.
        advantage: max TPR - FPR over all thresholds; chosen on the records it is judged on, so it leans upward,
            which its interval covers.
        tpr_at_fpr: true positive rate at a false positive rate, `{0.001: ..., 0.01: ...}`.
        epsilon_lower_bound: empirical lower bound on epsilon, 95 % confidence; a bound on differential privacy
            only where membership was drawn at random for each record.
        member_scores, nonmember_scores: float (n,), in the order of the records; higher means member.
        member_decisions, nonmember_decisions: bool (n,), True where the attack says "member".
        learns: whether it learned from records of known membership.
        notes: what a reader must know, such as too few non-members for a low FPR.
    """

    name: str
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    auc: Estimate
    advantage: Estimate
    tpr_at_fpr: dict
    epsilon_lower_bound: float
    member_scores: np.ndarray = field(repr=False)
    nonmember_scores: np.ndarray = field(repr=False)
    member_decisions: np.ndarray = field(repr=False)
    nonmember_decisions: np.ndarray = field(repr=False)
    learns: bool = True
    notes: tuple = ()
    key: str | None = None
    threat_model: str | None = None

    def to_dict(self):
        """JSON-ready figures, without the scores of single records."""
        rates = ("accuracy", "precision", "recall", "auc", "advantage")
        return {
            "name": self.name,
            "key": self.key,
            "threat_model": self.threat_model,
            **{rate: plain_estimate(getattr(self, rate)) for rate in rates},
            "tpr_at_fpr": {str(fpr): plain_estimate(tpr) for fpr, tpr in self.tpr_at_fpr.items()},
            "epsilon_lower_bound": self.epsilon_lower_bound,
            "members": len(self.member_scores),
            "nonmembers": len(self.nonmember_scores),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class PrivacyReport:
    """What a model gives away about its members, beside what it is good for.

    Attributes:
        train_accuracy, test_accuracy: on members and on non-members, with 95 % Clopper-Pearson intervals.
        attacks: `AttackResult` by name.
        attack_accuracy: the headline, the highest accuracy over all attacks. Its interval holds for all
            attacks at once (Bonferroni), because the strongest was picked by looking.
        strongest_attack: the name of the attack that reached it.
        members, nonmembers, classes: numbers of records and classes.
        seed: seed of the shadow models and the cross-fitting.
        member_labels, nonmember_labels: classes of the records, int (n,).
        cost: what the attacker spent beyond the answers to the judged records: queries to the model, and the
            number of shadow models, their training in seconds and how it was done.
        notes: what a reader must know, such as attacks that were left out.
        provenance: versions of the software.
        reference: a `PrivacyReport` of the reference records that a defence consumed, judged as if they were the
            members; None where they were not attacked.
    """

    train_accuracy: Estimate
    test_accuracy: Estimate
    attacks: dict
    attack_accuracy: Estimate
    strongest_attack: str
    members: int
    nonmembers: int
    classes: int
    seed: int
    member_labels: np.ndarray = field(repr=False)
    nonmember_labels: np.ndarray = field(repr=False)
    cost: dict = field(default_factory=dict)
    notes: tuple = ()
    provenance: dict = field(default_factory=dict, repr=False)
    reference: "PrivacyReport | None" = field(default=None, repr=False)

    @property
    def generalization_gap(self):
        """Training accuracy minus test accuracy."""
        return float(self.train_accuracy) - float(self.test_accuracy)

    @property
    def gap_bound(self):
        """.5 + (train - test) / 2: what an attacker reaches who only sees whether the answer is right."""
        return 0.5 + self.generalization_gap / 2

    @property
    def strongest(self):
        """The `AttackResult` of the strongest attack."""
        return self.attacks[self.strongest_attack]

    def most_vulnerable(self, count=10, *, attack=None):
        """The members that an attack is surest of, as `VulnerableRecord`s, surest first.

        Args:
            count: how many, at least 1.
            attack: name of the attack; None takes the strongest.

        Raises:
            ValueError: `count` below 1, or an unknown attack.

        Example:
        ```python
        for record in report.most_vulnerable(5):
            print(split.members[0][record.index], record.label, record.score, record.fpr)
        ```
        """
        check_count("count", count, 1)
        return records.most_vulnerable(self._attack(attack), self.member_labels, count)

    def leakage_per_class(self, *, attack=None):
        """A `ClassLeakage` for each class: its accuracies and what an attack learns about its records.

        Args:
            attack: name of the attack; None takes the strongest.

        Raises:
            ValueError: an unknown attack.
        """
        gap = self.attacks["gap"]
        return records.leakage_per_class(
            self._attack(attack),
            self.member_labels,
            self.nonmember_labels,
            gap.member_decisions,  # it says "member" where the model is right
            gap.nonmember_decisions,
        )

    def _attack(self, name):
        if name is None:
            return self.strongest
        if name not in self.attacks:
            raise ValueError(f"attack must be one of {list(self.attacks)}. Received: {name!r}")
        return self.attacks[name]

    def to_dict(self):
        """JSON-ready figures; the schema is named and versioned under `schema`."""
        return {
            "schema": SCHEMA,
            "train_accuracy": plain_estimate(self.train_accuracy),
            "test_accuracy": plain_estimate(self.test_accuracy),
            "generalization_gap": self.generalization_gap,
            "gap_bound": self.gap_bound,
            "attack_accuracy": plain_estimate(self.attack_accuracy),
            "strongest_attack": self.strongest_attack,
            "attacks": {name: result.to_dict() for name, result in self.attacks.items()},
            "members": self.members,
            "nonmembers": self.nonmembers,
            "classes": self.classes,
            "seed": self.seed,
            "cost": dict(self.cost),
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
            "reference": None if self.reference is None else self.reference.to_dict(),
        }

    def to_json(self, path=None):
        """The report as JSON text, also written to `path` if given."""
        return write_json(self.to_dict(), path)

    def to_html(self, path, **options):
        """Writes the report as one self-contained page; options as for `mpreg.reports.html.render_html`."""
        from mpreg.reports.html import write_html

        write_html(self, path, **options)

    def to_markdown(self):
        """The report as Markdown: the headline, then a row an attack, strongest first."""
        headline = (
            f"**Strongest attack: {self.strongest_attack}, accuracy {percent_with_interval(self.attack_accuracy)}** "
            f"(guessing: 50.0 %; gap bound: {percent(self.gap_bound)}). Training accuracy "
            f"{percent_with_interval(self.train_accuracy)} on {self.members:,} members, test accuracy "
            f"{percent_with_interval(self.test_accuracy)} on {self.nonmembers:,} non-members."
        )
        ranked = sorted(self.attacks.values(), key=lambda result: -result.accuracy)
        fprs = list(ranked[0].tpr_at_fpr)
        header = [
            "attack",
            "accuracy",
            "AUC",
            "advantage",
            *(f"TPR at {percent(fpr)} FPR" for fpr in fprs),
            "ε ≥",
        ]
        rows = [
            [
                result.name,
                percent_with_interval(result.accuracy),
                format(result.auc, ".3f"),
                format(result.advantage, ".3f"),
                *(percent_with_interval(result.tpr_at_fpr[fpr]) for fpr in fprs),
                f"{result.epsilon_lower_bound:.2f}",
            ]
            for result in ranked
        ]
        if self.reference is not None:
            headline += f" {self._reference_headline()}"
        found = [*self.notes, *(note for result in ranked for note in result.notes), *self._spent()]
        notes = [f"- {note}" for note in dict.fromkeys(found)]
        return "\n".join([headline, "", markdown_table(header, rows), *(["", *notes] if notes else []), ""])

    def _reference_headline(self):
        report = self.reference
        return (
            f"The {report.members:,} reference records that the defence consumed are told from non-members with "
            f"accuracy {percent_with_interval(report.attack_accuracy)} ({report.strongest_attack})."
        )

    def _spent(self):
        if self.cost.get("shadow_models"):
            yield (
                f"The attacker trained {self.cost['shadow_models']} shadow models in "
                f"{self.cost['shadow_seconds']:,.1f} s ({self.cost['shadow_training']})."
            )
        if self.cost.get("queries"):
            yield f"The attacker asked the model about {self.cost['queries']:,} more records."

    def __str__(self):
        return self.to_markdown()


def write_json(content, path=None):
    """JSON text of `content`, also written to `path` if given."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def plain_estimate(estimate):
    """An estimate as a JSON object; null where it is undefined."""
    value, low, high = (
        None if math.isnan(number) else number for number in (float(estimate), *estimate.interval)
    )
    return {"value": value, "low": low, "high": high}
