"""Attacks that fit a logistic regression to prepared features."""

import numpy as np

from mpreg._threads import one_thread
from mpreg.attacks.base import Attack


class RegressionAttack(Attack):
    """Fits a logistic regression to prepared features; its log-odds are the scores.

    Both sides weigh alike, however many known records either has.

    Attributes:
        strength: inverse of the L2 penalty.
        scaled: whether columns are brought to one scale first; what is 0 or 1 in all of them has it.
    """

    strength = 1.0
    scaled = True

    def fit(self, members, nonmembers, *, seed=0):
        from sklearn.linear_model import LogisticRegression  # slow to import, and thresholds need none
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        membership = np.repeat([1, 0], [len(members), len(nonmembers)])
        regression = LogisticRegression(
            C=self.strength, max_iter=1000, class_weight="balanced", random_state=seed
        )
        self._classifier = make_pipeline(StandardScaler(), regression) if self.scaled else regression
        with one_thread():
            self._classifier.fit(np.concatenate([members, nonmembers]), membership)
        self.threshold = 0.0
        return self

    def score(self, rows):
        return self._classifier.decision_function(rows)
