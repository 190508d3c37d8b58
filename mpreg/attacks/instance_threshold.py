"""Per-record loss thresholds, from shadow models."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.shadow.coverage import check_coverage
from mpreg.signals.saturated import clip_saturated


class InstanceThresholdAttack(PreparedAttack):
    """Thresholds each record's loss midway between shadow models trained with and without it.

    So a record that is easy for all models is not called a member for that. The score is the distance from the
    record's threshold, both on the logit scale, log p - log(1 - p): a loss near 0 would leave no distance to tell
    records apart by. A record that no shadow model was trained on is compared with the other models alone.

    Source: Sablayrolles et al., "White-box vs Black-box: Bayes Optimal Strategies for Membership Inference",
    ICML 2019, section 4 (a threshold per sample); Watson et al., "On the Importance of Difficulty Calibration in
    Membership Inference Attacks", ICLR 2022, where only models without the record are known.

    Raises:
        ValueError: when run, a record that all shadow models were trained on.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[InstanceThresholdAttack()], shadows=shadows)
    ```
    """

    name = "loss threshold, per record"
    key = "loss_threshold_per_record"
    threat_model = TRAINS_ALIKE
    needs = frozenset({"shadows"})

    def score_all(self, access):
        membership = access.shadows.membership
        check_coverage(membership, online=False)
        (shadows,) = access.shadow_values(signals.logit_confidence)
        target, shadows = clip_saturated(signals.logit_confidence(access.answers), shadows)
        return target - _thresholds(shadows, membership)


def _thresholds(values, trained):
    inside, outside = (
        np.sum(values, axis=0, where=chosen) / np.maximum(chosen.sum(axis=0), 1)
        for chosen in (trained, ~trained)
    )
    return np.where(trained.any(axis=0), 0.5 * (inside + outside), outside)
