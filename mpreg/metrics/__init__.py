"""Metrics of membership inference: NumPy functions of scores and decisions, each with its interval.

Conventions, everywhere: member = 1; a higher score = more likely a member; a threshold `t` calls a record a
member when `score >= t`; both sides weigh the same (a 50/50 prior), however many records each has. Scores are
1-D and may be infinite; NaN and empty sides are refused with a `ValueError`.
"""

from mpreg.metrics.curves import attack_advantage, attack_advantage_interval, best_threshold, roc
from mpreg.metrics.epsilon import epsilon_lower_bound
from mpreg.metrics.estimate import Estimate
from mpreg.metrics.low_fpr import FPRS, mean_tpr, supported_fpr, tpr_at_fpr, tpr_at_fpr_interval
from mpreg.metrics.ranking import auc, auc_interval
from mpreg.metrics.rates import (
    balanced_accuracy,
    balanced_accuracy_interval,
    clopper_pearson,
    precision,
    precision_interval,
    recall,
    recall_interval,
)
from mpreg.metrics.summary import estimates

__all__ = [
    "FPRS",
    "Estimate",
    "attack_advantage",
    "attack_advantage_interval",
    "auc",
    "auc_interval",
    "balanced_accuracy",
    "balanced_accuracy_interval",
    "best_threshold",
    "clopper_pearson",
    "epsilon_lower_bound",
    "estimates",
    "mean_tpr",
    "precision",
    "precision_interval",
    "recall",
    "recall_interval",
    "roc",
    "supported_fpr",
    "tpr_at_fpr",
    "tpr_at_fpr_interval",
]
