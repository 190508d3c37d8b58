"""Losses that hold members back from being answered with full confidence."""

import functools

import numpy as np

import mpreg
from mpreg.attacks import Randomize
from mpreg.catalogue.defence import ANY, Defence
from mpreg.catalogue.tuned import CHOSEN, EPOCHS
from mpreg.data import map_arrays

RANDOM_INPUTS = 512  # whose scores take the place of those that are served, for HAMP


def relaxloss(task, alpha):
    options = {**task.published("relaxloss"), "alpha": alpha}
    return task.trained(functools.partial(mpreg.RelaxLoss, **options))


def convex_concave(task, alpha):
    return task.trained(functools.partial(mpreg.ConvexConcaveLoss, alpha=alpha))


def hamp(task, gamma):
    """Soft labels and an entropy reward in training; served answers keep their order alone."""
    options = {"alpha": 0.03, **task.published("hamp"), "gamma": gamma}
    model = task.trained(functools.partial(mpreg.HAMP, **options))
    rng = np.random.default_rng(task.seed)
    noise = map_arrays(lambda array: Randomize.like(array).draw(RANDOM_INPUTS, rng), task.split.members[0])
    return mpreg.defend(model, mpreg.RankOnly.from_model(model, noise, seed=task.seed))


FAMILY = (
    Defence(
        name="relaxloss",
        build=relaxloss,
        source="Chen et al., ICLR 2022",
        knob="target loss",
        strengths=(0.2, 0.5, 0.8, 1.2, 1.6, 2.0),
        usual={**CHOSEN["relaxloss"], "purchase100-like": 0.8, ANY: 1.0},
        epochs=EPOCHS["relaxloss"],
    ),
    Defence(
        name="ccl",
        build=convex_concave,
        source="Liu et al., ICML 2024",
        knob="weight of the cross-entropy",
        strengths=(0.9, 0.7, 0.5, 0.3),
        usual={**CHOSEN["ccl"], ANY: 0.5},
        epochs=EPOCHS["ccl"],
    ),
    Defence(
        name="hamp",
        build=hamp,
        source="Chen and Pattabiraman, NDSS 2024",
        knob="entropy of the labels",
        strengths=(0.3, 0.5, 0.7, 0.8, 0.95),
        usual={**CHOSEN["hamp"], "purchase100-like": 0.8, "cifar10": 0.95, ANY: 0.5},
        epochs=EPOCHS["hamp"],
    ),
)
