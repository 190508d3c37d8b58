"""Users' mistakes in what is evaluated and compared."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC
from support.wrong_calls import (
    LETTERS,
    MEMBERS,
    UNIFORM,
    Y,
    dense,
    predictions,
    segmenting,
    split,
    told,
    two_headed,
    wrong_calls,
)

import mpreg

NO_SCORES = (
    "a model must be a Keras model or have predict_proba, for attacks read class probabilities. Received: "
)


def evaluate(model, on=None):
    return mpreg.evaluate(model, split() if on is None else on, attacks="fast")


CALLS = [
    (
        "NaN",
        lambda: predictions(np.where(UNIFORM > 0, np.nan, 0)),
        ValueError,
        "members: 10 predictions hold NaN or infinite values, the first is row 0",
    ),
    (
        "fewer predictions than labels",
        lambda: predictions(UNIFORM[:9]),
        ValueError,
        "members: there are 9 predictions for 10 labels",
    ),
    (
        "no non-members",
        lambda: predictions(q=UNIFORM[:0], other_y=Y[:0]),
        ValueError,
        "non-members is empty: there must be at least one record",
    ),
    (
        "a single non-member",
        lambda: predictions(q=UNIFORM[:1], other_y=Y[:1]),
        ValueError,
        "an attack needs at least 2 members and 2 non-members: some to learn from and others to judge. "
        "Received: 10 members and 1 non-members",
    ),
    (
        "probabilities that do not sum to one",
        lambda: predictions(q=UNIFORM / 2),
        ValueError,
        "non-members: probabilities must sum to one. 10 rows do not, the first is row 0 with a sum of 0.5. "
        "If these are logits, say from_logits=True; if the model rounds or truncates its answers, coarse=True",
    ),
    (
        "logits for probabilities",
        lambda: predictions(np.tile([-1.0, 0.5, 3], (10, 1)), from_logits=False),
        ValueError,
        "members: probabilities must lie in [0, 1]. Row 0 holds -1 to 3. If these are logits, say from_logits=True",
    ),
    (
        "probabilities for logits",
        lambda: predictions(from_logits=True),
        ValueError,
        "members: predictions were said to be logits, but all rows are probabilities that sum to one. "
        "Say from_logits=False",
    ),
    (
        "labels and predictions swapped",
        lambda: predictions(MEMBERS[1], UNIFORM, MEMBERS[1], UNIFORM),
        ValueError,
        "members: one-hot labels must have a single 1 a row. 10 rows do not, the first is row 0: "
        "array([0.33333333, 0.33333333, 0.33333333])",
    ),
    (
        "predicted classes",
        lambda: predictions(MEMBERS[1], q=MEMBERS[1]),
        ValueError,
        "members: a single column of predictions stands for the classes 0 and 1, but there is a label of 2. "
        "Give class probabilities or logits, (n, classes)",
    ),
    (
        "labels that count from 1",
        lambda: predictions(y=MEMBERS[1] + 1),
        ValueError,
        "members: labels must be below the number of classes, 3. Received a label of 3. "
        "If your labels count from 1, subtract 1",
    ),
    (
        "a label out of range",
        lambda: predictions(other_y=MEMBERS[1] * 7),
        ValueError,
        "non-members: labels must be below the number of classes, 3. Received a label of 14",
    ),
    (
        "one-hot labels of other classes",
        lambda: predictions(y=np.eye(4)[MEMBERS[1]]),
        ValueError,
        "members: one-hot labels of 4 classes do not fit predictions of 3",
    ),
    (
        "models of different classes",
        lambda: predictions(q=np.full((10, 4), 0.25)),
        ValueError,
        "members were scored for 3 classes, non-members for 4: both must come from one model",
    ),
    (
        "three axes",
        lambda: predictions(UNIFORM[None]),
        ValueError,
        "members: predictions must be numbers, shape (n, classes). Received: shape (1, 10, 3), type float64",
    ),
    (
        "a single number",
        lambda: predictions(np.float32(1)),
        ValueError,
        "members: predictions must be numbers, shape (n, classes). Received: shape (), type float32",
    ),
    (
        "text",
        lambda: predictions(UNIFORM.astype("U5")),
        ValueError,
        "members: predictions must be numbers, shape (n, classes). Received: shape (10, 3), type <U5",
    ),
    (
        "text labels",
        lambda: predictions(y=LETTERS),
        ValueError,
        "members: labels must be class indices (n,) or one-hot (n, classes). Received: shape (10,), type <U1",
    ),
    (
        "a softmax over one unit",
        lambda: predictions(np.ones((10, 1)), Y[:10] % 2, np.ones((10, 1)), Y[:10] % 2),
        ValueError,
        "all predictions are a single 1, as from a softmax over one unit, which tells nothing. "
        "Use one unit a class, or a sigmoid for two classes",
    ),
    (
        "a negative seed",
        lambda: predictions(seed=-1),
        ValueError,
        "seed must be a whole number, at least 0. Received: seed=-1",
    ),
    (
        "two pairs for a split",
        lambda: evaluate(dense(), on=((), ())),
        TypeError,
        "split must be an mpreg.MembershipSplit. Received: ((), ())",
    ),
    ("no probabilities", lambda: evaluate(LinearSVC().fit(*MEMBERS)), TypeError, f"{NO_SCORES}LinearSVC()"),
    (
        "a regressor",
        lambda: evaluate(LinearRegression().fit(*MEMBERS)),
        TypeError,
        f"{NO_SCORES}LinearRegression()",
    ),
    ("a function", lambda: evaluate(len), TypeError, f"{NO_SCORES}<built-in function len>"),
    (
        "two outputs",
        lambda: evaluate(two_headed()),
        ValueError,
        "the model must have one output, the class scores. Received: 2 outputs. Evaluate each alone: "
        "mpreg.evaluate(keras.Model(model.inputs, model.outputs[0]), split), or mpreg.evaluate_predictions of "
        "its answers (mpreg audit --member-predictions)",
    ),
    (
        "a regression network",
        lambda: evaluate(dense(None, 1)),
        ValueError,
        "members: a single column of predictions stands for the classes 0 and 1, but there is a label of 2. "
        "Give class probabilities or logits, (n, classes)",
    ),
    (
        "a segmentation network",
        lambda: evaluate(segmenting()),
        ValueError,
        "members: predictions must be numbers, shape (n, classes). Received: shape (10, 2, 3), type float32",
    ),
    (
        "fewer units than classes",
        lambda: evaluate(dense(units=2)),
        ValueError,
        "members: labels must be below the number of classes, 2. Received a label of 2",
    ),
    (
        "classes with names",
        lambda: evaluate(RandomForestClassifier(2).fit(MEMBERS[0], LETTERS)),
        ValueError,
        "the model's classes must be class indices 0, 1, 2, ... Received: array(['a', 'b', 'c'], dtype='<U1')",
    ),
    (
        "nothing to compare",
        lambda: mpreg.compare({}),
        ValueError,
        "compare needs a dict of at least one report by name. Received: {}",
    ),
    (
        "a list to compare",
        lambda: mpreg.compare([1, 2]),
        ValueError,
        "compare needs a dict of at least one report by name. Received: [1, 2]",
    ),
    (
        "figures for a report",
        lambda: mpreg.compare({"undefended": 0.9}),
        ValueError,
        "compare needs PrivacyReport values. Received: 0.9 for 'undefended'",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)


def test_labels_of_one_class_are_no_mistake():
    assert predictions(y=0 * Y[:10], other_y=0 * Y[:10]).train_accuracy == 1.0
