"""Checks of the scores and decisions that metrics take."""

import numpy as np


def check_scores(scores, name):
    """Return `scores` as a 1-D float64 array, or raise `ValueError` if it is empty, not 1-D, complex or holds NaN."""
    scores = np.asarray(scores)
    if np.iscomplexobj(scores):
        raise ValueError(f"{name} must be real numbers. Received: {scores.dtype} numbers")
    scores = scores.astype(np.float64)
    _check_one_dimension(scores, name)
    missing = int(np.isnan(scores).sum())
    if missing:
        raise ValueError(f"{name} must not hold NaN. Received: {missing} NaN among {scores.size} scores")
    return scores


def check_decisions(decisions, name):
    """Return `decisions` as a 1-D boolean array; raise `ValueError` if empty, not 1-D or not boolean."""
    decisions = np.asarray(decisions)
    _check_one_dimension(decisions, name)
    if decisions.dtype != bool:
        # Scores passed for decisions would all count as True: only 0 and 1 may stand for booleans.
        strange = ~np.isin(decisions, (0, 1))
        if strange.any():
            raise ValueError(f"{name} must be boolean. Received: a value of {decisions[strange][0]}")
    return decisions.astype(bool)


def _check_one_dimension(values, name):
    if values.ndim != 1:
        raise ValueError(f"{name} must be 1-D. Received: shape={values.shape}")
    if values.size == 0:
        raise ValueError(f"{name} must hold at least one record. Received: shape={values.shape}")
