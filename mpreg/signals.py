"""Per-example signals: what a classifier's answers tell about each record, as NumPy functions.

Defences and attacks meet here. Every signal is oriented so that a higher value means a more likely member.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mpreg.data import check_labels, label_indices

ROUNDING = 1e-3  # float16 answers of a hundred classes still sum to one within this
PREDICT_BATCH = 512


@dataclass(frozen=True)
class Answers:
    """A model's answers to some records whose labels are known.

    Args:
        log_probabilities: float64 (n, classes), rows of log-softmax.
        labels: int64 (n,), class indices.
    """

    log_probabilities: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    @property
    def classes(self):
        return self.log_probabilities.shape[1]

    def __getitem__(self, rows):
        return Answers(self.log_probabilities[rows], self.labels[rows])

    @cached_property
    def probabilities(self):
        return np.exp(self.log_probabilities)

    @cached_property
    def true_class(self):
        """Log-probability of each record's label, (n,)."""
        return self.log_probabilities[np.arange(len(self)), self.labels]


def read_answers(predictions, labels, *, from_logits=None, side="records"):
    """`Answers` from a model's predictions, checked.

    Args:
        predictions: probabilities or logits, (n, classes); one column or (n,) stands for two classes.
        labels: integer (n,) or (n, 1), or one-hot (n, classes).
        from_logits: whether predictions are logits; None decides by looking: rows of numbers in [0, 1] must
            then sum to one.
        side: whose records these are, for error messages.

    Raises:
        ValueError: no records, unequal numbers, NaN, a single class, labels out of range, probabilities
            outside [0, 1] or that do not sum to one.

    Example:
    ```python
    answers = read_answers(model.predict(x), y)
    mpreg.signals.loss(answers)
    ```
    """
    predictions = np.asarray(predictions)
    if predictions.dtype.kind not in "biuf" or predictions.ndim not in (1, 2):
        raise ValueError(
            f"{side}: predictions must be numbers, shape (n, classes). "
            f"Received: shape {predictions.shape}, type {predictions.dtype}"
        )
    predictions = predictions.reshape(len(predictions), -1).astype(np.float64)
    labels = check_labels(labels, side)
    if len(predictions) == 0:
        raise ValueError(f"{side} is empty: there must be at least one record")
    if len(predictions) != len(labels):
        raise ValueError(f"{side}: there are {len(predictions)} predictions for {len(labels)} labels")
    bad = np.flatnonzero(~np.isfinite(predictions).all(axis=1))
    if len(bad):
        raise ValueError(
            f"{side}: {len(bad)} predictions hold NaN or infinite values, the first is row {bad[0]}"
        )
    if from_logits is None:
        from_logits = look_like_logits(predictions)
    log_probabilities = _log_softmax(predictions) if from_logits else _log_of_probabilities(predictions, side)
    labels = label_indices(labels, classes=log_probabilities.shape[1])
    return Answers(log_probabilities, labels)


def look_like_logits(predictions):
    """Whether any prediction lies outside [0, 1], as probabilities never do."""
    predictions = np.asarray(predictions)
    return bool(predictions.size and (predictions.min() < 0 or predictions.max() > 1))


def predict(model, x, *, batch_size=PREDICT_BATCH):
    """A Keras model's answers to `x` in inference mode, (n, classes) as NumPy; anything with `predict_proba` serves too.

    Raises:
        ValueError: the model has several outputs.
        TypeError: the model has neither `predict_proba` nor `predict`.
    """
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(x))
    if not hasattr(model, "predict"):
        raise TypeError(f"a model must have predict or predict_proba. Received: {model!r}")
    answers = model.predict(x, batch_size=batch_size, verbose=0)
    if isinstance(answers, list | tuple | dict):
        raise ValueError(f"the model must have one output, the class scores. Received {len(answers)} outputs")
    return answers


def correctness(answers):
    """1 where the predicted class is the label, else 0: all that a label-only attacker sees (the gap attack)."""
    return (np.argmax(answers.log_probabilities, axis=1) == answers.labels).astype(np.float64)


def confidence(answers):
    """Log of the largest probability, (n,); needs no label. Salem et al., NDSS 2019, section V."""
    return np.max(answers.log_probabilities, axis=1)  # never -inf: it is at least log(1 / classes)


def loss(answers):
    """Minus the cross-entropy: the log-probability of the label, (n,). Yeom et al., CSF 2018, section 3.2."""
    return _finite(answers.true_class)


def entropy(answers):
    """Minus the entropy of the prediction, in nats, (n,). Song and Mittal, USENIX Security 2021, section 4.1."""
    return np.sum(answers.probabilities * _finite(answers.log_probabilities), axis=1)


def modified_entropy(answers):
    """Minus the entropy that also asks for the right class, in nats, (n,).

    For label y: (1 - p_y) log p_y + sum over other classes of p_j log(1 - p_j), which is finite where p_y = 0
    or p_j = 1 up to the smallest probability that float64 holds.

    Source: Song and Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models",
    USENIX Security 2021, section 4.1, equation 9.
    """
    others = 1.0 - answers.probabilities
    complement = _finite(np.log(np.maximum(others, np.finfo(np.float64).tiny)))
    terms = answers.probabilities * complement
    rows = np.arange(len(answers))
    own = others[rows, answers.labels] * _finite(answers.true_class)
    return own + np.sum(terms, axis=1) - terms[rows, answers.labels]


def logit_confidence(answers):
    """log p_y - log(1 - p_y), (n,), computed without cancellation. Carlini et al., S&P 2022, section IV-C."""
    others = answers.log_probabilities.copy()
    others[np.arange(len(answers)), answers.labels] = -np.inf
    highest = np.max(others, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = highest[:, 0] + np.log(np.sum(np.exp(others - highest), axis=1))
    return _finite(answers.true_class) - _finite(np.nan_to_num(rest, nan=-np.inf))


def _finite(log_probabilities):
    """Log-probabilities with the log of the smallest float64 in place of -inf."""
    return np.maximum(log_probabilities, np.log(np.finfo(np.float64).tiny))


def _log_softmax(logits):
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def _log_of_probabilities(probabilities, side):
    if probabilities.min() < 0 or probabilities.max() > 1:
        row = np.flatnonzero((probabilities < 0).any(axis=1) | (probabilities > 1).any(axis=1))[0]
        raise ValueError(
            f"{side}: probabilities must lie in [0, 1]. Row {row} holds {probabilities[row].min():.4g} to "
            f"{probabilities[row].max():.4g}. If these are logits, say from_logits=True"
        )
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=1)
    sums = probabilities.sum(axis=1)
    bad = np.flatnonzero(np.abs(sums - 1.0) > ROUNDING)
    if len(bad):
        raise ValueError(
            f"{side}: probabilities must sum to one. {len(bad)} rows do not, the first is row {bad[0]} with a sum "
            f"of {sums[bad[0]]:.4g}. If these are logits, say from_logits=True"
        )
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
