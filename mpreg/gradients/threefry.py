"""Threefry: random bits as a function of a key and a counter.

Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.2 (Threefry-2x32, 20
rounds).
"""

import tensorflow as tf

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def threefry(key0, key1, word0, word1):
    """Returns two words of 32 random bits for each pair of counter words under a key; all uint32."""
    keys = (key0, key1, key0 ^ key1 ^ tf.constant(PARITY, tf.uint32))
    word0, word1 = word0 + keys[0], word1 + keys[1]
    for block in range(5):
        for distance in ROTATIONS[block % 2]:
            word0 = word0 + word1
            word1 = _rotate(word1, distance) ^ word0
        word0 = word0 + keys[(block + 1) % 3]
        word1 = word1 + keys[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return word0, word1


def _rotate(word, distance):
    left = tf.bitwise.left_shift(word, tf.constant(distance, tf.uint32))
    return left | tf.bitwise.right_shift(word, tf.constant(32 - distance, tf.uint32))
