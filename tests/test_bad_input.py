"""Users' mistakes, each with the exact words that it meets: a table of wrong calls.

A message is given in full; a compiled pattern, for what Keras or NumPy add to it, must match in full too.
"""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.svm import LinearSVC

import mpreg
from mpreg import MembershipSplit, datasets, metrics, networks, signals
from mpreg.attacks import (
    BitFlips,
    GapAttack,
    LabelOnlyAttack,
    Randomize,
    RandomThresholdAttack,
    RelativeAttack,
    ShadowAttack,
    ThresholdAttack,
    TransferAttack,
    cross_fit,
    noisy,
)
from mpreg.callbacks import AdversarialTraining, PrivacyMeter
from mpreg.networks.inference import build_inference_network

X = np.arange(160, dtype=np.float32).reshape(40, 4)
Y = np.arange(40) % 3
MEMBERS, REFERENCE, NONMEMBERS = (X[:10], Y[:10]), (X[10:20], Y[10:20]), (X[20:], Y[20:])
UNIFORM = np.full((10, 3), 1 / 3)
LETTERS = np.array(list("abcabcabca"))


def split(members=MEMBERS, reference=REFERENCE, nonmembers=NONMEMBERS, **options):
    return MembershipSplit(members, reference, nonmembers, **options)


def draw(**options):
    return MembershipSplit.from_arrays(X, Y, **{"members": 5, "reference": 5, "seed": 0, **options})


def predictions(p=UNIFORM, y=MEMBERS[1], q=UNIFORM, other_y=MEMBERS[1], **options):
    return mpreg.evaluate_predictions(p, y, q, other_y, **{"attacks": "fast", **options})


def with_threat_model(said):
    attack = GapAttack()
    attack.threat_model = said
    return attack


def shadow_models(*, models=2, records=20, share=0.5):
    membership = np.broadcast_to(np.arange(records) < share * records, (models, records))
    return mpreg.ShadowModels(membership, np.full((models, records, 3), 1 / 3), np.arange(records) % 3)


def evaluate(model, on=None):
    return mpreg.evaluate(model, split() if on is None else on, attacks="fast")


def dense(activation="softmax", units=3):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])


def two_headed():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(3, "softmax")(inputs), keras.layers.Dense(1)(inputs)])


def segmenting():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), keras.layers.Reshape((2, 3))])


def wrap(target=None, reference=REFERENCE, **options):
    return mpreg.AdversarialRegularization(
        dense() if target is None else target, reference, **{"penalty": 1.0, **options}
    )


def fit(loss, target=None, reference=REFERENCE):
    model = wrap(target, reference)
    model.compile("sgd", loss)
    model.fit(MEMBERS[0], MEMBERS[1], verbose=0)


def fit_with_callback(loss, target=None, reference=REFERENCE):
    model = dense() if target is None else target
    model.compile("sgd", loss)
    model.fit(*MEMBERS, verbose=0, callbacks=[AdversarialTraining(reference, penalty=1.0)])


def with_nan():
    x = MEMBERS[0].copy()
    x[3, 1] = x[4, 2] = np.nan
    return x, MEMBERS[1]


def records(*columns):
    return tf.data.Dataset.from_tensor_slices(columns)


def answers():
    return signals.read_both((UNIFORM, MEMBERS[1]), (UNIFORM, MEMBERS[1]))


NOT_A_PAIR = "must be a pair (x, y) or a tf.data.Dataset of (x, y). Received: "
NOT_INDICES = "labels must be class indices 0, 1, 2, ..."
NOT_CLASSES = "mpreg works on classifiers; for regression targets there are no classes to attack"
NO_SCORES = (
    "a model must be a Keras model or have predict_proba, for attacks read class probabilities. Received: "
)
TWO_ROLES = (
    "A record in two roles makes every figure wrong: pass "
    'duplicates="drop" to remove the copies, or "allow" if distinct people have equal records'
)
SUITES = 'attacks must be "fast", "standard", "strong" or a list of attacks. Received: '
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

