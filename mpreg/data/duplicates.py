"""Finds equal records by digests of their features."""

import hashlib

import numpy as np

from mpreg.data.records import flatten
from mpreg.data.text import is_text

DIGESTED_AT_ONCE = 4096  # records


def first_equal(digests):
    """Returns for each row of digests the index of the first equal row, (n,)."""
    order = np.lexsort(digests.T)  # stable: equal rows stay in their order
    ranked = digests[order]
    starts = np.flatnonzero(np.r_[True, (ranked[1:] != ranked[:-1]).any(axis=1)])
    first = np.empty(len(digests), np.int64)
    first[order] = np.repeat(order[starts], np.diff(np.r_[starts, len(digests)]))
    return first


def digest_records(x, *, at_once=DIGESTED_AT_ONCE):
    """Returns two 64-bit digests of each record's features, (n, 2), independent of their type.

    Multilinear hashing of 32-bit words, modulo 2**64: words of zero add nothing, so that what a narrower type
    lacks does not matter.

    Source: Lemire and Kaser, "Strongly universal string hashing is fast", The Computer Journal 2014.
    """
    rng = np.random.default_rng(0x6D70726567)
    arrays = [array.reshape(len(array), -1) for array in flatten(x)]
    keys = [
        rng.integers(2**64, size=(2, array.shape[1], 2), dtype=np.uint64) | np.uint64(1) for array in arrays
    ]
    digests = np.zeros((len(arrays[0]), 2), np.uint64)
    for array, (key, second_key) in zip(arrays, keys, strict=True):
        for start in range(0, len(array), at_once):
            rows = slice(start, start + at_once)
            words, second_words = _words(array[rows])
            digests[rows] += words.astype(np.uint64) @ key
            if second_words is not None:
                digests[rows] += second_words.astype(np.uint64) @ second_key
    return digests


def _words(array):
    """The 32-bit words that tell values apart, uint32 (n, k), and a second array of them, or None if it is all 0."""
    if is_text(array):
        array = array.astype(np.str_) if array.dtype.kind == "O" else array
        texts, positions = np.unique(array, return_inverse=True)
        texts = texts if array.dtype.kind == "S" else np.char.encode(texts, "utf-8")
        codes = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts.tolist())
        pairs = np.frombuffer(codes, np.uint32).reshape(-1, 2)[positions.reshape(array.shape)]
        return pairs[..., 0], pairs[..., 1]
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = array.astype(np.float32) + np.float32(0)  # -0 becomes 0
        exact = array.dtype.kind not in "iu" or array.dtype.itemsize < 4 or np.abs(array).max() <= 2**24
        rest = None if exact else (array.astype(np.int64) - rounded.astype(np.int64)).astype(np.uint32)
    return rounded.view(np.uint32), rest
