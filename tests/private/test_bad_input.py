"""Users' mistakes in private training."""

import re

import keras
from support.wrong_calls import X, Y, dense, told, wrap, wrong_calls

import mpreg


def private(target=None, **options):
    options = {"noise_multiplier": 1.0, "l2_norm_clip": 1.0, **options}
    return mpreg.DPSGD(dense() if target is None else target, **options)


def for_budget(**options):
    budget = {"epsilon": 8, "delta": 1e-3, "examples": 100, "batch_size": 10, "epochs": 1, **options}
    return mpreg.DPSGD.for_budget(dense(), **budget)


CALLS = [
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


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)
