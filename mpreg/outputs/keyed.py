"""Random numbers that depend on the query alone: a keyed hash of it.

A defence that drew fresh randomness at every call would be undone by whoever repeats the query and averages. So the
same query always meets the same chance. The key is secret: who knew it could tell which answers carry noise.
"""

import secrets

import tensorflow as tf

from mpreg._validate import check_count

KEY_BITS = 64


def secret_seed(seed):
    """Checks and returns a seed, or draws one from the operating system for None.

    Raises:
        ValueError: the seed is no whole number from 0 to 2**64 - 1.
    """
    if seed is None:
        return secrets.randbits(KEY_BITS)
    check_count("seed", seed, 0)
    if seed >= 2**KEY_BITS:
        raise ValueError(f"seed must be below 2**{KEY_BITS}. Received: seed={seed}")
    return int(seed)


def toss(words, seed):
    """Returns for each row of int32 (n, columns) a number in [0, 1), float32 (n,), unpredictable without the seed.

    Every column is mixed with a key of its own, so the order of the words counts. It is not a cryptographic hash.
    """
    low, high = (tf.constant(part & 0xFFFFFFFF, tf.uint32) for part in (seed, seed >> 32))
    keys = _mix(_mix(tf.range(words.shape[1], dtype=tf.int32), low), high)
    mixed = _mix(tf.bitwise.bitwise_xor(_unsigned(words), keys), high)
    # Integers wrap around in a sum; the order of the terms is of no consequence, as it would be for floats.
    total = _mix(tf.reduce_sum(tf.bitcast(mixed, tf.int32), axis=1), low)
    return tf.cast(tf.bitwise.right_shift(total, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def _unsigned(words):
    return words if words.dtype == tf.uint32 else tf.bitcast(words, tf.uint32)


def _mix(words, key):
    """A bijection of 32-bit words in which every bit of the result depends on every bit of the word and the key."""
    words = _unsigned(words) + key
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        words = tf.bitwise.bitwise_xor(words, tf.bitwise.right_shift(words, tf.constant(shift, tf.uint32)))
        words *= tf.constant(factor, tf.uint32)
    return words
