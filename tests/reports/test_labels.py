"""Names in a picture do not cover each other."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mpreg.reports.labels import label_points


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.3], ids=["all in one place", "crowded", "wide"])
def test_names_cover_neither_each_other_nor_leave_the_picture(spread):
    rng = np.random.default_rng(0)
    places = 0.5 + spread * (rng.random((12, 2)) - 0.5)
    figure = Figure(figsize=(9.6, 6), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.plot(*places.T, "o")
    labels = label_points(axes, [f"defence {number}" for number in range(12)], places)
    assert [label.get_text() for label in labels] == [f"defence {number}" for number in range(12)]
    boxes = [label.get_window_extent() for label in labels]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1


def test_a_lone_name_stands_next_to_its_point():
    axes = Figure().subplots()
    (label,) = label_points(axes, ["alone"], [(0.5, 0.5)])
    assert max(map(abs, label.get_position())) <= 6


def test_a_name_without_a_line_is_nearest_to_its_own_point():
    places = np.column_stack([np.tile([0.49, 0.5, 0.51], 6), np.linspace(0.4, 0.6, 18)])
    axes = Figure(figsize=(9.6, 6), layout="constrained").subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    labels = label_points(axes, [f"defence {number}" for number in range(18)], places)
    at = axes.transData.transform(places)
    lines = [tuple(text.xy) for text in axes.texts if text.arrow_patch is not None]
    near = [label for label in labels if tuple(label.xy) not in lines]
    assert 2 < len(near) < 18
    for label in near:
        box = label.get_window_extent()
        beyond = np.maximum(np.maximum(box.min - at, at - box.max), 0)
        assert np.hypot(*beyond.T).argmin() == labels.index(label)
