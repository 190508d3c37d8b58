"""The Gaussian sum query: tensorflow-privacy's if it is installed, an equivalent if not."""

import functools
import importlib
import sys
from collections import namedtuple

import tensorflow as tf

from mpreg.training.core.replicas import on_first

GlobalState = namedtuple("GlobalState", ["l2_norm_clip", "stddev"])


class OwnGaussianSum:
    """Implements `GaussianSumQuery` of tensorflow-privacy: clips records by global norm and adds noise to the sum."""

    def __init__(self, l2_norm_clip, stddev):
        self._l2_norm_clip, self._stddev = l2_norm_clip, stddev

    def make_global_state(self, l2_norm_clip, stddev):
        return GlobalState(tf.cast(l2_norm_clip, tf.float32), tf.cast(stddev, tf.float32))

    def initial_global_state(self):
        return self.make_global_state(self._l2_norm_clip, self._stddev)

    def derive_sample_params(self, global_state):
        return global_state.l2_norm_clip

    def preprocess_record(self, params, record):
        clipped, _ = tf.clip_by_global_norm(tf.nest.flatten(record), params)
        return tf.nest.pack_sequence_as(record, clipped)


class _SecretNoise:
    """Takes the noise from a `NoiseSource`: tensorflow-privacy's follows `tf.random`'s seed, which may be known."""

    def __init__(self, l2_norm_clip, stddev, *, noise):
        super().__init__(l2_norm_clip, stddev)
        self._noise = noise

    def noised(self, sums, global_state, step):
        """The sums with noise: what `get_noised_result` returns first, for a step that can be named.

        Where devices share a batch, and so each has sums of its own, the first alone adds noise.
        """

        def with_noise():
            noise = self._noise.draw([value.shape for value in sums], step, global_state.stddev)
            return [value + tf.cast(extra, value.dtype) for value, extra in zip(sums, noise, strict=True)]

        return on_first(with_noise, lambda: list(sums))


def gaussian_sum(l2_norm_clip, stddev, noise):
    """Returns a Gaussian sum query with secret noise, tensorflow-privacy's class if installed."""
    return _query_class()(l2_norm_clip, stddev, noise=noise)


@functools.cache
def _query_class():
    module = tensorflow_privacy("privacy.dp_query.gaussian_query")
    base = module.GaussianSumQuery if module else OwnGaussianSum
    return type("SecretGaussianSum", (_SecretNoise, base), {})


def tensorflow_privacy(submodule):
    """Imports and returns a submodule of tensorflow-privacy, or None if it is not installed.

    Its top level imports what Keras 3 has no more, unless a mark on `sys` tells it not to; the mark is taken off again.
    """
    marked = "tensorflow_privacy" in sys.modules or hasattr(sys, "skip_tf_privacy_import")
    if not marked:
        sys.skip_tf_privacy_import = True
    try:
        return importlib.import_module(f"tensorflow_privacy.{submodule}")
    except ImportError:
        return None
    finally:
        if not marked:
            del sys.skip_tf_privacy_import
