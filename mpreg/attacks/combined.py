"""The combined attack: all that shadow models and the answer itself tell of a record, weighed together."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, Attack
from mpreg.attacks.likelihood_ratio import Normals
from mpreg.attacks.shadow.coverage import check_coverage, shadow_values, tame
from mpreg.attacks.trained import RANKED
from mpreg.classifiers.floors import LOWEST_READ

TEMPERATURES = (1.0, 2.0, 4.0)
OFFLINE_SHARE = 1 / 3  # of a record's difficulty that is taken off where only models without it are asked
STRENGTH = 0.1  # inverse of the L2 penalty, on standardized signals


class CombinedAttack(Attack):
    """A logistic regression on the likelihood ratio, relative scores at several temperatures, and the answer itself.

    No single score is the strongest on all models: relative scores lose on networks that answer with certainty, the
    likelihood ratio on distilled ones, and both, on some defended models, to signals of the answer alone. Known
    records tell which to believe. The regression learns from them, cross-fitted as every attack that learns.

    Read of each record are the likelihood ratio of its logit-scaled confidence between models trained on it and
    others, with shared variances; how far the target lies from the mean of either; these means; the logarithm of its
    probability less that of the mean over all shadow models, and less a third of that over those without it, each of
    answers softened at the temperatures 1, 2 and 4; correctness, entropy, modified entropy and the five highest
    log-probabilities.

    Source: the scores of Carlini et al., S&P 2022 (LiRA) and Zarifzadeh, Liu and Shokri, ICML 2024 (RMIA), learned
    from together as Shokri et al., S&P 2017, learn from answers.

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
        """What the attack reads of each judged record, float64 (n, 16 + up to 5), members first."""
        check_coverage(access.shadows.membership)
        return np.column_stack([*_of_shadows(access), *_of_answers(access.answers)])

    def fit(self, members, nonmembers, *, seed=0):
        membership = np.repeat([1, 0], [len(members), len(nonmembers)])
        regression = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced", random_state=seed)
        self._classifier = make_pipeline(StandardScaler(), regression)
        with threadpool_limits(1):
            self._classifier.fit(np.concatenate([members, nonmembers]), membership)
        self.threshold = 0.0  # both sides weigh alike, however many known records either has
        return self

    def score(self, rows):
        return self._classifier.decision_function(rows)


def _of_shadows(access):
    membership = access.shadows.membership
    target, shadows = tame(
        signals.logit_confidence(access.answers), shadow_values(access, signals.logit_confidence)
    )
    inside, outside = Normals(shadows, membership), Normals(shadows, ~membership)
    yield inside.log_density(target) - outside.log_density(target)
    yield from (target, target - outside.mean, target - inside.mean)
    yield from (inside.mean, outside.mean, inside.mean - outside.mean)
    for temperature in TEMPERATURES:
        signal = signals.softened_loss(temperature)
        own, others = signal(access.answers), np.exp(shadow_values(access, signal))
        without = np.sum(others, axis=0, where=~membership) / (~membership).sum(axis=0)
        yield own - np.log(others.mean(axis=0))
        yield own - OFFLINE_SHARE * np.log(without)


def _of_answers(answers):
    yield from (signals.correctness(answers), signals.entropy(answers), signals.modified_entropy(answers))
    ranked = -np.sort(-np.maximum(answers.log_probabilities, LOWEST_READ), axis=1)[:, :RANKED]
    yield from ranked.T
