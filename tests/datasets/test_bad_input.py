"""Users' mistakes in the names and options of data sets."""

from support.wrong_calls import told, wrong_calls

from mpreg import datasets

CALLS = [
    (
        "an unknown data set",
        lambda: datasets.load("imagenet"),
        ValueError,
        f"There is no data set 'imagenet'. Choose one of: {', '.join(datasets.names())}; or the path of a file of your "
        "own",
    ),
    (
        "a number of records of a real data set",
        lambda: datasets.load("digits", records=5),
        ValueError,
        "records applies to 'purchase100-like' only: 'digits' is loaded whole. Received: records=5",
    ),
    (
        "no records of the synthetic one",
        lambda: datasets.load("purchase100-like", records=0),
        ValueError,
        "records must be an integer of at least 1. Received: records=0",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
