"""Several models of one: stacked, or averaged round by round."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import mpreg
from mpreg.catalogue.defence import ANY, Defence
from mpreg.catalogue.tuned import CHOSEN, EPOCHS


def stacking(task, _):
    bases = [task.build, RandomForestClassifier(random_state=task.seed)]
    model = mpreg.Stacking(bases, LogisticRegression(max_iter=1000), seed=task.seed)
    return _fit(task, model)


def membership_invariant(task, match_epochs):
    """Five sub-models, and five epochs of the first phase a round."""
    model = mpreg.MembershipInvariantTraining(task.build, match_epochs=int(match_epochs), seed=task.seed)
    return _fit(task, model).target_model


def _fit(task, model):
    setting = task.setting
    return model.fit(*task.split.members, epochs=setting.epochs, batch_size=setting.batch_size, verbose=0)


FAMILY = (
    Defence(
        name="mist",
        build=membership_invariant,
        source="Li, Li and Ribeiro, USENIX Security 2024",
        knob="epochs of the second phase",
        strengths=(2, 5, 10, 25, 50),
        usual={**CHOSEN["mist"], ANY: 10},
        epochs=EPOCHS["mist"],
    ),
    Defence(name="stacking", build=stacking, source="Salem et al., NDSS 2019"),
)