SPLITS = [
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
        "Received: shape (10, 2, 3), type float64",
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
]

PREDICTIONS = [
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
]

MODELS = [
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
        "the model must have one output, the class scores. Received: 2 outputs",
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
]

ATTACKS = [
    ("an unknown suite", lambda: predictions(attacks="everything"), ValueError, f"{SUITES}'everything'"),
    (
        "the strong suite for predictions alone",
        lambda: predictions(attacks="strong"),
        ValueError,
        "attack 'shadow' needs shadow models, which this evaluation has not. Pass shadows= a mpreg.ShadowFleet or "
        "ShadowTraining to mpreg.evaluate, or ready mpreg.ShadowModels",
    ),
    (
        "the strong suite for a model that does not tell how it was trained",
        lambda: mpreg.evaluate(dense(), split(), attacks="strong"),
        ValueError,
        'attacks="strong" trains shadow models like the target, and this model does not tell how it was trained (only '
        "a Keras model fitted in this process does). Pass shadows=mpreg.ShadowFleet(model_fn, epochs=..., "
        "batch_size=...), or shadows=mpreg.ShadowTraining(train) with your own training function",
    ),
    (
        "a number for shadow models",
        lambda: mpreg.evaluate(dense(), split(), attacks="strong", shadows=16),
        TypeError,
        "shadows must be an mpreg.ShadowFleet, ShadowTraining or ShadowModels. Received: 16",
    ),
    (
        "shadow models that answer to other records",
        lambda: predictions(attacks=[ShadowAttack()], shadows=shadow_models(records=9)),
        ValueError,
        "the shadow models answer to 9 records, but 20 are judged: give their answers to the members and then the "
        "non-members",
    ),
    (
        "one shadow model",
        lambda: shadow_models(models=1),
        ValueError,
        "shadow attacks need at least 2 shadow models. Received: 1",
    ),
    (
        "a shadow model that saw everything",
        lambda: shadow_models(share=1),
        ValueError,
        "a shadow model must have seen some records of the pool and not others. Model 0 was trained on all of them",
    ),
    (
        "a trained model for a function that makes one",
        lambda: mpreg.ShadowFleet(3, epochs=1),
        ValueError,
        "model_fn must be a function that returns a compiled model. Received: 3",
    ),
    (
        "an attacker of another kind",
        lambda: ShadowAttack("mlp"),
        ValueError,
        "classifier must be a scikit-learn classifier with predict_proba, or a function that returns a compiled "
        "Keras network. Received: 'mlp'",
    ),
    (
        "predictions that cannot be another model's",
        lambda: TransferAttack(UNIFORM, UNIFORM / 2),
        ValueError,
        re.compile(r"non-members: probabilities must sum to one\. 10 rows do not.*", re.DOTALL),
    ),
    (
        "a share above one hundred",
        lambda: RandomThresholdAttack(percent=110),
        ValueError,
        "percent must be from 0 to 100. Received: percent=110",
    ),
    (
        "a gamma that any record beats",
        lambda: RelativeAttack(gamma=0.9),
        ValueError,
        "gamma must be at least 1. Received: gamma=0.9",
    ),
    (
        "an augmentation that is no function",
        lambda: LabelOnlyAttack("noise"),
        ValueError,
        "augment must be a function of inputs that yields altered copies of them, or None. Received: 'noise'",
    ),
    (
        "too much noise in bits",
        lambda: BitFlips((0.6,)),
        ValueError,
        "rates must be numbers above 0 and at most 0.5. Received: rates=(0.6,)",
    ),
    (
        "a share of bits in percent",
        lambda: noisy(X, flip=20),
        ValueError,
        "flip must be a share, from 0 to 1. Received: flip=20",
    ),
    (
        "limits the wrong way round",
        lambda: Randomize((3,), low=2),
        ValueError,
        "low must not be above high for any feature. Received: low=2, high=1.0",
    ),
    ("no suite", lambda: predictions(attacks=None), ValueError, f"{SUITES}None"),
    (
        "an empty list",
        lambda: predictions(attacks=[]),
        ValueError,
        'attacks is empty. Use "standard", or list at least one attack',
    ),
    (
        "a class for an attack",
        lambda: predictions(attacks=[GapAttack]),
        ValueError,
        "an attack must be an mpreg.attacks.Attack with a name, fit and score. "
        "Received: <class 'mpreg.attacks.gap.GapAttack'>",
    ),
    (
        "no attack",
        lambda: predictions(attacks=[3]),
        ValueError,
        "an attack must be an mpreg.attacks.Attack with a name, fit and score. Received: 3",
    ),
    (
        "the key of no attack",
        lambda: predictions(attacks=["gap", "gapp"]),
        ValueError,
        re.compile("attacks must be of fast, standard, strong, gap, .*, trained, .*Received: 'gapp'"),
    ),
    (
        "a threat model that is no text",
        lambda: predictions(attacks=[with_threat_model(3)]),
        ValueError,
        "the threat_model of an attack must be text or None. Received: 3 of 'gap'",
    ),
    (
        "an attack twice",
        lambda: predictions(attacks=[ThresholdAttack("loss"), ThresholdAttack("loss")]),
        ValueError,
        "attacks must have different names. Received: ['gap', 'loss threshold', 'loss threshold']",
    ),
    (
        "an unknown signal",
        lambda: ThresholdAttack("gradient"),
        ValueError,
        "signal must be one of ['confidence', 'entropy', 'loss', 'modified entropy']. Received: 'gradient'",
    ),
    (
        "a single fold",
        lambda: cross_fit(GapAttack(), *answers(), folds=1),
        ValueError,
        "folds must be a whole number, at least 2. Received: folds=1",
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

DEFENCES = [
    (
        "a negative penalty",
        lambda: wrap(penalty=-1),
        ValueError,
        "penalty must be a finite number, at least 0. Received: penalty=-1",
    ),
    (
        "a penalty in text",
        lambda: wrap(penalty="3"),
        ValueError,
        "penalty must be a finite number, at least 0. Received: penalty='3'",
    ),
    (
        "an endless penalty",
        lambda: wrap(penalty=float("inf")),
        ValueError,
        "penalty must be a finite number, at least 0. Received: penalty=inf",
    ),
    ("no model", lambda: wrap("net"), ValueError, "target must be a keras.Model. Received: 'net'"),
    ("no reference", lambda: wrap(reference=None), ValueError, f"reference {NOT_A_PAIR}None"),
    (
        "the split for the reference",
        lambda: wrap(reference=split()),
        ValueError,
        f"reference {NOT_A_PAIR}MembershipSplit(members=10, reference=10, nonmembers=20)",
    ),
    (
        "an empty reference",
        lambda: wrap(reference=(X[:0], Y[:0])),
        ValueError,
        "reference is empty: there must be at least one record",
    ),
    (
        "reference records of another shape",
        lambda: wrap(reference=(X[:, :3], Y)),
        ValueError,
        re.compile(
            r"the target cannot score the reference records: calling it on one, of shape \(1, 3\), failed: .*"
            r"expected axis -1 of input shape to have value 4.*",
            re.DOTALL,
        ),
    ),
    (
        "reference labels that count from 1",
        lambda: wrap(reference=(X, Y + 1)),
        ValueError,
        "reference: labels must be below the number of classes, 3. Received a label of 3. "
        "If your labels count from 1, subtract 1",
    ),
    (
        "reference labels of other classes",
        lambda: wrap(reference=(X, np.eye(4)[Y])),
        ValueError,
        "reference labels have 4 columns, but the target has 3 classes",
    ),
    (
        "a target of two outputs",
        lambda: wrap(two_headed()),
        ValueError,
        re.compile(r"the target must have one output, the class scores\. Received 2 outputs: .*", re.DOTALL),
    ),
    (
        "a target that segments",
        lambda: wrap(segmenting()),
        ValueError,
        "the target must be a classifier that answers with one row of class scores a record, shape "
        "(n, classes). Received an output of shape (1, 2, 3)",
    ),
    (
        "no attack steps",
        lambda: wrap(attack_steps=0),
        ValueError,
        "attack_steps must be a whole number, at least 1. Received: attack_steps=0",
    ),
    (
        "a flag for attack steps",
        lambda: wrap(attack_steps=True),
        ValueError,
        "attack_steps must be a whole number, at least 1. Received: attack_steps=True",
    ),
    (
        "an empty reference batch",
        lambda: wrap(reference_batch_size=0),
        ValueError,
        "reference_batch_size must be a whole number, at least 1. Received: reference_batch_size=0",
    ),
    (
        "a negative warm-up",
        lambda: wrap(warmup_epochs=-1),
        ValueError,
        "warmup_epochs must be a whole number, at least 0. Received: warmup_epochs=-1",
    ),
    (
        "an unknown inference network",
        lambda: wrap(inference_network="huge"),
        ValueError,
        "inference_network must be one of ['compact', 'nasr2018'] or a keras.Model. Received: 'huge'",
    ),
    (
        "a number for an inference network",
        lambda: build_inference_network(3, 10),
        ValueError,
        "inference_network must be one of ['compact', 'nasr2018'] or a keras.Model called on "
        "[log_probabilities, labels]. Received: 3",
    ),
    (
        "an inference network of one input",
        lambda: build_inference_network(dense(), 3),
        ValueError,
        re.compile(
            r"inference_network must accept \[log_probabilities, labels\], both of shape \(n, 3\)\. "
            r"Calling it failed: .*",
            re.DOTALL,
        ),
    ),
    (
        "softmax under a loss that expects logits",
        lambda: fit(SPARSE_LOGITS),
        ValueError,
        re.compile(
            r"the target ends in softmax, so it answers with probabilities, but its loss expects logits\. "
            r"Remove from_logits=True from the loss, or the activation\. Received: loss=.*"
        ),
    ),
    (
        "logits under a loss that expects probabilities",
        lambda: fit("sparse_categorical_crossentropy", dense(None)),
        ValueError,
        "the target answers with logits (its last layer has no activation), but its loss takes them for "
        "probabilities. Use a loss with from_logits=True, or end in softmax. "
        "Received: loss='sparse_categorical_crossentropy'",
    ),
    (
        "a regression model",
        lambda: fit("mse", dense(None, 1), (X, Y % 2)),
        ValueError,
        "the target is not a classifier that mpreg can read: its last layer has no activation and its "
        "loss is not a cross-entropy. Received: loss='mse'. If it answers with logits, say from_logits=True",
    ),
    (
        "training without compiling",
        lambda: wrap().fit(*MEMBERS),
        ValueError,
        "You must call `compile()` before using the model.",
    ),
]

CALLBACKS = [
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

OTHERS = [
    (
        "an unknown data set",
        lambda: datasets.load("imagenet"),
        ValueError,
        f"There is no data set 'imagenet'. Choose one of: {', '.join(datasets.names())}",
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
        "fpr must lie strictly between 0 and 1. Received: fpr=1",
    ),
    (
        "a single class",
        lambda: networks.purchase_mlp(classes=1),
        ValueError,
        "classes must be an integer of at least 2. Received: classes=1",
    ),
    (
        "a depth that no DenseNet has",
        lambda: networks.densenet_bc(classes=10, depth=41),
        ValueError,
        "depth must be 6n + 4 for n bottlenecks a block, such as 22, 40 or 100. Received: depth=41",
    ),
]

OUTPUTS = [
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
    (
        "L2 below none",
        lambda: mpreg.with_l2(dense(), -1),
        ValueError,
        "l2 must be a finite number of at least 0. Received: l2=-1",
    ),
    (
        "a rate of dropout that leaves nothing",
        lambda: mpreg.with_dropout(dense(), 1),
        ValueError,
        "rate must be a share in [0, 1), 0 for none. Received: rate=1",
    ),
    (
        "weight decay for a wrapper",
        lambda: mpreg.with_l2(wrap(), 1e-3),
        ValueError,
        re.compile(
            r"only Sequential and functional models can be rebuilt: .* of class AdversarialRegularization"
        ),
    ),
]


def private(target=None, **options):
    options = {"noise_multiplier": 1.0, "l2_norm_clip": 1.0, **options}
    return mpreg.DPSGD(dense() if target is None else target, **options)


def for_budget(**options):
    budget = {"epsilon": 8, "delta": 1e-3, "examples": 100, "batch_size": 10, "epochs": 1, **options}
    return mpreg.DPSGD.for_budget(dense(), **budget)


PRIVATE = [
    (
        "noise below none",
        lambda: private(noise_multiplier=-1.0),
        ValueError,
        "noise_multiplier must be a finite number, at least 0 (0 is no privacy). Received: noise_multiplier=-1.0",
    ),
    (
        "a clip norm of zero",
        lambda: private(l2_norm_clip=0),
        ValueError,
        "l2_norm_clip must be a number above 0. Received: l2_norm_clip=0",
    ),
    (
        "noise on gradients that are not clipped",
        lambda: private(l2_norm_clip=float("inf")),
        ValueError,
        "noise is a multiple of the clip norm, so l2_norm_clip must be finite where noise_multiplier is above 0. "
        "Received: l2_norm_clip=inf, noise_multiplier=1.0",
    ),
    (
        "batch normalization",
        lambda: private(keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="bn")])),
        ValueError,
        "layer 'bn' (BatchNormalization) mixes the records of a batch or keeps statistics of them, so no gradient "
        "belongs to one record alone. Use keras.layers.GroupNormalization or LayerNormalization instead, or freeze it "
        "with layer.trainable = False",
    ),
    (
        "a wrapper for a target",
        lambda: private(wrap()),
        ValueError,
        "DPSGD clips the gradient of each record by itself, which the parts of a training defence do not allow: "
        "MembershipGame trains its inference network on the members' answers as they are. Give it the target alone, "
        "AdversarialRegularization.target_model",
    ),
    (
        "no budget",
        lambda: for_budget(epsilon=0),
        ValueError,
        re.compile(r"epsilon must .*Received: epsilon=0"),
    ),
    (
        "a delta of one",
        lambda: for_budget(delta=1.0),
        ValueError,
        re.compile(r"delta must .*Received: delta=1\.0"),
    ),
    (
        "a batch of more than all",
        lambda: mpreg.poisson_batches(X, Y, batch_size=41),
        ValueError,
        re.compile(r".*batch_size=41.*"),
    ),
]

TABLES = {
    "split": SPLITS,
    "predictions": PREDICTIONS,
    "model": MODELS,
    "attack": ATTACKS,
    "defence": DEFENCES,
    "callback": CALLBACKS,
    "outputs": OUTPUTS,
    "privacy": PRIVATE,
    "other": OTHERS,
}
CALLS = [
    pytest.param(call, error, message, id=f"{table}: {name}")
    for table, rows in TABLES.items()
    for name, call, error, message in rows
]


@pytest.mark.parametrize(("call", "error", "message"), CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    text = str(caught.value)
    if isinstance(message, str):
        assert text == message
    else:
        assert message.fullmatch(text), text


def test_labels_of_one_class_are_no_mistake():
    assert predictions(y=0 * Y[:10], other_y=0 * Y[:10]).train_accuracy == 1.0
