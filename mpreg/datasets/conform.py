"""Checks arrays of a data set and gives them their declared types."""

import numpy as np


def conform(features, labels, source, *, shape, classes, values):
    """Checks features and labels and returns them, labels as int64.

    Args:
        features, labels: arrays.
        source: where they come from, for messages.
        shape: of one record.
        classes: labels lie below it; None for no limit.
        values: `"binary"` (kept as uint8), `"pixel"` (given as float32 from 0 to 1), `"real"` (float32) or `"any"`
            (whole numbers as they are, others as float32).

    Raises:
        ValueError: shapes, types or values are others.
    """
    if features.shape[1:] != shape or len(features) == 0:
        wanted = ", ".join(str(size) for size in shape)
        raise ValueError(
            f"{source}: features must have the shape (records, {wanted}). Received: {features.shape}"
        )
    if features.dtype.kind not in "biuf":
        raise ValueError(f"{source}: features must be numbers. Received: {features.dtype}")
    if labels.shape != features.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{source}: labels must be {len(features)} integers. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    labels = labels.astype(np.int64)
    highest = labels.max() if classes is None else classes - 1
    if labels.min() < 0 or labels.max() > highest:
        raise ValueError(
            f"{source}: labels must lie from 0 to {highest}. Received: {labels.min()} to {labels.max()}"
        )
    return _VALUES[values](features, source), labels


def _binary(features, source):
    with np.errstate(invalid="ignore"):  # NaN is refused below
        bits = features.astype(np.uint8, copy=False)
    if bits.max() > 1 or (bits is not features and not np.array_equal(bits, features)):
        raise ValueError(f"{source}: features must be 0 or 1. Received: {features.min()} to {features.max()}")
    return bits


def _pixel(features, source):
    if features.dtype == np.uint8:
        return np.divide(features, np.float32(255), dtype=np.float32, order="C")
    pixels = _real(features, source)
    if pixels.min() < 0 or pixels.max() > 1:
        raise ValueError(
            f"{source}: pixels must be uint8, or lie from 0 to 1. "
            f"Received: {features.dtype} from {features.min()} to {features.max()}"
        )
    return pixels


def _real(features, source):
    if not np.isfinite(features).all():
        raise ValueError(f"{source}: features must be finite. Received: NaN or infinity")
    return features.astype(np.float32, copy=False)


def _any(features, source):
    """Numbers as they are, whole ones too; others as float32."""
    return _real(features, source) if features.dtype.kind == "f" else features


_VALUES = {"binary": _binary, "pixel": _pixel, "real": _real, "any": _any}
