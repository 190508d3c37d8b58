"""The likelihood-ratio attack (LiRA): compares a record's confidence with models trained with and without it."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.shadow.coverage import check_coverage
from mpreg.data.augmentations import altered, check_augment
from mpreg.signals.saturated import clip_saturated

FEW = 64  # shadow models, below which one variance serves all records
MIN_STD = 1e-3  # of a fitted normal: shadow models that agree exactly do not make a record a certainty


class LikelihoodRatioAttack(PreparedAttack):
    """Scores records by the likelihood ratio of the target's confidence with and without the record (LiRA).

    A record's logit-scaled confidence, log p - log(1 - p) of its label, is taken as normal over models trained
    on it (IN) and over models that were not (OUT), each with the record's own mean. Online, the score is the log
    of the ratio of both densities; offline, where the attacker has only models trained before the record was
    known, it is how far the target lies above the OUT mean, in standard deviations: a one-sided test. With
    augmentation the score is the mean over queries, each with normals of its own.

    Below 64 shadow models a record's own variance is too uncertain, and all records share one of IN and one of
    OUT, pooled within the records; so does a record that is IN or OUT of fewer than two models.
    Confidences of exactly 0 or 1, as coarse answers hold, count as a little beyond the others of the query.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, Algorithm 1; section
    IV-C for the confidence, section VI-A for the shared variance and the queries. Departures: the shared variance
    is that within records rather than that of all confidences together, which also holds how records differ; and
    several offline queries are averaged as standard scores, one of which orders records as the paper's probability.

    Args:
        online: whether to use IN models; else only OUT models, and a record needs no model trained on it.
        augment: function of inputs that yields altered copies of them, such as `mpreg.attacks.ShiftsAndFlips`;
            each is one further query of the target and of the shadow models. None asks nothing.
        shared_variance: whether all records share their variances; None says yes below 64 shadow models.

    Raises:
        ValueError: `augment` is no function; when run, a record that no shadow model was trained on (online),
            or that all were, or augmentation of shadow models that cannot be asked.

    Example:
    ```python
    attacks = [LikelihoodRatioAttack(), LikelihoodRatioAttack(online=False)]
    mpreg.evaluate(model, split, attacks=attacks, shadows=mpreg.ShadowFleet(build, count=16, epochs=30))
    ```
    """

    threat_model = TRAINS_ALIKE

    def __init__(self, *, online: bool = True, augment=None, shared_variance: bool | None = None):
        check_augment(augment)
        self.online, self.augment, self.shared_variance = online, augment, shared_variance
        self.needs = frozenset({"shadows"} if augment is None else {"shadows", "records", "model"})
        self.name = ", ".join(
            part
            for part, said in (
                ("likelihood ratio", True),
                ("offline", not online),
                ("augmented", augment is not None),
                ("shared variance", shared_variance is True),
                ("own variance", shared_variance is False),
            )
            if said
        )
        self.key = "likelihood_ratio" if online else "likelihood_ratio_offline"

    def score_all(self, access):
        membership = access.shadows.membership
        check_coverage(membership, online=self.online)
        shared = len(membership) < FEW if self.shared_variance is None else self.shared_variance
        total, queries = 0.0, 0
        for target, shadows in _queries(access, self.augment):
            target, shadows = clip_saturated(target, shadows)
            out = Normals(shadows, ~membership, shared=shared)
            if self.online:
                total += Normals(shadows, membership, shared=shared).log_density(target)
                total -= out.log_density(target)
            else:
                total += out.standard_score(target)
            queries += 1
        return total / queries


class Normals:
    """Fits a normal distribution to each record's values, (models, records), over the models in `chosen`.

    Args:
        shared: whether all records share one variance, that within records.
        prior: how many degrees of freedom the shared variance adds to those of a record's own; None adds none.

    Attributes:
        mean, spread: (records,).
        counts: how many models each is fitted to, (records,).
    """

    def __init__(self, values, chosen, *, shared=True, prior=None):
        self.counts = counts = chosen.sum(axis=0)
        self.mean = np.sum(values, axis=0, where=chosen) / counts
        squares = np.sum((values - self.mean) ** 2, axis=0, where=chosen)
        # Where no record has two models, nothing tells how models differ: how records do is more than that.
        pooled = squares.sum() / (counts - 1).sum() if counts.max() > 1 else np.var(self.mean)
        if prior is None:
            own = squares / np.maximum(counts - 1, 1)
            variance = np.where((counts < 2) | shared, pooled, own)
        else:
            variance = (squares + prior * pooled) / (counts - 1 + prior)
        self.spread = np.maximum(np.sqrt(variance), MIN_STD)

    def standard_score(self, values):
        return (values - self.mean) / self.spread

    def log_density(self, values):
        """Returns log-densities up to a constant."""
        return -0.5 * self.standard_score(values) ** 2 - np.log(self.spread)


def _queries(access, augment):
    """Confidences of the target (records,) and of the shadow models (models, records), query by query."""
    yield signals.logit_confidence(access.answers), *access.shadow_values(signals.logit_confidence)
    if augment is not None:
        for copies in altered(augment, access.records):
            asked = access.shadows.query(copies, access.labels)
            shadows = np.stack([signals.logit_confidence(answers) for answers in asked])
            yield signals.logit_confidence(access.query(copies, access.labels)), shadows
