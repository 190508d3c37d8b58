"""Our own defences and attacks keep the contract that strangers' are checked by."""

import numpy as np
import pytest

import mpreg
from mpreg import attacks
from mpreg.attacks import suite
from mpreg.outputs import OutputDefence
from mpreg.testing import check_attack, check_defence
from mpreg.training import TrainingDefence

# name -> functions that make it, and that make it at zero strength
TRAINING = {
    "AdversarialRegularization": (
        lambda target, reference: mpreg.AdversarialRegularization(
            target, reference, penalty=2.0, warmup_epochs=0
        ),
        lambda target, reference: mpreg.AdversarialRegularization(target, reference, penalty=0.0),
    ),
    "ConfidencePenalty": (
        lambda target, _: mpreg.ConfidencePenalty(target, weight=0.5),
        lambda target, _: mpreg.ConfidencePenalty(target, weight=0),
    ),
    "ConvexConcaveLoss": (
        lambda target, _: mpreg.ConvexConcaveLoss(target),
        lambda target, _: mpreg.ConvexConcaveLoss(target, alpha=1.0, scale=1.0),
    ),
    "DPSGD": (
        lambda target, _: mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0, delta=1e-3, seed=0),
        lambda target, _: mpreg.DPSGD(target, noise_multiplier=0, l2_norm_clip=np.inf, delta=1e-3, seed=0),
    ),
    "HAMP": (lambda target, _: mpreg.HAMP(target, gamma=0.5, alpha=0.01), None),
    "LabelSmoothing": (
        lambda target, _: mpreg.LabelSmoothing(target, smoothing=0.2),
        lambda target, _: mpreg.LabelSmoothing(target, smoothing=0),
    ),
    "MixUpMMD": (
        lambda target, reference: mpreg.MixUpMMD(target, reference, mmd_weight=1.0, gap=0),
        lambda target, reference: mpreg.MixUpMMD(target, reference, alpha=None, gap=1.0),
    ),
    "RelaxLoss": (lambda target, _: mpreg.RelaxLoss(target, alpha=0.5), None),
}


def guarded(target, reference):
    guard = mpreg.MemGuard(budget=0.5, seed=0)
    answers = target.predict(reference[0], verbose=0)
    guard.fit(answers[::2], answers[1::2], epochs=1)
    return guard


OUTPUTS = {
    "LabelOnly": (lambda *_: mpreg.LabelOnly(), None),
    "MemGuard": (guarded, None),
    "RankOnly": (lambda target, reference: mpreg.RankOnly.from_model(target, reference[0], seed=0), None),
    "Rounding": (lambda *_: mpreg.Rounding(1), lambda *_: mpreg.Rounding(6)),
    "Temperature": (lambda *_: mpreg.Temperature(5.0), lambda *_: mpreg.Temperature(1.0)),
    "TopK": (lambda *_: mpreg.TopK(2), lambda *_: mpreg.TopK(3)),
    "TopK, renormalized": (lambda *_: mpreg.TopK(2, renormalize=True), None),
}
ATTACKS = {attack.name: lambda attack=attack: attack for attack in suite("strong")}
ATTACKS |= {
    "one shadow": attacks.OneShadowAttack,
    "random threshold": lambda: attacks.RandomThresholdAttack(percent=50),
}


@pytest.mark.parametrize("name", {**TRAINING, **OUTPUTS})
def test_our_defences_keep_their_contract(name):
    make, at_zero = {**TRAINING, **OUTPUTS}[name]
    check_defence(make, at_zero=at_zero)


@pytest.mark.parametrize("name", ATTACKS)
def test_our_attacks_keep_their_contract(name):
    check_attack(ATTACKS[name])


def test_every_public_defence_is_under_contract():
    public = {name: getattr(mpreg, name) for name in mpreg._SAVED}
    assert {name for name, kind in public.items() if issubclass(kind, OutputDefence)} <= set(OUTPUTS)
    # Distillation takes labels that a teacher has packed, which nobody else's data has.
    training = {name for name, kind in public.items() if issubclass(kind, TrainingDefence)}
    assert training - {"Distillation"} <= set(TRAINING)
