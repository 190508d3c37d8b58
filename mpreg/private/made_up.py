"""Made-up labels and predictions on which a loss shows whether it mixes records."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

RECORDS, FEW = 5, 3  # of a batch; fewer where it holds so many numbers that more would take a while
LARGE = 1 << 18
KEPT = 2  # records that stay while others take the places beside them
FREE_AXIS = 6  # length that an axis of any length is given
SPECIAL = (-1, 0, 1, 2, 255)  # labels that losses treat in their own way


@dataclasses.dataclass(frozen=True)
class Batch:
    """Holds records, and the batches in which they must have the same gradients.

    Args:
        records: `(labels, answers)`, nested arrays with a record a row.
        beside: batches of as many records, of which the first `KEPT` are the same and all others others.
        smaller: pairs of a row and a smaller batch that begins with that record; none for saturated answers, which
            kernels may round differently where there are fewer.
    """

    records: tuple
    beside: list
    smaller: list


def batches(label_specs, answer_specs, ignored=()):
    """Yields a `Batch` for each kind of labels and of answers.

    Args:
        label_specs, answer_specs: nested, with `shape` and `dtype`, of any number of records.
        ignored: further labels that a loss treats in its own way.
    """
    maker = _Maker(label_specs, answer_specs)
    special = [*ignored, *SPECIAL][: 2 if maker.large else None]
    kinds = [("classes", "spread"), ("classes", "sure")]
    if not maker.large:
        kinds.append(("classes", "numbers"))
        kinds += [("shares", "spread"), ("numbers", "numbers")] if maker.continuous else []
    for labels, answers in kinds:
        yield _batch(maker, labels, answers, special if answers == "spread" else [])


def _batch(maker, labels, answers, special):
    records = maker.labels(labels), maker.answers(answers)
    others = [(maker.labels(labels), maker.answers(each)) for each in (answers, "huge")]
    others += [(maker.filled(each), records[1]) for each in special]
    beside = [
        keras.tree.map_structure(lambda own, other: np.concatenate([own[:KEPT], other[KEPT:]]), records, each)
        for each in others
    ]
    if answers == "sure":
        return Batch(records, beside, [])
    places = [(0, [0]), (maker.rows - 1, [maker.rows - 1]), (0, [0, KEPT])][: 1 if maker.large else None]
    return Batch(records, beside, [(row, _rows(records, rows)) for row, rows in places])


class _Maker:
    """Draws labels and answers of given shapes and types."""

    def __init__(self, label_specs, answer_specs):
        self.rng = np.random.default_rng(0)
        self.label_specs, self.answer_specs = label_specs, answer_specs
        self.answer_shapes = [_shape(spec) for spec in keras.tree.flatten(answer_specs)]
        self.large = sum(math.prod(shape) for shape in self.answer_shapes) * RECORDS > LARGE
        self.rows = FEW if self.large else RECORDS
        self.classes = min((shape[-1] for shape in self.answer_shapes if shape and shape[-1] > 1), default=2)
        self.continuous = any(_is_floating(_dtype(spec)) for spec in keras.tree.flatten(label_specs))

    def labels(self, kind):
        """Class indices or one-hot rows ("classes"), shares of classes ("shares"), or any numbers ("numbers")."""
        return keras.tree.map_structure(lambda spec: self._label(spec, kind), self.label_specs)

    def _label(self, spec, kind):
        shape, dtype = (self.rows, *_shape(spec)), _dtype(spec)
        per_class = shape[1:] in self.answer_shapes and shape[-1] > 1
        if kind == "classes" or not _is_floating(dtype):
            if not per_class:
                return self.rng.integers(0, self.classes, shape).astype(dtype)
            return np.eye(shape[-1], dtype=dtype)[self.rng.integers(0, shape[-1], shape[:-1])]
        values = self._uniform(shape) if kind == "shares" else self._normal(shape)
        if kind == "shares" and per_class:
            values /= values.sum(axis=-1, keepdims=True)
        return values.astype(dtype)

    def filled(self, value):
        """Labels that are all one number."""
        return keras.tree.map_structure(
            lambda spec: np.full((self.rows, *_shape(spec)), np.array(value).astype(_dtype(spec))),
            self.label_specs,
        )

    def answers(self, kind):
        """Probabilities ("spread"), certainties ("sure"), or numbers without bounds ("numbers", "huge")."""
        return keras.tree.map_structure(lambda spec: self._answer(spec, kind), self.answer_specs)

    def _answer(self, spec, kind):
        shape, dtype = (self.rows, *_shape(spec)), _dtype(spec)
        if kind in ("numbers", "huge"):
            return ((2 if kind == "numbers" else 1e4) * self._normal(shape)).astype(dtype)
        values, classes = self._uniform(shape), len(shape) > 1 and shape[-1] > 1
        if classes:
            values /= values.sum(axis=-1, keepdims=True)
        if kind == "sure":
            values = (values == values.max(axis=-1 if classes else 0, keepdims=True)).astype(values.dtype)
            values[1::2] = 100 * values[1::2] - 50  # every other record as logits: certain there, too
        return values.astype(dtype)

    def _uniform(self, shape):
        return 0.1 + 0.8 * self.rng.random(shape, np.float32)

    def _normal(self, shape):
        return self.rng.standard_normal(shape, np.float32)


def _is_floating(dtype):
    return np.issubdtype(dtype, np.floating)


def _shape(spec):
    return tuple(FREE_AXIS if size is None else size for size in spec.shape[1:])


def _dtype(spec):
    """As NumPy has it; half precision is rounded too coarsely to compare, and losses calculate in more anyway."""
    dtype = tf.as_dtype(spec.dtype)
    return np.float32 if dtype.is_floating and dtype.size < 4 else dtype.as_numpy_dtype


def _rows(parts, rows):
    return keras.tree.map_structure(lambda part: part[rows], parts)
