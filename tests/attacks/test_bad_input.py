"""Users' mistakes in attacks and shadow models."""

import re

import numpy as np
from support.wrong_calls import MEMBERS, SUITES, UNIFORM, X, dense, predictions, split, told, wrong_calls

import mpreg
from mpreg import signals
from mpreg.attacks import (
    GapAttack,
    LabelOnlyAttack,
    RandomThresholdAttack,
    RelativeAttack,
    ShadowAttack,
    ThresholdAttack,
    TransferAttack,
    cross_fit,
    noisy,
)


def with_threat_model(said):
    attack = GapAttack()
    attack.threat_model = said
    return attack


def shadow_models(*, models=2, records=20, share=0.5):
    membership = np.broadcast_to(np.arange(records) < share * records, (models, records))
    return mpreg.ShadowModels(membership, np.full((models, records, 3), 1 / 3), np.arange(records) % 3)


def answers():
    return signals.read_both((UNIFORM, MEMBERS[1]), (UNIFORM, MEMBERS[1]))


CALLS = [
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
        "a Keras model fitted in this process does). Pass shadows=mpreg.ShadowFleet(build_fn, epochs=..., "
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
        "build_fn must be a function that returns a compiled model. Received: 3",
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
        "a share of bits in percent",
        lambda: noisy(X, flip=20),
        ValueError,
        "flip must be a share, from 0 to 1. Received: flip=20",
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
        re.compile(
            "attacks must be of fast, standard, strong, whitebox, gap, .*, trained, .*Received: 'gapp'"
        ),
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
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
