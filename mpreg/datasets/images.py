"""Parsers of image data sets; each returns `(features, labels)`, train part first, pixels as published."""

import io
from itertools import pairwise

import numpy as np

from mpreg.datasets.archives import read_npz, tar_members

_PIXELS = (3, 32, 32)  # how CIFAR's binary files lay out a picture


def cifar10(paths, spec):
    """Parses records of a label byte and 3,072 pixels."""
    members = (*(f"data_batch_{part}.bin" for part in range(1, 6)), "test_batch.bin")
    return _cifar(paths, spec, members=members, label_bytes=1)


def cifar100(paths, spec):
    """Parses records of a coarse label byte, a fine one (the one used) and 3,072 pixels."""
    return _cifar(paths, spec, members=("train.bin", "test.bin"), label_bytes=2)


def _cifar(paths, spec, *, members, label_bytes):
    (path,) = paths
    size = label_bytes + int(np.prod(_PIXELS))
    parts = {}
    for name, stream in tar_members(path, wanted=members, max_bytes=spec.max_bytes):
        content = np.frombuffer(stream.read(), np.uint8)
        if content.size % size:
            raise ValueError(
                f"{path}: {name} should hold records of {size} bytes. Received: {content.size} bytes"
            )
        parts[name] = content.reshape(-1, size)
    records = np.concatenate([parts[name] for name in members])
    pictures = records[:, label_bytes:].reshape(-1, *_PIXELS).transpose(0, 2, 3, 1)
    return pictures, records[:, label_bytes - 1].astype(np.int64)


def mnist(paths, spec):
    """Parses the arrays `x_train`, `y_train`, `x_test` and `y_test` of the file that Keras hosts."""
    (path,) = paths
    return prepared(path, spec)


def prepared(path, spec):
    """Parses an `.npz` with `features` and `labels`, or with `x_train`, `y_train`, `x_test` and `y_test`."""
    arrays = read_npz(path, max_bytes=spec.max_bytes)
    if {"features", "labels"} <= arrays.keys():
        features, labels = arrays["features"], arrays["labels"]
    elif {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        features = np.concatenate([arrays["x_train"], arrays["x_test"]])
        labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
    else:
        raise ValueError(
            f"{path} must hold the arrays features and labels, or x_train, y_train, x_test and y_test. "
            f"Received: {', '.join(sorted(arrays)) or 'nothing'}"
        )
    if (*features.shape[1:], 1) == spec.shape:  # pictures in grey often come without the channel
        features = features[..., None]
    if labels.shape == (len(features), 1):  # as Keras gives those of CIFAR
        labels = labels[:, 0]
    return features, labels


def cifar_jpeg(path, spec):
    """Parses an `.npz` of concatenated JPEG files: `train_jpeg`, `train_offsets`, `train_labels`; `test_` alike."""
    arrays = read_npz(path, max_bytes=spec.max_bytes)
    pictures, labels = [], []
    for part in ("train", "test"):
        missing = {f"{part}_{item}" for item in ("jpeg", "offsets", "labels")} - arrays.keys()
        if missing:
            raise ValueError(f"{path} lacks the arrays {', '.join(sorted(missing))}.")
        offsets = arrays[f"{part}_offsets"]
        content = arrays[f"{part}_jpeg"].tobytes()
        if not offsets.size or offsets[0] != 0 or offsets[-1] != len(content) or (np.diff(offsets) < 0).any():
            raise ValueError(f"{path}: {part}_offsets must rise from 0 to {len(content)}.")
        for start, stop in pairwise(offsets):
            pictures.append(_decode(content[start:stop], path, len(pictures), spec.shape))
        labels.append(arrays[f"{part}_labels"])
    return np.stack(pictures), np.concatenate(labels)


def _decode(content, path, number, shape):
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
            if picture.size != (shape[1], shape[0]):  # checked before decoding: a header may claim any size
                raise ValueError(f"it measures {picture.size}, not {(shape[1], shape[0])}")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise ValueError(f"{path}: picture {number} cannot be decoded: {error}") from error
