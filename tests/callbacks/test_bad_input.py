"""Users' mistakes in callbacks."""

import re

from support.wrong_calls import (
    MEMBERS,
    REFERENCE,
    SPARSE_LOGITS,
    SUITES,
    X,
    Y,
    dense,
    split,
    told,
    wrong_calls,
)

from mpreg.callbacks import AdversarialTraining, PrivacyMeter


def fit_with_callback(loss, target=None, reference=REFERENCE):
    model = dense() if target is None else target
    model.compile("sgd", loss)
    model.fit(*MEMBERS, verbose=0, callbacks=[AdversarialTraining(reference, penalty=1.0)])


CALLS = [
    (
        "a negative penalty",
        lambda: AdversarialTraining(REFERENCE, penalty=-1.0),
        ValueError,
        "penalty must be a finite number, at least 0. Received: penalty=-1.0",
    ),
    (
        "softmax under a loss that expects logits",
        lambda: fit_with_callback(SPARSE_LOGITS),
        ValueError,
        re.compile(
            "the target ends in softmax, so it answers with probabilities, but its loss expects logits.*"
        ),
    ),
    (
        "a regression model",
        lambda: fit_with_callback("mse", dense(None, 1), (X, Y % 2)),
        ValueError,
        "the target is not a classifier that mpreg can read: its last layer has no activation and its "
        "loss is not a cross-entropy. Received: loss='mse'. If it answers with logits, say from_logits=True",
    ),
    (
        "no epochs between measurements",
        lambda: PrivacyMeter(split(), every=0),
        ValueError,
        "every must be a whole number, at least 1. Received: every=0",
    ),
    (
        "too few records to measure",
        lambda: PrivacyMeter(split(), records=2),
        ValueError,
        "records must be a whole number, at least 4. Received: records=2",
    ),
    (
        "an unknown suite to measure by",
        lambda: PrivacyMeter(split(), attacks="slow"),
        ValueError,
        f"{SUITES}'slow'",
    ),
    (
        "pairs for a split",
        lambda: PrivacyMeter(((), ())),
        TypeError,
        "split must be an mpreg.MembershipSplit. Received: ((), ())",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
