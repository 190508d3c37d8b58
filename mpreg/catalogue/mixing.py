"""Blended records, and answers of like distribution on members and on reference records."""

import dataclasses
import functools

import mpreg
from mpreg.catalogue.defence import ANY, Defence
from mpreg.catalogue.tuned import CHOSEN, EPOCHS


def mixup(task, alpha):
    return task.trained(lambda target: mpreg.MixUpMMD(target, alpha=alpha, mmd_weight=0.0, seed=task.seed))


def mmd(task, weight, *, alpha=0.0):
    return task.trained(
        lambda target: mpreg.MixUpMMD(
            target, task.split.reference, alpha=alpha, mmd_weight=weight, seed=task.seed
        )
    )


_MMD = Defence(
    name="mmd",
    build=mmd,
    source="Li et al., CODASPY 2021",
    knob="weight of the MMD",
    strengths=(0.5, 1.0, 3.0, 10.0),
    usual={**CHOSEN["mmd"], ANY: 3.0},
    epochs=EPOCHS["mmd"],
    consumes_reference=True,
)

FAMILY = (
    Defence(
        name="mixup",
        build=mixup,
        source="Zhang et al., ICLR 2018",
        knob="alpha",
        strengths=(0.2, 0.5, 1.0, 4.0),
        usual={**CHOSEN["mixup"], ANY: 1.0},
        epochs=EPOCHS["mixup"],
    ),
    _MMD,
    dataclasses.replace(
        _MMD,
        name="mixup-mmd",
        build=functools.partial(mmd, alpha=1.0),
        usual={**CHOSEN["mixup-mmd"], ANY: 3.0},
        epochs=EPOCHS["mixup-mmd"],
    ),
)
