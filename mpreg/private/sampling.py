"""Batches drawn as the accounting assumes: every record independently, with one probability, at every step."""

import math
import secrets
import weakref

import keras
import tensorflow as tf

from mpreg._validate import check_count
from mpreg.data import check_pair, flatten
from mpreg.private.accounting import Sampling

MULTIPLE = 8  # batches are padded to a multiple of it, so that a compiled step knows few shapes
_KNOWN = weakref.WeakKeyDictionary()


def poisson_batches(x, y, *, batch_size, seed=None):
    """A `tf.data.Dataset` of Poisson-sampled batches, one epoch of `ceil(n / batch_size)` steps long.

    Each step takes each record with probability `batch_size / n`, independently of all else, as the accounting of
    privacy amplification assumes. Batches differ in size; they are padded to a multiple of 8 with repeated records,
    which a mask `(rows,)` of 1 and 0, the third of each element, leaves out. Every iteration draws anew.

    Pass it to `fit` as it is: a dataset that was mapped or shuffled further is no longer known to be Poisson-sampled,
    and counts without amplification.

    Source: Abadi et al., "Deep Learning with Differential Privacy", CCS 2016, section 3.1 (lots).

    Args:
        x, y: arrays with a record a row (`x` may be a dict or tuple of them).
        batch_size: expected records a step.
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
    x, y = check_pair((x, y), "records")
    examples = len(flatten(x)[0])
    check_count("batch_size", batch_size, 1)
    if batch_size > examples:
        raise ValueError(
            f"batch_size must be at most the number of records, {examples}. Received: batch_size={batch_size!r}"
        )
    return sampled_dataset(x, y, Sampling("poisson", examples, batch_size), seed)


def sampled_dataset(x, y, sampling, seed):
    """As `poisson_batches`, under a `Sampling` that may count more examples than these records."""
    rows = len(y)
    steps = math.ceil(sampling.examples / sampling.batch_size)
    highest = round(sampling.batch_size / sampling.examples * 2**32) - 1
    key = secrets.randbits(62) if seed is None else int(seed)
    x, y = keras.tree.map_structure(tf.convert_to_tensor, (x, y))

    def draw(number):
        words = tf.random.stateless_uniform((rows,), [key, number], None, None, tf.uint32)
        drawn = tf.where(words <= tf.constant(highest, tf.uint32))[:, 0]
        count = tf.size(drawn)
        padded = tf.maximum(-(-count // MULTIPLE), 1) * MULTIPLE
        # What is repeated does not matter, as its weight is 0.
        taken = tf.concat([drawn, tf.zeros((padded - count,), drawn.dtype)], axis=0)
        mask = tf.cast(tf.range(padded) < count, tf.float32)
        return *keras.tree.map_structure(lambda part: tf.gather(part, taken), (x, y)), mask

    numbers = tf.data.Dataset.random(seed=key, rerandomize_each_iteration=True).take(steps)
    dataset = numbers.map(draw, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    _KNOWN[dataset] = sampling
    return dataset


def describe(x, *, batch_size=None, validation_split=0.0, steps_per_epoch=None):
    """The `Sampling` of what `fit` was given: Poisson, shuffled arrays in whole passes, or anything else."""
    if isinstance(x, tf.data.Dataset):
        return _KNOWN.get(x, Sampling("arbitrary"))
    parts = keras.tree.flatten(x)
    whole = parts and all(hasattr(part, "shape") and len(part.shape) for part in parts)
    # Epochs that end within a pass may begin each with a new shuffle, and so with the same records.
    if not whole or steps_per_epoch is not None:
        return Sampling("arbitrary")
    examples = int(len(parts[0]) * (1.0 - validation_split))
    batch_size = batch_size or 32  # as Keras has it
    return Sampling("shuffled", examples, min(batch_size, examples), math.ceil(examples / batch_size))
