"""Attacks that weigh many signals of a record together: a logistic regression and boosted trees, added."""

import numpy as np

from mpreg._threads import one_thread
from mpreg.attacks.base import Attack
from mpreg.signals.trees import MAX_CATEGORIES

STRENGTH, TREES = 0.3, 80  # inverse of the L2 penalty, on standardized signals; number of trees
MANY = 2_000  # known records: of fewer, less is believed
ENOUGH = 10_000  # known records of a side: more teach no more, and take long


class WeighingAttack(Attack):
    """A logistic regression and boosted trees on prepared rows, the label last, of which the trees alone are told.

    The score is the sum of their log-odds: trees see what is not linear, the regression what is rare.
    """

    def fit(self, members, nonmembers, *, seed=0):
        # Slow to import, and thresholds need none of it.
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rng = np.random.default_rng(seed)
        members, nonmembers = (_some(side, rng) for side in (members, nonmembers))
        rows = np.concatenate([members, nonmembers])
        membership = np.repeat([1, 0], [len(members), len(nonmembers)])
        share = min(1.0, len(rows) / MANY)
        regression = LogisticRegression(
            C=STRENGTH * share, max_iter=1000, class_weight="balanced", random_state=seed
        )
        self._regression = make_pipeline(StandardScaler(), regression)
        self._trees = HistGradientBoostingClassifier(
            max_iter=max(1, round(TREES * share)),
            max_depth=3,
            learning_rate=0.06,
            min_samples_leaf=min(40, max(1, len(membership) // 10)),
            l2_regularization=1.0,
            early_stopping=False,
            categorical_features=[rows.shape[1] - 1] if rows[:, -1].max() < MAX_CATEGORIES else None,
            random_state=seed,
        )
        with one_thread():
            self._regression.fit(rows[:, :-1], membership)
            self._trees.fit(rows, membership)
        # Both sides weigh alike, however many known records either has: the regression was told, the trees were not.
        self.threshold = np.log(len(members)) - np.log(len(nonmembers))
        return self

    def score(self, rows):
        with one_thread():
            return self._regression.decision_function(rows[:, :-1]) + self._trees.decision_function(rows)


def _some(side, rng):
    return side if len(side) <= ENOUGH else side[rng.permutation(len(side))[:ENOUGH]]
