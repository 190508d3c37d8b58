"""Repeated records in one batch: each repetition moves a clipped sum, so it is refused or accounted for."""

import dataclasses

import keras
import tensorflow as tf

from mpreg.training.core.replicas import gathered

CUTTING = ("Batch", "Rebatch", "GroupByWindow", "DenseToRagged")  # datasets that make batches, by class


def check_stream(dataset):
    """Raises a `ValueError` for a `tf.data.Dataset` that was repeated before batching.

    Sees what `tf.data` keeps of a dataset's making: not what a generator yields, nor what goes on inside functions.
    """
    pending, batched = [(dataset, False)], False
    while pending:
        current, batched = pending.pop()
        kind = type(current).__name__
        if batched and "Repeat" in kind and _repetitions(current) != 1:
            raise ValueError(
                "the dataset was repeated before it was cut into batches, so one batch may hold a record several "
                "times, and that record would move the clipped sum by as many clips. Batch before you repeat, "
                ".shuffle(n).batch(b).repeat(), or give fit mpreg.poisson_batches"
            )
        batched = batched or any(word in kind for word in CUTTING)
        pending.extend((source, batched) for source in current._inputs())


def _repetitions(dataset):
    """How often a repeated dataset runs, None if forever or unknown."""
    count = getattr(dataset, "_count", None)
    return None if count is None else tf.get_static_value(count)


class RepeatCounter:
    """Counts the most equal rows seen in one batch.

    The count is a variable beside the model's weights, so that nothing which loads or restores those lowers it.
    """

    def __init__(self):
        with tf.init_scope():
            self._most = tf.Variable(1, dtype=tf.int32, trainable=False, name="most_copies")

    def see(self, record, weights=None):
        """Counts the rows of one batch, nested tensors, without those of weight 0."""
        digests = row_digests(record)
        if weights is not None:
            digests = tf.boolean_mask(digests, weights != 0)
        _, _, counts = tf.unique_with_counts(gathered(digests))
        self._most.assign(tf.maximum(self._most, tf.reduce_max(counts)))

    def charged(self, sampling):
        """Returns a `Sampling` with the copies seen since `clear`, if it leaves them open."""
        if not sampling.repeats_unseen:
            return sampling
        return dataclasses.replace(sampling, copies=max(sampling.copies, int(self._most.numpy())))

    def clear(self):
        """Resets the count."""
        self._most.assign(1)


def row_digests(record):
    """Returns a hash of each row of nested tensors, int64 (n,)."""
    parts = [_words(tensor) for tensor in keras.tree.flatten(record) if tensor is not None]
    words = tf.concat(parts, axis=1)
    shape = (2, tf.shape(words)[1])
    # Sums of products with odd factors, modulo 2**32; two of them make one number of 64 bits.
    factors = tf.random.stateless_uniform(shape, [2654435769, 40503], None, None, tf.int32) | 1
    low, high = (tf.cast(tf.reduce_sum(words * factor, axis=1), tf.int64) for factor in tf.unstack(factors))
    return high * 2**32 + low


def _words(tensor):
    """A tensor as (n, numbers) of int32."""
    if isinstance(tensor, tf.SparseTensor):
        tensor = tf.sparse.to_dense(tensor)
    tensor = tf.convert_to_tensor(tensor)
    if tensor.dtype == tf.string:
        tensor = tf.strings.to_hash_bucket_fast(tensor, 2**31 - 1)
    if tensor.dtype.is_floating:
        tensor = tf.bitcast(tf.cast(tensor, tf.float32), tf.int32)
    rows = tf.shape(tensor)[0]
    return tf.reshape(tf.cast(tensor, tf.int32), (rows, tf.size(tensor) // tf.maximum(rows, 1)))
