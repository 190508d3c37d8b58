"""Rows evenly spread, and how many classes labels tell apart."""

import numpy as np
import pytest

from mpreg.data import count_labels, evenly_spaced


@pytest.mark.parametrize(("records", "count"), [(1, 1), (1, 5), (10, 10), (10, 99), (100, 7), (1000, 999)])
def test_evenly_spaced_rows_differ_and_reach_from_the_first_to_the_last(records, count):
    rows = evenly_spaced(records, count)
    assert len(rows) == len(np.unique(rows)) == min(count, records)
    assert rows[0] == 0 and (count == 1 or rows[-1] == records - 1)
    steps = np.diff(rows)
    assert not len(steps) or steps.max() - steps.min() <= 1


def test_labels_are_counted_by_columns_or_by_the_highest_index():
    y = np.array([0, 2, 1, 2])
    for labels in (y, y[:, None], np.eye(3)[y], y.astype(float), list(y)):
        assert count_labels(labels) == 3
    assert count_labels(np.eye(5)[y]) == 5
    assert count_labels(np.zeros((4, 1))) == 1
