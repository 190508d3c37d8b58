"""Users' mistakes in output defences."""

import re

from support.wrong_calls import UNIFORM, dense, told, wrong_calls

import mpreg

CALLS = [
    (
        "no probability",
        lambda: mpreg.TopK(0),
        ValueError,
        "k must be a whole number, at least 1. Received: k=0",
    ),
    (
        "more probabilities than classes",
        lambda: mpreg.TopK(4)(UNIFORM),
        ValueError,
        "k must be at most the number of classes, 3. Received: k=4",
    ),
    ("many digits", lambda: mpreg.Rounding(8), ValueError, "digits must be at most 7. Received: digits=8"),
    (
        "digits below none",
        lambda: mpreg.Rounding(-1),
        ValueError,
        "digits must be a whole number, at least 0. Received: digits=-1",
    ),
    (
        "a temperature of absolute zero",
        lambda: mpreg.Temperature(0),
        ValueError,
        "temperature must be a number above 0, from 1e-30 to 1e+30. Received: temperature=0",
    ),
    (
        "a budget below none",
        lambda: mpreg.MemGuard(-1),
        ValueError,
        "budget must be a number from 0 to 2. Received: budget=-1",
    ),
    (
        "a guard that was not fitted",
        lambda: mpreg.MemGuard()(UNIFORM),
        ValueError,
        "MemGuard has no defence classifier yet: call fit(member_predictions, nonmember_predictions) first",
    ),
    (
        "nothing to defend with",
        lambda: mpreg.defend(dense()),
        ValueError,
        "give at least one output defence, such as TopK(3)",
    ),
    (
        "logits for an output defence",
        lambda: mpreg.TopK(1)(UNIFORM * 9),
        ValueError,
        re.compile(r"probabilities must lie in \[0, 1\]\. 10 rows do not, the first is row 0: .*"),
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
