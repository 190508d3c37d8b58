"""Near-duplicates: records of one class that are much closer to each other than records usually are."""

import numpy as np

from mpreg.data.table import as_table, scaled

MARKEDLY = 0.5  # of the median distance to the nearest record of the class
WIDTH = 64  # dimensions in which distances are looked up: random projections keep them within a tenth or so
AT_ONCE = 1024  # records


def link_near_duplicates(x, labels, *, seed=0):
    """Returns the group of each row, int (n,): near-duplicates of one class share one.

    A record is linked to the nearest of its class where that is less than half as far as such neighbours are in the
    median. Distances are Euclidean, of columns scaled as for `LogisticScorer`, and looked up in random projections.

    Args:
        x: records of numbers.
        labels: class indices, (n,).
        seed: of the projections.
    """
    table = _projected(scaled(as_table(x)), np.random.default_rng(seed))
    nearest, distance = np.arange(len(labels)), np.full(len(labels), np.inf)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            places, distance[rows] = _nearest(table[rows])
            nearest[rows] = rows[places]
    near = np.flatnonzero(distance < MARKEDLY * np.median(distance))
    return _linked(len(labels), near, nearest[near])


def _projected(table, rng):
    if table.shape[1] <= WIDTH:
        return table
    return table @ rng.normal(size=(table.shape[1], WIDTH)).astype(np.float32)


def _nearest(table):
    """For each row the nearest other, and how far it is."""
    lengths = (table**2).sum(axis=1)
    places, squares = np.empty(len(table), int), np.empty(len(table))
    for start in range(0, len(table), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        apart = lengths[part, None] + lengths - 2 * table[part] @ table.T
        apart[np.arange(len(apart)), np.arange(start, start + len(apart))] = np.inf
        places[part] = apart.argmin(axis=1)
        squares[part] = ((table[part] - table[places[part]]) ** 2).sum(
            axis=1
        )  # exact where the other cancels
    return places, np.sqrt(squares)


def _linked(count, some, others):
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(some), bool), (some, others)), shape=(count, count))
    return connected_components(links, directed=False)[1]
