"""Poisson sampling: every record is drawn independently with one probability at every step."""

import math
import secrets
import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mpreg._validate import check_count
from mpreg.data import as_arrays, check_pair, flatten
from mpreg.private.accounting import Sampling
from mpreg.private.repeats import check_stream

MULTIPLE = 8  # batches are padded to a multiple of it, so that a compiled step knows few shapes
_KNOWN: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def poisson_batches(x: Any, y: Any, *, batch_size: int, groups: Any = None, seed: int | None = None) -> Any:
    """Returns a `tf.data.Dataset` of Poisson-sampled batches, with `ceil(n / batch_size)` steps an epoch.

    Each step takes each of n records with probability `batch_size / n`, independently of all else, as the accounting
    of privacy amplification assumes. Batches differ in size; they are padded to a multiple of 8 with repeated records,
    which a mask `(rows,)` of 1 and 0, the third of each element, leaves out. Every iteration draws anew.

    A record is a row, so equal rows are several records, each protected by itself. Where somebody has several rows,
    say with `groups` which belong together: then each group is drawn as one record, one of its rows stands in for it,
    another one each time, and what holds for a record holds for all rows of a group.

    Pass it to `fit` as it is: a dataset that was mapped or shuffled further is no longer known to be Poisson-sampled,
    and counts without amplification.

    Source: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, section 3.1 (lots).

    Args:
        x, y: arrays with a row each, or dicts or tuples of them; `y` is whatever the compiled losses take.
        batch_size: expected records a step.
        groups: (rows,) numbers or text, such as the person that each row is about, or `mpreg.data.group_records(x)`
            for equal rows; None takes each row for a record.
        seed: whole number, for tests: whoever knows it knows who was drawn. None draws from the operating system.

    Returns:
        A `tf.data.Dataset` of `(x, y, mask)`.

    Raises:
        ValueError: not arrays of one length, or a `batch_size` out of range.

    Example:
    ```python
    batches = mpreg.poisson_batches(*split.members, batch_size=128)
    model.fit(batches, epochs=30)
    ```
    """
    x, y = _records(x, y)
    rows = len(flatten(y)[0])
    groups = None if groups is None else _Groups(groups, rows)
    examples = rows if groups is None else len(groups.sizes)
    check_count("batch_size", batch_size, 1)
    if batch_size > examples:
        raise ValueError(
            f"batch_size must be at most the number of records, {examples}. Received: batch_size={batch_size!r}"
        )
    unit = "row" if groups is None else "group"
    return sampled_dataset(x, y, Sampling("poisson", examples, batch_size, unit=unit), seed, groups)


def sampled_dataset(x, y, sampling, seed, groups=None):
    """Returns batches as `poisson_batches` does, under a `Sampling` that may count more examples."""
    units = len(flatten(y)[0]) if groups is None else len(groups.sizes)
    steps = math.ceil(sampling.examples / sampling.batch_size)
    highest = tf.constant(threshold(sampling) - 1, tf.uint64)
    key = secrets.randbits(62) if seed is None else int(seed)
    x, y = keras.tree.map_structure(tf.convert_to_tensor, (x, y))

    def draw(number):
        words = tf.random.stateless_uniform((1 + (groups is not None), units), number, None, None, tf.uint64)
        drawn = tf.where(words[0] <= highest)[:, 0]
        count = tf.size(drawn)
        if groups is not None:
            drawn = groups.one_row(drawn, tf.gather(words[1], drawn))
        padded = tf.maximum(-(-count // MULTIPLE), 1) * MULTIPLE
        # What is repeated does not matter, as its weight is 0.
        taken = tf.concat([drawn, tf.zeros((padded - count,), drawn.dtype)], axis=0)
        mask = tf.cast(tf.range(padded) < count, tf.float32)
        return *keras.tree.map_structure(lambda part: tf.gather(part, taken), (x, y)), mask

    dataset = step_numbers(key, steps).map(draw, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    _KNOWN[dataset] = sampling
    return dataset


def threshold(sampling):
    """Returns how many of the 2**64 numbers draw a record: never more than the accountant's probability."""
    return int(sampling.probability * 2**64)  # a product with a power of 2 is exact, and `int` rounds down


def step_numbers(key, steps):
    """Returns a `tf.data.Dataset` of a secret 128-bit number for each step, int64 (2,), new in each iteration.

    `Dataset.random` gives 32 bits at a time, of which 65,000 steps would draw some twice, and with them the same batch.
    """
    words = tf.data.Dataset.random(seed=key, rerandomize_each_iteration=True).batch(4, drop_remainder=True)

    def number(four):
        joined = four[:2] + tf.bitwise.left_shift(four[2:], tf.constant(32, tf.int64))
        return tf.bitwise.bitwise_xor(joined, tf.constant([key, 0], tf.int64))

    return words.take(steps).map(number)


def _records(x, y):
    """Records and labels as arrays of one length; labels are the business of the compiled loss."""
    y = as_arrays(y)
    (rows, *others) = {len(part) for part in flatten(y)}
    if others:
        raise ValueError(
            f"all labels must have as many rows. Received: {[part.shape for part in flatten(y)]}"
        )
    x, _ = check_pair((x, np.zeros(rows, int)), "records")
    return x, y


class _Groups:
    """Rows by the record that they belong to.

    Args:
        groups: for each row a number or text, alike for those of one record.
        rows: how many there are.
    """

    def __init__(self, groups, rows):
        groups = np.asarray(groups)
        if groups.shape != (rows,):
            raise ValueError(
                f"groups must say of each of {rows} rows to which record it belongs. Received: shape {groups.shape}"
            )
        _, which, self.sizes = np.unique(groups, return_inverse=True, return_counts=True)
        self._order = np.argsort(which, kind="stable")  # rows of one record beside each other
        self._starts = np.cumsum(self.sizes) - self.sizes

    def one_row(self, drawn, words):
        """A row of each drawn record, by a random word each."""
        sizes, starts = (tf.gather(part, drawn) for part in (self.sizes, self._starts))
        position = tf.cast(tf.bitwise.right_shift(words, tf.constant(1, tf.uint64)), tf.int64) % sizes
        return tf.gather(self._order, starts + position)


def describe(x, *, batch_size=None, validation_split=0.0, steps_per_epoch=None):
    """Returns the `Sampling` of arguments of `fit`: Poisson, shuffled arrays, or anything else.

    Raises:
        ValueError: a dataset whose batches may hold a record several times.
    """
    if isinstance(x, tf.data.Dataset):
        known = _KNOWN.get(x)
        if known is None:
            check_stream(x)
        return known or Sampling("arbitrary")
    parts = keras.tree.flatten(x)
    whole = parts and all(hasattr(part, "shape") and len(part.shape) for part in parts)
    # Epochs that end within a pass may begin each with a new shuffle, and so with the same records.
    if not whole or steps_per_epoch is not None:
        return Sampling("arbitrary", distinct=bool(whole))
    examples = int(len(parts[0]) * (1.0 - validation_split))
    batch_size = batch_size or 32  # as Keras has it
    return Sampling("shuffled", examples, min(batch_size, examples), math.ceil(examples / batch_size))
