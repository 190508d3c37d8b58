"""The quantile attack: how sure the model is of a record, against how sure it is of non-members like it."""

import numpy as np

from mpreg import metrics, signals
from mpreg._threads import one_thread
from mpreg.attacks.base import Attack
from mpreg.signals.imitators import table_of
from mpreg.signals.saturated import clip_saturated
from mpreg.signals.trees import MAX_CATEGORIES

MOST_COLUMNS = 40  # of a record; wider ones are read by as many principal components
ENOUGH = 10_000  # records that components and quantiles are learned from: more teach no more, and take long
UPPER = 0.95  # quantile that tells how far non-members reach above their median
LEAST_REACH = 0.1  # of that of all non-members: where alike ones agree exactly, a little more is no certainty
TREES, RATE = 40, 0.12  # 60 at .08 are no better, and take half as long again


class QuantileAttack(Attack):
    """A threshold for each record without shadow models: what the model answers to non-members that are like it.

    Gradient-boosted trees learn, from known non-members, two quantiles of the logit-scaled confidence,
    log p - log(1 - p) of the label, given the record and its label: the median and that at .95. The score is how far
    the target's confidence lies above the median, in units of the distance between the two; a threshold on it is one
    for each record. So an easy record is not called a member for being easy, as with shadow models, at the price of no
    training. Records of more than 40 numbers are read by their first 40 principal components.

    The known non-members are judged ones, cross-fitted, not the split's reference: a defence may have learned from it.

    On location30 (split 0), AUC beside that of the best attack that needs no shadow models either: the game at penalty
    30 .660 (.648, trained), DP-SGD at epsilon 8 .651 (.631, trained); it is below on undefended training, .928 (.947,
    trained), the published game, .888 (.895, trained), and split distillation, .596 (.606, confidence).

    Source: Bertran et al., "Scalable Membership Inference Attacks via Quantile Regression", NeurIPS 2023, which fits
    a network a quantile, or a normal; the scale of the score, and the trees on tables of any kind, are this library's.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["standard", "quantile"])
    ```
    """

    name = "quantile regression"
    key = "quantile"
    threat_model = "sees the model's answers and learns from other records that are known not to be members"
    needs = frozenset({"records", "numbers"})

    def prepare(self, access):
        """Columns of each judged record, its label and the target's confidence, float (n, up to 40 + 2)."""
        (confidence,) = clip_saturated(signals.logit_confidence(access.answers))
        table = _narrowed(table_of(access.records, seed=access.seed), access.seed)
        return np.column_stack([table, access.labels, confidence])

    def fit(self, members, nonmembers, *, seed=0):
        from sklearn.ensemble import HistGradientBoostingRegressor  # slow to import, and thresholds need none

        rng = np.random.default_rng(seed)
        known = nonmembers[rng.permutation(len(nonmembers))[:ENOUGH]]
        label = known.shape[1] - 2
        categories = [label] if known[:, label].max() < MAX_CATEGORIES else None
        self._quantiles = [
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=quantile,
                max_iter=TREES,
                max_depth=3,
                learning_rate=RATE,
                categorical_features=categories,
                early_stopping=False,
                random_state=seed,
            )
            for quantile in (0.5, UPPER)
        ]
        with one_thread():
            for regressor in self._quantiles:
                regressor.fit(known[:, :-1], known[:, -1])
        middle, upper = np.quantile(known[:, -1], [0.5, UPPER])
        self._least = max(LEAST_REACH * (upper - middle), np.finfo(np.float32).eps)
        self.threshold = metrics.best_threshold(self.score(members), self.score(nonmembers))
        return self

    def score(self, rows):
        with one_thread():
            median, upper = (regressor.predict(rows[:, :-1]) for regressor in self._quantiles)
        return (rows[:, -1] - median) / np.maximum(upper - median, self._least)


def _narrowed(table, seed):
    if table.shape[1] <= MOST_COLUMNS:
        return table
    from sklearn.decomposition import PCA  # as above

    rng = np.random.default_rng(seed)
    seen = table[rng.permutation(len(table))[:ENOUGH]]
    with one_thread():
        return PCA(min(MOST_COLUMNS, len(seen)), random_state=seed).fit(seen).transform(table)
