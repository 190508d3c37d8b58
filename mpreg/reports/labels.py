"""Names beside the points of a picture, placed so that none covers another."""

import numpy as np

# Where a name may stand, from the best place to the worst: offset in points, and which corner of it is there.
RINGS = (6, 14, 24, 36, 50)
NEIGHBOURHOOD = 80  # pixels
DIRECTIONS = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))


def label_points(axes, names, places):
    """Writes a name beside each point, or further away and with a thin line to it where it would be nearer to another.

    Draw everything else first, and set the limits of the axes: names keep clear of each other and of the points.

    Args:
        axes: matplotlib axes.
        names: text, one for each point.
        places: `(x, y)` in data coordinates, one for each point.

    Returns:
        The annotations, in the order of the points.
    """
    renderer = axes.figure.canvas.get_renderer() if hasattr(axes.figure.canvas, "get_renderer") else None
    axes.figure.draw_without_rendering()
    at = axes.transData.transform(np.asarray(places, float).reshape(-1, 2))
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    labels = []
    for name, place, own in zip(names, places, at, strict=True):
        label = axes.annotate(name, place, xytext=(0, 0), textcoords="offset points", fontsize="small")
        best = None
        for offset in _offsets(own, at):
            _put(label, offset)
            box = label.get_window_extent(renderer).extents
            hidden = sum(_overlap(box, other) for other in taken) + _outside(box, axes.bbox.extents)
            nearest = min(_distance(box, other) for other in at)
            astray = not _has_line(offset) and _distance(box, own) > nearest
            if best is None or (hidden, astray) < best[0]:
                best = (hidden, astray), offset, box
            if not (hidden or astray):
                break
        _, offset, box = best
        _put(label, offset)
        if _has_line(offset):
            axes.annotate("", place, xytext=offset, textcoords="offset points", arrowprops=_LINE)
        taken.append(tuple(box))
        labels.append(label)
    return labels


_LINE = {"arrowstyle": "-", "color": "gray", "linewidth": 0.5}


def _offsets(own, points):
    """Offsets from near to far, those away from the points around first: names fan out, and lines seldom cross."""
    around = points[np.hypot(*(points - own).T) < NEIGHBOURHOOD]
    away = own - around.mean(axis=0)
    # Corners come before sides, where bars of error are.
    directions = sorted(DIRECTIONS, key=lambda each: (0 in each, -np.round(away @ each, 3)))
    return [(ring * x, ring * y) for ring in RINGS for x, y in directions]


def _has_line(offset):
    return max(map(abs, offset)) > RINGS[1]


def _put(label, offset):
    label.set(position=offset, ha=_side(offset[0], "left", "right"), va=_side(offset[1], "bottom", "top"))


def _side(direction, positive, negative):
    return positive if direction > 0 else negative if direction < 0 else "center"


def _overlap(one, other):
    """The area that two boxes `(left, bottom, right, top)` share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _outside(box, frame):
    """The area of a box that is outside of a frame."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)


def _distance(box, point):
    """How far a point is from a box; 0 within it."""
    (left, bottom, right, top), (x, y) = box, point
    return np.hypot(max(left - x, 0, x - right), max(bottom - y, 0, y - top))
