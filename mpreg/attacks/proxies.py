"""The offline likelihood-ratio attack with proxies: what training does to a record, read from others like it."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.likelihood_ratio import Normals
from mpreg.attacks.shadow.coverage import check_coverage, clip_saturated, shadow_values

PROXIES = 60  # records; 20 do as well, and of 5 the AUC is up to .003 (undefended) or .009 (split distillation) lower


class ProxyAttack(PreparedAttack):
    """LiRA for an attacker none of whose models was trained on the record: records like it stand for it.

    The normal of a record's logit-scaled confidence over models without it (OUT) is its own. That over models with it
    (IN) is taken from proxies: the records of the pool whose OUT means are the nearest by rank, each under the models
    that were trained on it; its variance is theirs within records and between them. The score is the log-ratio of both
    densities at the target's confidence. The record's own IN models are not looked at, so it may have none.

    On location30 (split 0, 16 shadow models), AUC beside that of the offline likelihood ratio, the offline relative
    likelihood at its best temperature, and the online likelihood ratio: undefended .976 (.949, .963, .979), the
    published game .886 (.864, .895, .881), split distillation .666 (.661, .621, .648), the game at penalty 30 .714
    (.716, .708, .700), DP-SGD at epsilon 8 .708 (.708, .660, .689). Proxies of the record's own class are no better.

    Source: the proxy attack ("PMIA") on the scores of Carlini et al., S&P 2022 (LiRA); which records are alike, and the
    variance between them, are this library's choice.

    Raises:
        ValueError: when run, a record that all shadow models were trained on, or none that any was.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["likelihood_ratio_proxies"], shadows=shadows)
    ```
    """

    name = "likelihood ratio, offline, proxies"
    key = "likelihood_ratio_proxies"
    threat_model = TRAINS_ALIKE
    needs = frozenset({"shadows"})

    def score_all(self, access):
        membership = access.shadows.membership
        check_coverage(membership, online=False)
        (shadows,) = shadow_values(access, signals.logit_confidence)
        target, shadows = clip_saturated(signals.logit_confidence(access.answers), shadows)
        outside = Normals(shadows, ~membership)
        trained = membership.any(axis=0)
        if not trained.any():
            raise ValueError("no shadow model was trained on any judged record, so that there are no proxies")
        inside = Normals(shadows[:, trained], membership[:, trained])
        mean, between = _of_proxies(outside.mean, outside.mean[trained], inside.mean, own=trained)
        spread = np.sqrt(inside.spread[0] ** 2 + between)  # one for all
        near = -0.5 * ((target - mean) / spread) ** 2 - np.log(spread)
        return near - outside.log_density(target)


def _of_proxies(places, others, values, *, own):
    """Mean and variance of the values of the others nearest in rank to each place, itself excluded.

    Args:
        places: (n,).
        others: places of the records that may be proxies, (m,).
        values: theirs, (m,).
        own: which of the places are among the others, bool (n,), in the same order.
    """
    order = np.argsort(others, kind="stable")
    rank = np.searchsorted(others[order], places)
    rank[own] = np.argsort(order)
    half = PROXIES // 2
    last = len(others) - 1
    window = np.arange(-half, half + 1)
    found = np.clip(rank, min(half, last), max(last - half, 0))[:, None] + window
    counted = (found >= 0) & (found <= last) & ~(own[:, None] & (found == rank[:, None]))
    near = values[order][np.clip(found, 0, last)]
    count = np.maximum(counted.sum(axis=1), 1)
    mean = np.sum(near, axis=1, where=counted) / count
    return mean, np.sum((near - mean[:, None]) ** 2, axis=1, where=counted) / count
