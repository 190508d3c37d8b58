"""Regularization that was not made for privacy: weight decay, dropout, softer labels."""

import functools

import mpreg
from mpreg.catalogue.defence import ANY, Defence
from mpreg.catalogue.tuned import CHOSEN, EPOCHS


def l2(task, weight):
    return task.fit(mpreg.with_l2(task.build_model(), weight))


def dropout(task, rate):
    return task.fit(mpreg.with_dropout(task.build_model(), rate, seed=task.seed))


def label_smoothing(task, smoothing):
    return task.trained(functools.partial(mpreg.LabelSmoothing, smoothing=smoothing))


def confidence_penalty(task, weight):
    return task.trained(functools.partial(mpreg.ConfidencePenalty, weight=weight))


FAMILY = (
    Defence(
        name="l2",
        build=l2,
        source="Shokri et al., S&P 2017",
        knob="weight decay",
        strengths=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
        usual={**CHOSEN["l2"], ANY: 1e-3},
        epochs=EPOCHS["l2"],
    ),
    Defence(
        name="dropout",
        build=dropout,
        source="Salem et al., NDSS 2019",
        knob="rate",
        strengths=(0.25, 0.5, 0.75, 0.9),
        usual={**CHOSEN["dropout"], ANY: 0.5},
        epochs=EPOCHS["dropout"],
    ),
    Defence(
        name="label-smoothing",
        build=label_smoothing,
        source="Szegedy et al., CVPR 2016",
        knob="smoothing",
        strengths=(0.1, 0.3, 0.6, 0.9),
        usual={**CHOSEN["label-smoothing"], ANY: 0.3},
        epochs=EPOCHS["label-smoothing"],
    ),
    Defence(
        name="confidence-penalty",
        build=confidence_penalty,
        source="Pereyra et al., 2017",
        knob="weight of the entropy",
        strengths=(0.1, 0.5, 1.0, 2.0),
        usual={**CHOSEN["confidence-penalty"], ANY: 0.5},
        epochs=EPOCHS["confidence-penalty"],
    ),
)
