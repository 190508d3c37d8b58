"""The relative likelihood attack (RMIA): a record's rise in probability against that of other records."""

import numpy as np

from mpreg import metrics, signals
from mpreg._validate import check_number
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.shadow.coverage import check_coverage, shadow_values

SHARES = np.arange(11) / 10  # candidates for the share of p_OUT in p_IN
USUAL_SHARE = 0.3  # where shadow models cannot tell


class RelativeAttack(PreparedAttack):
    """RMIA: the share of other records z that the target favours less than the record x.

    The target favours a record by p(x | target) / p(x), where p is the softmax probability of its label, and
    p(x) that under models at large, half of them trained on it: (p_IN + p_OUT) / 2, means over shadow models. x
    beats z where its ratio is at least `gamma` times that of z. It needs few shadow models.

    Offline, and for a record that no shadow model was trained on, p_IN is taken as a p_OUT + 1 - a. The share a is
    the one with which the first shadow model is attacked best by the others: its members are known.

    The z are the population's records, known non-members, where both the target and the shadow models can be asked
    about them. Else they are the judged records, members and non-members alike: which are which is not looked at.

    Source: Zarifzadeh, Liu and Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024, sections 3
    and 4 and the appendix on offline scaling.

    Args:
        online: whether to use shadow models trained on a record, or only those that were not.
        gamma: how many times z's ratio x's must reach, at least 1.

    Raises:
        ValueError: `gamma` below 1; when run, a record that all shadow models were trained on.

    Example:
    ```python
    attacks = [RelativeAttack(), RelativeAttack(online=False)]
    mpreg.evaluate(model, split, attacks=attacks, shadows=mpreg.ShadowFleet(build, count=4, epochs=30))
    ```
    """

    threat_model = TRAINS_ALIKE
    needs = frozenset({"shadows"})

    def __init__(self, *, online=True, gamma=2.0):
        self.online, self.gamma = online, check_number("gamma", gamma, least=1, what="at least 1")
        self.name = "relative likelihood" if online else "relative likelihood, offline"
        self.key = "relative_likelihood" if online else "relative_likelihood_offline"

    def score_all(self, access):
        membership = access.shadows.membership
        check_coverage(membership, online=False)
        shadows = np.exp(shadow_values(access, signals.loss))
        share = _best_share(shadows, membership)
        trained = membership if self.online else np.zeros_like(membership)
        ratios = signals.loss(access.answers) - np.log(_average(shadows, trained, ~membership, share))
        rivals = self._population_ratios(access, share) if _can_ask(access) else ratios
        # Sorted once: x beats all z up to its place among them.
        return np.searchsorted(np.sort(rivals + np.log(self.gamma)), ratios, side="right") / len(rivals)

    def _population_ratios(self, access, share):
        x, y = access.population
        shadows = np.exp(np.stack([signals.loss(answers) for answers in access.shadows.ask(x, y)]))
        untrained = np.ones(shadows.shape, bool)
        return signals.loss(access.ask(x, y)) - np.log(_average(shadows, ~untrained, untrained, share))


def _can_ask(access):
    return access.has("population") and access.has("model") and access.shadows.can_be_asked


def _average(shadows, trained, untrained, share):
    """Probability of each record's label under models at large, half of them trained on it."""
    out, inside = (
        np.sum(shadows, axis=0, where=chosen) / np.maximum(chosen.sum(axis=0), 1)
        for chosen in (untrained, trained)
    )
    return 0.5 * (out + np.where(trained.any(axis=0), inside, share * out + 1.0 - share))


def _best_share(shadows, membership):
    """Share of p_OUT in p_IN with which the first shadow model is attacked best, offline, by the others."""
    untrained = ~membership[1:]
    judged = untrained.any(axis=0)
    members = membership[0][judged]
    if members.all() or not members.any():
        return USUAL_SHARE
    target, others, untrained = np.log(shadows[0, judged]), shadows[1:, judged], untrained[:, judged]

    def success(share):
        scores = target - np.log(_average(others, np.zeros_like(untrained), untrained, share))
        return metrics.auc(scores[members], scores[~members])

    return max(SHARES, key=success)
