"""Defences on what the undefended classifier reveals when it is served."""

import mpreg
from mpreg.catalogue.defence import ANY, Defence
from mpreg.catalogue.tuned import CHOSEN, EPOCHS


def served(layer):
    """The `build` of an output defence: `layer(strength)` behind the undefended classifier."""
    return lambda task, strength: mpreg.defend(task.trained(), layer(strength))


def label_only(task, _):
    return mpreg.defend(task.trained(), mpreg.LabelOnly())


def memguard(task, budget):
    model = task.trained()
    guard = mpreg.MemGuard(budget=budget, seed=task.seed)
    answers = (model.predict(x, verbose=0) for x, _ in (task.split.members, task.split.reference))
    guard.fit(*answers)
    return mpreg.defend(model, guard)


def _coarser(name, layer, knob, strengths, usual):
    """One of the mitigations of Shokri et al., who have all of these."""
    return Defence(
        name=name,
        build=served(layer),
        source="Shokri et al., S&P 2017",
        knob=knob,
        strengths=strengths,
        usual={ANY: usual},
    )


FAMILY = (
    _coarser("top-k", mpreg.TopK, "k", (3, 1), 1),
    _coarser("rounding", mpreg.Rounding, "digits", (3, 1), 1),
    _coarser("temperature", mpreg.Temperature, "temperature", (5.0, 20.0), 20.0),
    Defence(name="label-only", build=label_only, source="Shokri et al., S&P 2017"),
    Defence(
        name="memguard",
        build=memguard,
        source="Jia et al., CCS 2019",
        knob="budget",
        strengths=(0.1, 0.3, 1.0),
        usual={**CHOSEN["memguard"], ANY: 1.0},
        epochs=EPOCHS["memguard"],
        consumes_reference=True,
    ),
)
