"""The relative likelihood attack (RMIA): compares a record's gain in probability with that of other records."""

import numpy as np

from mpreg import metrics, signals
from mpreg._validate import check_number
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.shadow.coverage import check_coverage

SHARES = np.arange(11) / 10  # candidates for the share of p_OUT in p_IN
DEFAULT_SHARE = 0.3  # where shadow models cannot tell
TEMPERATURES = (1.0, 2.0, 4.0)  # candidates for that of the answers
DEFAULT_TEMPERATURE = 2.0  # where shadow models cannot tell; the usual one of LeakPro's RMIA
TRIED_ON = 4  # shadow models that are attacked by the others to choose by


class RelativeAttack(PreparedAttack):
    """Scores a record by the share of population records that the target favours less (RMIA).

    The target favours a record by p(x | target) / p(x), where p is the softmax probability of its label, and
    p(x) that under models at large, half of them trained on it: (p_IN + p_OUT) / 2, means over shadow models. x
    beats z where its ratio is at least `gamma ** (1 / temperature)` times that of z. It needs few shadow models.

    All answers are softened first: raised to the power of 1 / temperature and renormalized, which shows differences
    that networks hide which answer with certainty. The temperature is the one of 1, 2 and 4 with which the first few
    shadow models, whose members are known, are attacked best by the others; the target is not asked.

    Offline, and for a record that no shadow model was trained on, p_IN is taken as a p_OUT + 1 - a. The share a is
    chosen in the same way.

    The z are the population's records, known non-members, where both the target and the shadow models can be asked
    about them. Else they are the judged records, members and non-members alike: which are which is not looked at.

    On location30 (16 shadow models, split 0), AUC / TPR at 1 %: undefended .887 / .27 at a temperature of 1 and
    .980 / .63 at 4; split distillation .655 / .03 and .712 / .04; the game at penalty 30 .731 / .06 and, at 2,
    .740 / .06.

    Source: Zarifzadeh, Liu and Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024, sections 3
    and 4 and the appendix on offline scaling; its softmax has a temperature too, chosen by hand.

    Args:
        online: whether to use shadow models trained on a record, or only those that were not.
        gamma: how many times z's ratio x's must reach, at least 1.
        temperature: of the answers, above 0; 1 leaves them as they are. None chooses.

    Raises:
        ValueError: `gamma` below 1, a temperature out of range; when run, a record that all shadow models were
            trained on.

    Example:
    ```python
    attacks = [RelativeAttack(), RelativeAttack(online=False)]
    mpreg.evaluate(model, split, attacks=attacks, shadows=mpreg.ShadowFleet(build, count=4, epochs=30))
    ```
    """

    threat_model = TRAINS_ALIKE
    needs = frozenset({"shadows"})

    def __init__(self, *, online: bool = True, gamma: float | None = 2.0, temperature: float | None = None):
        self.online, self.gamma = online, check_number("gamma", gamma, least=1, what="at least 1")
        if temperature is not None:
            check_number("temperature", temperature, above=0, what="above 0, or None")
        self.temperature = temperature
        self.name = "relative likelihood" if online else "relative likelihood, offline"
        self.key = "relative_likelihood" if online else "relative_likelihood_offline"

    def score_all(self, access):
        membership = access.shadows.membership
        check_coverage(membership, online=False)
        candidates = TEMPERATURES if self.temperature is None else (float(self.temperature),)
        found = np.exp(access.shadow_values(*map(signals.softened_loss, candidates)))
        at, share = _best(found, membership, online=self.online)
        signal, shadows = signals.softened_loss(candidates[at]), found[at]
        trained = membership if self.online else np.zeros_like(membership)
        ratios = signal(access.answers) - np.log(_average(shadows, trained, ~membership, share))
        rivals = _population_ratios(access, signal, share) if _can_query(access) else ratios
        # Sorted once: x beats all z up to its place among them.
        lead = np.log(self.gamma) / candidates[at]  # softened ratios lie so much closer to each other
        return np.searchsorted(np.sort(rivals + lead), ratios, side="right") / len(rivals)


def _can_query(access):
    return access.has("population") and access.has("model") and access.shadows.can_be_queried


def _population_ratios(access, signal, share):
    x, y = access.population
    shadows = np.exp(np.stack([signal(answers) for answers in access.shadows.query(x, y)]))
    untrained = np.ones(shadows.shape, bool)
    return signal(access.query(x, y)) - np.log(_average(shadows, ~untrained, untrained, share))


def _average(shadows, trained, untrained, share):
    """Probability of each record's label under models at large, half of them trained on it."""
    out, inside = (
        np.sum(shadows, axis=0, where=chosen) / np.maximum(chosen.sum(axis=0), 1)
        for chosen in (untrained, trained)
    )
    return 0.5 * (out + np.where(trained.any(axis=0), inside, share * out + 1.0 - share))


def _best(found, membership, *, online):
    """Which temperature, by its place, and which share of p_OUT in p_IN attack the first shadow models best.

    The share is chosen offline, where alone it counts, and first.

    Args:
        found: probabilities of the labels, (temperatures, models, records).
        membership: bool (models, records).
    """
    usual = TEMPERATURES.index(DEFAULT_TEMPERATURE) if len(found) > 1 else 0
    tried = [model for model in range(min(TRIED_ON, len(membership))) if _tells(model, membership)]
    if not tried:
        return usual, DEFAULT_SHARE

    def success(at, share, online):
        return np.mean([_area(found[at], membership, model, share, online=online) for model in tried])

    shares = [max(SHARES, key=lambda share: success(at, share, False)) for at in range(len(found))]
    best = max(range(len(found)), key=lambda at: success(at, shares[at], online))
    return best, shares[best]


def _judged(model, membership):
    """The records that an attack on one shadow model by the others can judge."""
    return (~np.delete(membership, model, axis=0)).any(axis=0)


def _tells(model, membership):
    members = membership[model][_judged(model, membership)]
    return members.any() and not members.all()


def _area(shadows, membership, model, share, *, online):
    """AUC of the attack on one shadow model by the others."""
    judged = _judged(model, membership)
    others, inside = (np.delete(array, model, axis=0)[:, judged] for array in (shadows, membership))
    trained = inside if online else np.zeros_like(inside)
    scores = np.log(shadows[model, judged]) - np.log(_average(others, trained, ~inside, share))
    members = membership[model, judged]
    return metrics.auc(scores[members], scores[~members])
