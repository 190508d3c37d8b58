"""`AttackResult`: what one attack learns about the members."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mpreg.attacks.crossfit import AttackScores
from mpreg.data import distinct_rows
from mpreg.metrics import Estimate
from mpreg.metrics.shapes import roc_shape


@dataclass(frozen=True, eq=False)
class AttackResult:
    """Holds the rates of one attack, at equal weight of members and non-members, each with a 95 % interval.

    Attributes:
        name: the attack.
        accuracy, precision, recall: of its decisions, each made by a copy that never saw the record. The limits
            of accuracy, recall and AUC allow for records that taught the copies they were judged by.
        auc: area under the ROC of its scores.
        advantage: max TPR - FPR over all thresholds; chosen on the records it is judged on, so it leans upward,
            which its interval covers.
        tpr_at_fpr: true positive rate at a false positive rate, `{0: ..., 0.001: ..., 0.01: ...}`; at 0, of members
            that score above every non-member.
        epsilon_lower_bound: empirical lower bound on epsilon, 95 % confidence; a bound on differential privacy
            only where membership was drawn at random for each record.
        member_scores, nonmember_scores: float (n,), in the order of the records; higher means member.
        member_decisions, nonmember_decisions: bool (n,), True where the attack says "member".
        learns: whether it learned from records of known membership.
        notes: what a reader must know, such as too few non-members for a low FPR.
        key: what kind of attack it is, as in `Attack`; None where it says nothing.
        threat_model: who carries it out, as in `Attack`; None where it says nothing.
        level: how far its attacker reaches, of `mpreg.attacks.access.LEVELS`; None where that is not known.
        groups: which rows are one record, a pair of int (n,), as `mpreg.data.group_records` gives them; rates count
            a record once. None: each row is a record of its own.
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
    level: str | None = None
    groups: tuple | None = field(default=None, repr=False)

    @cached_property
    def distinct(self) -> AttackScores:
        """`AttackScores` with one row for each distinct record, from which the rates are computed."""
        verdicts = AttackScores(
            self.member_scores, self.nonmember_scores, self.member_decisions, self.nonmember_decisions
        )
        return verdicts if self.groups is None else verdicts.subset(*map(distinct_rows, self.groups))

    def figures(self) -> dict[str, Any]:
        """JSON-ready figures, without the scores of single records."""
        rates = ("accuracy", "precision", "recall", "auc", "advantage")
        return {
            "name": self.name,
            "key": self.key,
            "threat_model": self.threat_model,
            **{rate: getattr(self, rate).to_dict() for rate in rates},
            "tpr_at_fpr": {str(fpr): tpr.to_dict() for fpr, tpr in self.tpr_at_fpr.items()},
            "epsilon_lower_bound": self.epsilon_lower_bound,
            "members": len(self.member_scores),
            "nonmembers": len(self.nonmember_scores),
            "notes": list(self.notes),
        }

    def to_dict(self) -> dict[str, Any]:
        """The figures and the ROC, as one entry of `attacks` in `docs/report-schema.md`."""
        return {
            **self.figures(),
            "roc": roc_shape(self.distinct.member_scores, self.distinct.nonmember_scores),
        }
