"""Groups of rows that belong to one record: equal ones, near ones, or those the user names.

Whoever deals records to parts (sub-models, folds, shadow models) deals groups: a copy that falls into another part
tells that part about a record it "never saw".
"""

from typing import Any

import numpy as np

from mpreg._validate import check_number
from mpreg.data.duplicates import digest_records, first_equal
from mpreg.data.records import flatten
from mpreg.data.text import is_text


def group_records(x: Any, *, distance: float = 0.0):
    """Returns the group of each row, int64 (n,), numbered by first appearance; equal rows share one.

    Args:
        x: records, one array or a dict, list or tuple of arrays.
        distance: rows whose features, side by side, are at most this far apart (Euclidean; on bits, the square root
            of the number that differ) are in one group too, and so are chains of such rows.

    Raises:
        ValueError: a distance that is negative, or above 0 for records that hold text.

    Example:
    ```python
    groups = mpreg.data.group_records(x, distance=1.5)  # bits: up to two differ
    model = mpreg.SplitDistillation(build_and_compile).fit(x, y, epochs=20, groups=groups)
    ```
    """
    check_number("distance", distance, least=0)
    equal = _numbered(first_equal(digest_records(x)))
    if distance == 0:
        return equal
    arrays = [np.asarray(array) for array in flatten(x)]
    if any(map(is_text, arrays)):
        raise ValueError(
            f"text has no distance: encode it first, or use distance=0. Received: distance={distance!r}"
        )
    rows = np.unique(equal, return_index=True)[1]
    features = np.concatenate([array[rows].reshape(len(rows), -1) for array in arrays], axis=1)
    return _numbered(_chains(features.astype(np.float32), distance)[equal])


def join_groups(x: Any, groups: Any = None):
    """Returns the group of each row, int64 (n,), joining equal rows and those that `groups` joins.

    Args:
        x: records.
        groups: whole numbers or text (n,), such as the person that each row is about; None for none.

    Raises:
        ValueError: not one group for each row.
    """
    equal = group_records(x)
    if groups is None:
        return equal
    given = np.asarray(groups)
    if given.shape != equal.shape or given.dtype.kind not in "biuSU":
        raise ValueError(
            f"groups must be whole numbers or text, one for each of {len(equal):,} records. "
            f"Received: shape {given.shape}, type {given.dtype}"
        )
    given = np.unique(given, return_inverse=True)[1].reshape(-1)
    if len(np.unique(equal)) == len(equal):
        return _numbered(given)
    return _numbered(_components(len(equal), equal, given))


def merge_groups(*groupings):
    """Returns groups that join rows, and chains of rows, joined by any of the groupings; int64 (n,)."""
    return _numbered(_components(len(groupings[0]), *groupings))


def distinct_rows(groups: Any):
    """Returns the first row of each group, int64, in order."""
    return np.sort(np.unique(groups, return_index=True)[1])


def _numbered(groups):
    """The same groups, counted from 0 in order of first appearance."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse.reshape(-1)].astype(np.int64)


def _chains(features, distance):
    """Connected components of the rows that are near one another."""
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import radius_neighbors_graph

    near = radius_neighbors_graph(features, distance, mode="connectivity", include_self=True)
    return connected_components(near, directed=False)[1]


def _components(rows, *groupings):
    """Rows that are in one group by any of the groupings, directly or in steps."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    sizes = np.cumsum([rows, *(grouping.max() + 1 for grouping in groupings)])
    ends = np.concatenate([grouping + start for grouping, start in zip(groupings, sizes, strict=False)])
    starts = np.tile(np.arange(rows), len(groupings))
    links = coo_matrix((np.ones(len(ends), bool), (starts, ends)), shape=(sizes[-1], sizes[-1]))
    return connected_components(links, directed=False)[1][:rows]
