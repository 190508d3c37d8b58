"""ROC curves and histograms as JSON-ready numbers, thinned for pictures."""

import numpy as np

from mpreg.metrics.checks import check_scores
from mpreg.metrics.tally import tally

BINS = 25
CELLS = 500  # across an axis, linear and logarithmic; of a curve's points within a cell the ends are kept


def roc_shape(member_scores, nonmember_scores):
    """Returns the ROC as counts of records, without points that a picture cannot show.

    Points on a straight line between others are left out; so are, where there are very many, those inside a
    cell of a five-hundredth of an axis, linear and logarithmic.

    Args:
        member_scores, nonmember_scores: 1-D scores, higher = more likely a member.

    Returns:
        `{"true_positives": [...], "false_positives": [...]}`, integers that rise from 0 to the numbers of
        members and of non-members.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> roc_shape([0.9, 0.8, 0.7], [0.7, 0.1])
        {'true_positives': [0, 2, 3, 3], 'false_positives': [0, 0, 1, 2]}
    """
    counts = tally(member_scores, nonmember_scores)
    curve = np.stack([counts.true_positives, counts.false_positives])
    curve = curve[:, _corners(curve)]
    seen = _seen(curve, np.array([[counts.members], [counts.nonmembers]]))
    return {
        name: side.tolist()
        for name, side in zip(("true_positives", "false_positives"), curve[:, seen], strict=True)
    }


def histogram(members, nonmembers, *, limits=None):
    """Returns the shares of each side in bins of equal width; values beyond the limits go to the outer bins.

    Args:
        members, nonmembers: 1-D values, infinite ones too.
        limits: `(low, high)`; None takes them from the middle 99 % of the finite values.

    Returns:
        `{"low": ..., "high": ..., "members": [...], "nonmembers": [...]}`, a share for each of 25 bins.

    Raises:
        ValueError: if a side is empty, not 1-D or holds NaN.

    Example:
        >>> found = histogram([0.1, 0.9], [0.1], limits=(0, 1))
        >>> found["members"][2], found["members"][22], found["nonmembers"][2]
        (0.5, 0.5, 1.0)
    """
    sides = {
        "members": check_scores(members, "members"),
        "nonmembers": check_scores(nonmembers, "nonmembers"),
    }
    low, high = limits or _middle(np.concatenate([*sides.values()]))
    edges = np.linspace(low, high, BINS + 1)
    shares = {name: _shares(side, edges).tolist() for name, side in sides.items()}
    return {"low": float(low), "high": float(high), **shares}


def _corners(curve):
    """Where a curve turns, and its ends."""
    flat = np.diff(curve, axis=1) == 0
    straight = np.any(flat[:, 1:] & flat[:, :-1], axis=0)
    return np.r_[True, ~straight, True]


def _seen(curve, ends):
    """The first and the last point of a curve in each cell that it goes through."""
    scales = curve / ends, np.log1p(2 * curve) / np.log1p(2 * ends)
    cells = np.floor(CELLS * np.concatenate(scales))
    leaves = np.any(np.diff(cells, axis=1) != 0, axis=0)
    return np.r_[True, leaves] | np.r_[leaves, True]


def _middle(values):
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _shares(values, edges):
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
