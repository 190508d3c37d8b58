"""Users' mistakes in scores."""

import numpy as np
from support.wrong_calls import told, wrong_calls

from mpreg import metrics

CALLS = [
    (
        "no scores",
        lambda: metrics.auc([], [1.0]),
        ValueError,
        "member_scores must hold at least one record. Received: shape=(0,)",
    ),
    (
        "NaN scores",
        lambda: metrics.auc([1.0, np.nan], [0.0]),
        ValueError,
        "member_scores must not hold NaN. Received: 1 NaN among 2 scores",
    ),
    (
        "scores for decisions",
        lambda: metrics.balanced_accuracy([0.3, 0.9], [True]),
        ValueError,
        "member_decisions must be boolean. Received: a value of 0.3",
    ),
    (
        "a false positive rate in percent",
        lambda: metrics.tpr_at_fpr([1.0], [0.0], fpr=1),
        ValueError,
        "fpr must be at least 0 and below 1. Received: fpr=1",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
