"""What a target answers to altered copies of records, read in one pass for all attacks that ask about them."""

import dataclasses

import numpy as np

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


def read_copies(copies, own, query):
    """Reads what a target answers to copies, one batch of them in memory at a time, as `CopiesRead`.

    Args:
        copies: iterable of inputs, each an altered copy of every record.
        own: the target's `Answers` to the records themselves.
        query: function of inputs that returns its `Answers`.
    """
    correct, confidences = [], []
    least, surest = signals.entropy(own), signals.loss(own)
    for answers in map(query, copies):
        correct.append(signals.correctness(answers))
        confidences.append(signals.logit_confidence(answers))
        entropy = signals.entropy(answers)  # higher where an answer is surer, as all signals are
        surest = np.where(entropy > least, signals.loss(answers), surest)
        least = np.maximum(entropy, least)
    return CopiesRead(np.column_stack(correct), np.mean(clip_saturated(*confidences), axis=0), surest)
