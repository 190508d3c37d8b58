"""Users' mistakes in splits and altered records."""

import re

import numpy as np
import tensorflow as tf
from support.wrong_calls import LETTERS, MEMBERS, NOT_A_PAIR, X, Y, records, split, told, wrong_calls

from mpreg.data import BitFlips, MembershipSplit, Randomize

NOT_INDICES = "labels must be class indices 0, 1, 2, ..."
NOT_CLASSES = "mpreg works on classifiers; for regression targets there are no classes to attack"
TWO_ROLES = (
    "A record in two roles makes every figure wrong: pass "
    'duplicates="drop" to remove the copies, or "allow" if distinct people have equal records'
)


def draw(**options):
    return MembershipSplit.from_arrays(X, Y, **{"members": 5, "reference": 5, "seed": 0, **options})


def with_nan():
    x = MEMBERS[0].copy()
    x[3, 1] = x[4, 2] = np.nan
    return x, MEMBERS[1]


CALLS = [
    ("no non-members", lambda: split(nonmembers=None), ValueError, f"nonmembers {NOT_A_PAIR}None"),
    ("records without labels", lambda: split(5), ValueError, f"members {NOT_A_PAIR}5"),
    (
        "empty non-members",
        lambda: split(nonmembers=(X[:0], Y[:0])),
        ValueError,
        "nonmembers is empty: there must be at least one record",
    ),
    (
        "empty dataset",
        lambda: split(nonmembers=records(X[:0], Y[:0])),
        ValueError,
        "nonmembers is empty: there must be at least one record",
    ),
    (
        "fewer labels than records",
        lambda: split((X[:10], Y[:9])),
        ValueError,
        "members: features and labels must have the same number of records. "
        "Received: [(10, 4)] features and (9,) labels",
    ),
    (
        "a number for records",
        lambda: split((1.0, 2)),
        ValueError,
        "members must hold arrays with a record in each row. Received: (1.0, 2)",
    ),
    (
        "records without features",
        lambda: split((X[:10, :0], Y[:10])),
        ValueError,
        "members: records hold no features. Received: shape (10, 0)",
    ),
    (
        "records of several lengths",
        lambda: split(([[1], [2, 3]], [0, 1])),
        ValueError,
        re.compile("members: all records must have one shape: .*inhomogeneous shape.*"),
    ),
    (
        "NaN features",
        lambda: split(with_nan()),
        ValueError,
        "members: features hold 2 values that are NaN or infinite, in 2 records, the first is record 3. "
        "Impute or drop them",
    ),
    (
        "text and numbers mixed",
        lambda: split((np.array([["a", 1]] * 10, dtype=object), Y[:10])),
        ValueError,
        "members: features must be numbers or text. Received: type object. Encode columns of other types",
    ),
    (
        "records of another shape",
        lambda: split(nonmembers=(X[20:, :3], Y[20:])),
        ValueError,
        "records of members have shape [(4,)], but those of nonmembers have [(3,)]",
    ),
    (
        "inputs of other names",
        lambda: split(({"a": X[:10]}, Y[:10]), None, ({"b": X[20:]}, Y[20:])),
        ValueError,
        "records of members have inputs ['a'], but those of nonmembers have inputs ['b']",
    ),
    (
        "integer and one-hot labels",
        lambda: split(nonmembers=(X[20:], np.eye(3)[Y[20:]])),
        ValueError,
        "labels of members have shape (10,), but those of nonmembers have (20, 3): "
        "use integers or one-hot rows for all",
    ),
    (
        "a regression target",
        lambda: split((X[:10], X[:10, 0] + 0.5)),
        ValueError,
        f"members: {NOT_INDICES} 10 are not, the first is 0.5. {NOT_CLASSES}",
    ),
    (
        "labels -1 and 1",
        lambda: split((X[:10], np.where(Y[:10] == 0, -1, 1))),
        ValueError,
        f"members: {NOT_INDICES} 4 are not, the first is -1. {NOT_CLASSES}",
    ),
    (
        "text labels",
        lambda: split((X[:10], LETTERS)),
        ValueError,
        "members: labels must be class indices (n,) or one-hot (n, classes). Received: shape (10,), type <U1",
    ),
    (
        "soft labels",
        lambda: split((X[:10], np.tile([0.5, 0.25, 0.25], (10, 1)))),
        ValueError,
        "members: one-hot labels must have a single 1 a row. 10 rows do not, the first is row 0: "
        "array([0.5 , 0.25, 0.25])",
    ),
    (
        "NaN labels",
        lambda: split((X[:10], np.r_[np.nan, Y[1:10]])),
        ValueError,
        "members: labels hold 1 values that are NaN or infinite",
    ),
    (
        "labels of three axes",
        lambda: split((X[:10], np.zeros((10, 2, 3)))),
        ValueError,
        "members: labels must be class indices (n,) or one-hot (n, classes). "
        "Received: shape (10, 2, 3), type float64. For a model that decides yes or no on each of several labels, or "
        'a class at each of many positions, say decisions="labels" or decisions="positions" (--decisions): '
        "mpreg.evaluate and mpreg audit attack such models; defences that train, but for DP-SGD, are for one class a "
        "record",
    ),
    (
        "labels without a column",
        lambda: split((X[:10], np.zeros((10, 0)))),
        ValueError,
        "members: labels hold no column. Received: shape (10, 0)",
    ),
    (
        "reference that overlaps members",
        lambda: split(reference=(X[8:20], Y[8:20])),
        ValueError,
        "records that stand in an earlier role too: 2 "
        f"(reference[0] equals members[8], reference[1] equals members[9]). {TWO_ROLES}",
    ),
    (
        "members for non-members",
        lambda: split(nonmembers=MEMBERS),
        ValueError,
        "records that stand in an earlier role too: 10 (nonmembers[0] equals members[0], nonmembers[1] equals "
        f"members[1], nonmembers[2] equals members[2], ...). {TWO_ROLES}",
    ),
    (
        "nothing left without copies",
        lambda: split(nonmembers=MEMBERS, duplicates="drop"),
        ValueError,
        "every record of nonmembers is a copy of one in an earlier role: nothing is left of it",
    ),
    (
        "unknown choice for duplicates",
        lambda: split(duplicates="ignore"),
        ValueError,
        "duplicates must be one of ('error', 'drop', 'allow'). Received: 'ignore'",
    ),
    (
        "endless dataset",
        lambda: split(records(*MEMBERS).repeat()),
        ValueError,
        "members: an infinite tf.data.Dataset has no last record. Take what you need with .take(n)",
    ),
    (
        "dataset with sample weights",
        lambda: split(records(*MEMBERS, np.ones(10))),
        ValueError,
        re.compile(r"members: a dataset must yield pairs \(x, y\)\. Received elements: \(TensorSpec.*\)"),
    ),
    (
        "dataset of unknown shapes",
        lambda: split(tf.data.Dataset.from_generator(lambda: [(X[0], 0)], (tf.float32, tf.int32))),
        ValueError,
        re.compile(
            r"a dataset must tell the shapes of its elements: give from_generator an output_signature, or "
            r"set_shape\. Received elements: \(TensorSpec.*\)"
        ),
    ),
    (
        "more records than there are",
        lambda: draw(members=30, reference=20),
        ValueError,
        "there are 40 records, but members=30, reference=20 and nonmembers=at least 1 need 51. Ask for fewer",
    ),
    (
        "a share for a number",
        lambda: draw(members=0.5),
        ValueError,
        "members must be a whole number, at least 1. Received: members=0.5",
    ),
    (
        "a flag for a number",
        lambda: draw(reference=True),
        ValueError,
        "reference must be a whole number, at least 0. Received: reference=True",
    ),
    (
        "a negative number",
        lambda: draw(members=-1),
        ValueError,
        "members must be a whole number, at least 1. Received: members=-1",
    ),
    (
        "no non-member asked for",
        lambda: draw(nonmembers=0),
        ValueError,
        "nonmembers must be a whole number, at least 1. Received: nonmembers=0",
    ),
    (
        "no seed",
        lambda: draw(seed=None),
        ValueError,
        "seed must be a whole number, at least 0. Received: seed=None",
    ),
    (
        "too much noise in bits",
        lambda: BitFlips((0.6,)),
        ValueError,
        "rates must be numbers above 0 and at most 0.5. Received: rates=(0.6,)",
    ),
    (
        "limits the wrong way round",
        lambda: Randomize((3,), low=2),
        ValueError,
        "low must not be above high for any feature. Received: low=2, high=1.0",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
