"""What a target answers to altered copies of records, read in one pass for all attacks that ask about them."""

import dataclasses

import numpy as np

from mpreg.data.augmentations import altered
from mpreg.signals import confidences as signals
from mpreg.signals.saturated import clip_saturated


@dataclasses.dataclass(frozen=True)
class CopiesRead:
    """What a target answered to altered copies of each record.

    Attributes:
        correct: whether each answer is right, bool (n, copies).
        confidence: mean logit-scaled confidence of the copies, (n,).
        surest: log-probability of the record's class in the answer of least entropy, the record's own included, (n,).
    """

    correct: np.ndarray
    confidence: np.ndarray
    surest: np.ndarray


def read_copies(access, augment):
    """Queries the target with the copies that `augment` yields, one batch of them in memory at a time."""
    correct, confidences = [], []
    least, surest = signals.entropy(access.answers), signals.loss(access.answers)
    for copies in altered(augment, access.records):
        answers = access.query(copies, access.labels)
        correct.append(signals.correctness(answers))
        confidences.append(signals.logit_confidence(answers))
        entropy = signals.entropy(answers)  # higher where an answer is surer, as all signals are
        surest = np.where(entropy > least, signals.loss(answers), surest)
        least = np.maximum(entropy, least)
    return CopiesRead(np.column_stack(correct), np.mean(clip_saturated(*confidences), axis=0), surest)
