"""`PrivacyReport`: the accuracy of a model and what attacks learn about its members."""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from mpreg._deprecated import RenamedAttribute
from mpreg._files import write_json
from mpreg._text import plain_text
from mpreg._validate import check_count
from mpreg.data.labels import ONE
from mpreg.evaluation import records
from mpreg.evaluation.canaries import CanaryFigures
from mpreg.evaluation.details import details
from mpreg.evaluation.member_risk import MemberRisk, member_risk
from mpreg.evaluation.result import AttackResult
from mpreg.evaluation.tried import tried
from mpreg.metrics import Estimate
from mpreg.reports.markdown import render_markdown
from mpreg.reports.notebook import notebook_html
from mpreg.reports.schema import REPORT


@dataclass(frozen=True, eq=False)
class PrivacyReport:
    """Holds what attacks learn about a model's members, beside the model's accuracy; frozen.

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
        canaries: `CanaryFigures` of the records that stand out, where the split has some; all other figures leave them
            out. Else None.
        member_rows: rows of the judged members among the split's, ascending, where canaries were left out; None where
            all were judged.
        decisions: what a record holds, as in `MembershipSplit`; of several, all figures are joint.
        per_label: a `PrivacyReport` for each label by its number, where a record has several; else None.
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
    canaries: CanaryFigures | None = field(default=None, repr=False)
    member_rows: np.ndarray | None = field(default=None, repr=False)
    decisions: str = ONE
    per_label: dict | None = field(default=None, repr=False)

    surest = RenamedAttribute("best_at_low_fpr")

    @property
    def generalization_gap(self) -> float:
        """Training accuracy minus test accuracy."""
        return float(self.train_accuracy) - float(self.test_accuracy)

    @property
    def gap_bound(self) -> float:
        """Accuracy of the gap attack, .5 + (train - test) / 2, which only sees whether answers are right."""
        return 0.5 + self.generalization_gap / 2

    @property
    def strongest(self) -> AttackResult:
        """The `AttackResult` of the strongest attack."""
        return self.attacks[self.strongest_attack]

    @property
    def scores(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Scores of members and of non-members by attack, as pairs of float arrays (n,)."""
        return {name: (found.member_scores, found.nonmember_scores) for name, found in self.attacks.items()}

    @cached_property
    def best_at_low_fpr(self) -> AttackResult:
        """The `AttackResult` that ranks members best at low false positive rates, used to name exposed records."""
        return self.attacks[records.best_at_low_fpr(self.attacks)]

    @cached_property
    def member_risk(self) -> MemberRisk:
        """The `MemberRisk` of `best_at_low_fpr`: for each record the probability that it is a member."""
        return member_risk(self.best_at_low_fpr, seed=self.seed)

    def most_vulnerable(
        self, count: int = 10, *, attack: str | None = None
    ) -> list[records.VulnerableRecord]:
        """Returns the members that an attack identifies most confidently as `VulnerableRecord`s, highest first.

        Args:
            count: how many, at least 1.
            attack: name of the attack; None takes `best_at_low_fpr`.

        Raises:
            ValueError: `count` below 1, or an unknown attack.

        Example:
        ```python
        for record in report.most_vulnerable(5):
            print(split.members[0][record.index], record.label, record.risk, record.fpr, record.tied)
        ```
        """
        check_count("count", count, 1)
        result = self.best_at_low_fpr if attack is None else self._attack(attack)
        risk = self.member_risk if result is self.best_at_low_fpr else member_risk(result, seed=self.seed)
        found = records.most_vulnerable(result, self.member_labels, risk.members, count)
        if self.member_rows is None:
            return found
        return [replace(record, index=int(self.member_rows[record.index])) for record in found]

    def leakage_per_class(self, *, attack: str | None = None) -> list[records.ClassLeakage]:
        """Returns a `ClassLeakage` for each class, the one that leaks most first.

        There are none where a record holds several decisions, and no class of its own.

        Args:
            attack: name of the attack; None takes the strongest.

        Raises:
            ValueError: an unknown attack.
        """
        if self.decisions != ONE:
            return []
        gap = next(result for result in self.attacks.values() if result.key == "gap")
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

    def figures(self) -> dict[str, Any]:
        """Returns the figures of `to_dict` alone, without the details that only pages show."""
        return {
            "schema": REPORT,
            "train_accuracy": self.train_accuracy.to_dict(),
            "test_accuracy": self.test_accuracy.to_dict(),
            "generalization_gap": self.generalization_gap,
            "gap_bound": self.gap_bound,
            "attack_accuracy": self.attack_accuracy.to_dict(),
            "strongest_attack": self.strongest_attack,
            "attacks": {name: result.figures() for name, result in self.attacks.items()},
            "members": self.members,
            "nonmembers": self.nonmembers,
            "classes": self.classes,
            "seed": self.seed,
            "cost": dict(self.cost),
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
            "access": tried(self),
            "reference": None if self.reference is None else self.reference.figures(),
            "canaries": None if self.canaries is None else self.canaries.to_dict(),
            **({} if self.per_label is None else {"per_label": self._per_label()}),
        }

    def _per_label(self):
        rates = ("train_accuracy", "test_accuracy", "attack_accuracy")
        return {
            label: {
                **{rate: getattr(report, rate).to_dict() for rate in rates},
                "strongest_attack": report.strongest_attack,
            }
            for label, report in self.per_label.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, as `docs/report-schema.md` describes them.

        It names its schema and version under `schema`, and holds no score of a single record.
        """
        return {
            **self.figures(),
            "attacks": {name: result.to_dict() for name, result in self.attacks.items()},
            "reference": None if self.reference is None else self.reference.to_dict(),
            **details(self),
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> None:
        """Returns the report as JSON text, and writes it to `path` if given."""
        return write_json(self.to_dict(), path)

    def to_html(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Writes the report as one self-contained page; options as for `mpreg.reports.html.render_html`."""
        from mpreg.reports.html import write_html  # its templates are not needed before

        write_html(self, path, **options)

    def to_markdown(self) -> str:
        """Returns the report as Markdown: a summary, then a table with a row for each attack, strongest first."""
        return render_markdown(self.figures())

    def plot_roc(self) -> Any:
        """Plots the ROC of the strongest attacks, linear and log-log; returns a matplotlib `Figure`."""
        from mpreg.reports.figures import plot_attacks  # matplotlib is not needed before

        return plot_attacks(self)

    def plot_histograms(self) -> Any:
        """Plots the attack scores of members and non-members; returns a matplotlib `Figure`."""
        from mpreg.reports.figures import plot_histograms

        return plot_histograms(self)

    def _repr_html_(self):
        return notebook_html(self.figures())

    def __str__(self):
        return plain_text(self.to_markdown())
