"""Users' mistakes in training defences and rebuilt models."""

import re

import keras
import numpy as np
import pytest
from support.wrong_calls import (
    MEMBERS,
    NOT_A_PAIR,
    REFERENCE,
    SPARSE_LOGITS,
    X,
    Y,
    dense,
    segmenting,
    split,
    told,
    two_headed,
    wrap,
    wrong_calls,
)

import mpreg


def fit(loss, target=None, reference=REFERENCE):
    model = wrap(target, reference)
    model.compile("sgd", loss)
    model.fit(MEMBERS[0], MEMBERS[1], verbose=0)


CALLS = [
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
        "(n, classes). Received an output of shape (None, 2, 3). If it answers at many positions, "
        'MembershipSplit(..., decisions="positions") measures it; of the defences, DP-SGD trains such a model',
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
        "inference_network must be one of ['compact', 'nasr2018', 'nasr2018_cifar100', 'nasr2018_texas100'] or a "
        "keras.Model. Received: 'huge'",
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


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda target, x, y: mpreg.AdversarialRegularization(target, (x, y)),
        lambda target, x, y: mpreg.MixUpMMD(target, (x, y)),
        lambda target, x, y: mpreg.RelaxLoss(target, alpha=0.5),
        lambda target, x, y: mpreg.HAMP(target, gamma=0.5, alpha=0.01),
        lambda target, x, y: mpreg.ConfidencePenalty(target, weight=0.1),
    ],
    ids=["game", "MMD", "RelaxLoss", "HAMP", "confidence penalty"],
)
@pytest.mark.parametrize("kind", ["positions", "labels"])
def test_a_target_of_several_decisions_is_refused_with_the_way_to_measure_it(wrap, kind):
    last = {
        "positions": [keras.Input((4,), dtype="int32"), keras.layers.Embedding(5, 3, name="each")],
        "labels": [keras.Input((4,)), keras.layers.Dense(3, "sigmoid")],
    }[kind]
    x, y = np.zeros((4, 4), np.float32), np.zeros((4, 3), int)
    with pytest.raises(ValueError, match=f'decisions="{kind}".*DP-SGD'):
        wrap(keras.Sequential(last), x, y)
