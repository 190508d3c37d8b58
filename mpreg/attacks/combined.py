"""The combined attack: shadow-model statistics and the prediction itself, weighed by learned models."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE
from mpreg.attacks.bayesian_ratio import PRIOR
from mpreg.attacks.likelihood_ratio import Normals
from mpreg.attacks.relative import TEMPERATURES
from mpreg.attacks.shadow.coverage import check_coverage
from mpreg.attacks.trained import attack_features
from mpreg.attacks.weighing import WeighingAttack
from mpreg.signals.saturated import clip_saturated

OFFLINE_SHARE = 1 / 3  # of a record's difficulty that is taken off where only models without it are asked


class CombinedAttack(WeighingAttack):
    """Weighs likelihood ratios, relative scores and the prediction by a regression and trees that learn from records.

    No single score is the strongest on all models: relative scores lose on networks that answer with certainty, the
    likelihood ratio on distilled ones, and both, on some defended models, to signals of the answer alone. Known
    records tell which to believe, cross-fitted as every attack that learns. Where they tell nothing, on models that
    hardly leak, the score is the plain mean of how far the target's answer lies above that of shadow models.

    Read of each record are, for that mean, its logit-scaled confidence less the mean of models without it (OUT), in
    standard deviations, and less that of models trained on it (IN), and the logarithm of its probability less that of
    the mean over all shadow models, of answers softened at the temperatures 1, 2 and 4. Beside these: the likelihood
    ratio of its confidence between models trained on it and others, with variances that all records share and with
    variances of its own drawn towards these; the latter for log-probabilities at temperatures 2 and 4 too; how far
    the target lies from OUT; both means, and IN less OUT; its log-probability at each temperature less a third of that
    of models without it; how its entropy lies to theirs; all that the trained attack reads, of which the trees alone
    are told the label; and, where the records are there and are numbers, how its confidence lies to that of imitators
    (`ImitationAttack`), and, where the target can be queried too, how many altered copies of the record it answers
    rightly (`LabelOnlyAttack`), and how surely.

    On location30 (split 0, 16 shadow models), AUC / TPR at 1 %, beside the best single attack with shadow models:
    undefended .987 / .74 (.982 / .69), the published game .959 / .55 (.893 / .28), split distillation .805 / .13
    (.712 / .04), the game at penalty 30 .757 / .06 (.740 / .06), DP-SGD at epsilon 8 .713 / .05 (.714 / .05). Altered
    copies matter where answers are hidden (8 shadow models, AUC, beside the best single attack): the predicted class
    alone .949 (.876), HAMP .981 (.928).

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
    plain = slice(5)  # how far the target's answer lies above that of shadow models, in five ways

    def read(self, access):
        check_coverage(access.shadows.membership)
        yield from _of_shadows(access)
        if access.has("numbers"):
            yield from access.imitation.T
            yield from _of_copies(access) if access.has("model") else []
        yield from attack_features(access.answers).T


def _of_copies(access):
    copies = access.altered_copies
    yield copies.correct.mean(axis=1)
    yield copies.confidence
    yield signals.logit_confidence(access.answers) - copies.confidence


def _of_shadows(access):
    membership = access.shadows.membership
    softened = [signals.softened_loss(temperature) for temperature in TEMPERATURES]
    read = (signals.logit_confidence, *softened, signals.entropy)
    shadows, *others, entropies = access.shadow_values(*read)
    target, shadows = clip_saturated(signals.logit_confidence(access.answers), shadows)
    inside, outside = Normals(shadows, membership), Normals(shadows, ~membership)
    yield Normals(shadows, ~membership, prior=PRIOR).standard_score(target)
    yield target - inside.mean
    chances = [np.exp(values) for values in others]
    for signal, chance in zip(softened, chances, strict=True):
        yield signal(access.answers) - np.log(chance.mean(axis=0))
    yield inside.log_density(target) - outside.log_density(target)
    for own, values in (
        (target, shadows),
        *zip([s(access.answers) for s in softened[1:]], others[1:], strict=True),
    ):
        near, far = (Normals(values, chosen, prior=PRIOR) for chosen in (membership, ~membership))
        yield near.log_density(own) - far.log_density(own)
    yield target - outside.mean
    yield from (inside.mean, outside.mean, inside.mean - outside.mean)
    for signal, chance in zip(softened, chances, strict=True):
        without = np.sum(chance, axis=0, where=~membership) / (~membership).sum(axis=0)
        yield signal(access.answers) - OFFLINE_SHARE * np.log(without)
    own = signals.entropy(access.answers)
    for chosen in (membership, ~membership):
        yield own - np.sum(entropies, axis=0, where=chosen) / chosen.sum(axis=0)
