"""What members and non-members teach of signals: three scores of a record, and what weight each deserves."""

import numpy as np
from scipy import special

from mpreg._threads import one_thread
from mpreg.signals.trees import MAX_CATEGORIES

STRENGTH, TREES = 0.3, 80  # inverse of the L2 penalty, on standardized signals; number of trees
MANY = 2_000  # known records: of fewer, less is believed
LEAST = 1e-3  # weight of the plain mean, in standard deviations: something must rank


class LearnedScores:
    """Scores rows, (n, 3): a plain mean of columns, a logistic regression and boosted trees, by what others taught.

    Rows hold signals, then the label, which the trees alone are told, and a number, which is not read.

    Args:
        plain: columns of the plain mean, of the standardized signals.
        seed: of the trees.
    """

    def __init__(self, plain, seed):
        self._plain, self._seed = plain, seed

    def fit(self, members, nonmembers):
        # Slow to import, and thresholds need none of it.
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        rows = np.concatenate([members, nonmembers])[:, :-1]
        membership = np.repeat([1, 0], [len(members), len(nonmembers)])
        share = min(1.0, len(rows) / MANY)
        self._standardize = StandardScaler().fit(rows[:, :-1])
        self._regression = LogisticRegression(
            C=STRENGTH * share, max_iter=1000, class_weight="balanced", random_state=self._seed
        )
        self._trees = HistGradientBoostingClassifier(
            max_iter=max(1, round(TREES * share)),
            max_depth=3,
            learning_rate=0.06,
            min_samples_leaf=min(40, max(1, len(membership) // 10)),
            l2_regularization=1.0,
            early_stopping=False,
            categorical_features=[rows.shape[1] - 1] if rows[:, -1].max() < MAX_CATEGORIES else None,
            random_state=self._seed,
        )
        self._odds = np.log(len(members) / len(nonmembers))  # trees take them in, the regression is balanced
        with one_thread():
            self._regression.fit(self._standardize.transform(rows[:, :-1]), membership)
            self._trees.fit(rows, membership)
        return self

    def __call__(self, rows):
        standard = self._standardize.transform(rows[:, :-2])
        with one_thread():
            by_trees = self._trees.decision_function(rows[:, :-1]) - self._odds
            by_regression = self._regression.decision_function(standard)
        return np.column_stack([standard[:, self._plain].mean(axis=1), by_regression, by_trees])


def weights_of(scores, membership):
    """Returns weights of the scores in a sum that is the log-odds, none negative, its offset, and the log-likelihood.

    Both sides weigh alike, however many records either has.
    """
    from scipy import optimize  # slow to import, and thresholds need none of it

    spread = scores.std(axis=0)
    spread[spread == 0] = 1.0
    scaled = scores / spread
    sign = np.where(membership, 1.0, -1.0)
    each = np.where(membership, 0.5 / membership.mean(), 0.5 / (1 - membership.mean()))

    def loss(guess):
        margin = sign * (scaled @ guess[:-1] + guess[-1])
        pull = -each * sign * special.expit(-margin)
        value = each @ np.logaddexp(0.0, -margin) + guess[:-1] @ guess[:-1] / 2
        return value, np.append(pull @ scaled + guess[:-1], pull.sum())

    bounds = [(LEAST, None), *[(0.0, None)] * (scores.shape[1] - 1), (None, None)]
    found = optimize.minimize(loss, np.zeros(scores.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    return found.x[:-1] / spread, found.x[-1], -found.fun
