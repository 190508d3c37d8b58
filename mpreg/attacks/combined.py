"""The combined attack: shadow-model statistics and the prediction itself, weighed by a learned model."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, Attack
from mpreg.attacks.bayesian_ratio import PRIOR
from mpreg.attacks.likelihood_ratio import Normals
from mpreg.attacks.relative import TEMPERATURES
from mpreg.attacks.shadow.coverage import check_coverage, clip_saturated, shadow_values
from mpreg.attacks.trained import MAX_CATEGORIES, attack_features

OFFLINE_SHARE = 1 / 3  # of a record's difficulty that is taken off where only models without it are asked
STRENGTH, TREES = 0.3, 80  # inverse of the L2 penalty, on standardized signals; number of trees
MANY = 2_000  # known records: of fewer, less is believed
ENOUGH = 10_000  # known records of a side: more teach no more, and take long


class CombinedAttack(Attack):
    """Combines likelihood ratios, relative scores and the prediction by logistic regression and boosted trees.

    No single score is the strongest on all models: relative scores lose on networks that answer with certainty, the
    likelihood ratio on distilled ones, and both, on some defended models, to signals of the answer alone. Known
    records tell which to believe. The regression and the trees learn from them, cross-fitted as every attack that
    learns, and the score is the sum of their log-odds: trees see what is not linear, the regression what is rare.

    Read of each record are the likelihood ratio of its logit-scaled confidence between models trained on it and
    others, with variances that all records share and with variances of its own drawn towards these; the latter for
    log-probabilities at temperatures 2 and 4 too; how far the target lies from the mean of either kind of model, and
    from that of others in standard deviations; these means; the logarithm of its probability less that of the mean
    over all shadow models, and less a third of that over those without it, of answers softened at the temperatures 1,
    2 and 4; how its entropy lies to theirs; and all that the trained attack reads, of which the trees alone are told
    the label.

    On location30 (split 0, 16 shadow models), AUC / TPR at 1 %, beside a regression alone on fewer signals and the best
    single attack: undefended .986 / .71 (.980 / .53; .982 / .69), the game at penalty 30 .751 / .06 (.742 / .05;
    .740 / .06), split distillation .776 / .10 (.743 / .07; .712 / .04). Of 150 records a side it may lie below the
    best single attack, which needs none to learn from: .714 beside .729 on the game.

    Source: the scores of Carlini et al., S&P 2022 (LiRA), Zarifzadeh, Liu and Shokri, ICML 2024 (RMIA) and Brännvall,
    arXiv:2603.11799 (BaVarIA), learned from together as Shokri et al., S&P 2017, learn from answers.

    Raises:
        ValueError: when run, a record that all shadow models were trained on, or none.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["combined"], shadows=mpreg.ShadowFleet(build, count=16, epochs=30))
    ```
    """

    name = key = "combined"
    threat_model = f"{TRAINS_ALIKE}, and learns from other records of known membership"
    needs = frozenset({"shadows"})

    def prepare(self, access):
        """Returns the attack's features, float32 (n, 23 + up to 5), members first, the label last."""
        check_coverage(access.shadows.membership)
        columns = [*_of_shadows(access), *attack_features(access.answers).T]
        return np.stack(columns, axis=1, dtype=np.float32)

    def fit(self, members, nonmembers, *, seed=0):
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
        with threadpool_limits(1):
            self._regression.fit(rows[:, :-1], membership)
            self._trees.fit(rows, membership)
        # Both sides weigh alike, however many known records either has: the regression was told, the trees were not.
        self.threshold = np.log(len(members)) - np.log(len(nonmembers))
        return self

    def score(self, rows):
        with threadpool_limits(1):
            return self._regression.decision_function(rows[:, :-1]) + self._trees.decision_function(rows)


def _some(side, rng):
    return side if len(side) <= ENOUGH else side[rng.permutation(len(side))[:ENOUGH]]


def _of_shadows(access):
    membership = access.shadows.membership
    softened = [signals.softened_loss(temperature) for temperature in TEMPERATURES]
    read = (signals.logit_confidence, *softened, signals.entropy)
    shadows, *others, entropies = shadow_values(access, *read)
    target, shadows = clip_saturated(signals.logit_confidence(access.answers), shadows)
    inside, outside = Normals(shadows, membership), Normals(shadows, ~membership)
    yield inside.log_density(target) - outside.log_density(target)
    for own, values in (
        (target, shadows),
        *zip([s(access.answers) for s in softened[1:]], others[1:], strict=True),
    ):
        near, far = (Normals(values, chosen, prior=PRIOR) for chosen in (membership, ~membership))
        yield near.log_density(own) - far.log_density(own)
    yield Normals(shadows, ~membership, prior=PRIOR).standard_score(target)
    yield from (target - outside.mean, target - inside.mean)
    yield from (inside.mean, outside.mean, inside.mean - outside.mean)
    for signal, values in zip(softened, others, strict=True):
        own, values = signal(access.answers), np.exp(values)
        without = np.sum(values, axis=0, where=~membership) / (~membership).sum(axis=0)
        yield own - np.log(values.mean(axis=0))
        yield own - OFFLINE_SHARE * np.log(without)
    own = signals.entropy(access.answers)
    for chosen in (membership, ~membership):
        yield own - np.sum(entropies, axis=0, where=chosen) / chosen.sum(axis=0)
