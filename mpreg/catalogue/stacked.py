"""Several models of one, none of which saw all records."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import mpreg
from mpreg.catalogue.defence import Defence


def stacking(task, _):
    bases = [task.build, RandomForestClassifier(random_state=task.seed)]
    model = mpreg.Stacking(bases, LogisticRegression(max_iter=1000), seed=task.seed)
    return model.fit(
        *task.split.members, epochs=task.setting.epochs, batch_size=task.setting.batch_size, verbose=0
    )


FAMILY = (Defence(name="stacking", build=stacking, source="Salem et al., NDSS 2019"),)
