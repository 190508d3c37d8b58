"""Predictions as arrays: checks, and log-probabilities for one unit or many, with NumPy alone."""

import numpy as np

from mpreg.classifiers.floors import ROUNDING
from mpreg.classifiers.kind import are_logits, in_unit, look_like_logits, probability_unit

BLOCK = 2**16  # numbers that a softmax is computed of at a time


def only_output(answers):
    """Returns the class scores in a model's output, in any framework; None if there are several outputs.

    As Keras does, a list or dict of a single array is taken for that array: a model may name its only output.
    """
    while isinstance(answers, list | tuple | dict):
        if len(answers) != 1:
            return None
        (answers,) = answers.values() if isinstance(answers, dict) else answers
    return answers


def check_predictions(predictions, side="records"):
    """Checks predictions and returns them as float64, (n, classes) or (n, 1).

    Raises:
        ValueError: no records, NaN, or an array of another form.
    """
    predictions = np.asarray(predictions)
    if predictions.dtype.name == "bfloat16":  # a type that NumPy itself knows nothing of
        predictions = predictions.astype(np.float32)
    if predictions.dtype.kind not in "biuf" or predictions.ndim not in (1, 2) or 0 in predictions.shape[1:]:
        raise ValueError(
            f"{side}: predictions must be numbers, shape (n, classes). "
            f"Received: shape {predictions.shape}, type {predictions.dtype}"
        )
    if len(predictions) == 0:
        raise ValueError(f"{side} is empty: there must be at least one record")
    predictions = predictions.reshape(len(predictions), -1).astype(np.float64, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(predictions.sum())  # one pass, and no second array as large as the answers
    bad = np.flatnonzero(~np.isfinite(predictions).all(axis=1)) if suspect else ()
    if len(bad):
        raise ValueError(
            f"{side}: {len(bad)} predictions hold NaN or infinite values, the first is row {bad[0]}"
        )
    return predictions


def log_probabilities(predictions, *, from_logits, coarse=False, side="records"):
    """Returns log-probabilities, float64 (n, classes), of checked predictions; one unit means two classes.

    A probability of 0 has a logarithm of minus infinity: what is to stand for it, a signal says.

    Args:
        predictions: as `check_predictions` returns them.
        from_logits: whether they are logits, as `mpreg.classifiers.kind` decides it.
        coarse: whether probabilities need not sum to one.
        side: whose they are, for error messages.

    Raises:
        ValueError: probabilities outside [0, 1] or that do not sum to one, or that are said to be logits.
    """
    if from_logits:
        return _log_softmax(predictions, side)
    return _log_of_probabilities(predictions, side, coarse)


def class_probabilities(predictions, *, from_logits=None, coarse=False):
    """Returns class probabilities, float64 (n, classes); arguments as for `log_probabilities`.

    Where nobody says whether they are logits, their looks decide.
    """
    predictions = check_predictions(predictions)
    from_logits = are_logits([predictions], from_logits=from_logits, coarse=coarse)
    return np.exp(log_probabilities(predictions, from_logits=from_logits, coarse=coarse))


def refuse_softmax_of_one(predictions, labels):
    """Raises a `ValueError` for a softmax over one unit, which is always 1."""
    single = all(side.shape[1] == 1 and (side == 1).all() for side in predictions)
    if single and any((np.asarray(side) != 1).any() for side in labels):
        raise ValueError(
            "all predictions are a single 1, as from a softmax over one unit, which tells nothing. "
            "Use one unit a class, or a sigmoid for two classes"
        )


def are_distributions(predictions):
    """Returns whether all rows are probabilities that sum to one, up to rounding."""
    return not look_like_logits(predictions) and np.all(np.abs(predictions.sum(axis=1) - 1.0) <= ROUNDING)


def _log_softmax(logits, side):
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    elif are_distributions(logits) and np.any((logits > 0) & (logits < 1)):
        raise ValueError(
            f"{side}: predictions were said to be logits, but all rows are probabilities that sum to one. "
            "Say from_logits=False"
        )
    logs = np.empty_like(logits)
    rows = max(1, BLOCK // logits.shape[1])
    for start in range(0, len(logits), rows):  # what is computed on the way then stays in the cache
        block = logits[start : start + rows]
        shifted = block - np.max(block, axis=1, keepdims=True)
        np.subtract(shifted, np.log1p(_sum_of_others(shifted))[:, None], out=logs[start : start + rows])
    return logs


def _sum_of_others(shifted):
    """Sum of exp over all but one of the highest logits, which are 0: small sums keep all their digits."""
    powers = np.exp(shifted)
    powers[np.arange(len(powers)), np.argmax(shifted, axis=1)] = 0.0
    return np.sum(powers, axis=1)


def _log_of_probabilities(probabilities, side, coarse):
    if probabilities.min() < 0 or probabilities.max() > 1:
        row = np.flatnonzero((probabilities < 0).any(axis=1) | (probabilities > 1).any(axis=1))[0]
        whole = probability_unit([probabilities])
        remedy = (
            "If these are logits, say from_logits=True" if whole is None else f"They are {in_unit(whole)}"
        )
        raise ValueError(
            f"{side}: probabilities must lie in [0, 1]. Row {row} holds {probabilities[row].min():.4g} to "
            f"{probabilities[row].max():.4g}. {remedy}"
        )
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1.0 - probabilities, probabilities], axis=1)
    sums = probabilities.sum(axis=1)
    bad = np.flatnonzero(np.abs(sums - 1.0) > ROUNDING)
    if len(bad) and not coarse:
        raise ValueError(
            f"{side}: probabilities must sum to one. {len(bad)} rows do not, the first is row {bad[0]} with a sum "
            f"of {sums[bad[0]]:.4g}. If these are logits, say from_logits=True; if the model rounds or truncates its "
            "answers, coarse=True"
        )
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
