"""Turns a function of one replica into a function of a stack of replicas."""

import logging
import re

import keras
import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

# TensorFlow converts the first form of its seeded draws by a loop over the stack, and forgot the second, which Keras
# draws dropout with. A loop is short beside the rest of a step, and the draws stay those of each replica's own seed.
DRAWS = (
    "StatelessRandomGetKeyCounter",
    "StatelessRandomUniformV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformFullIntV2",
    "StatelessRandomNormalV2",
    "StatelessTruncatedNormalV2",
)


CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)


class CannotVectorize(Exception):
    """Is raised for operations that cannot be vectorized over stacked weights, or not usefully."""


def refuse_loops(layers):
    """Raises `CannotVectorize` for layers that TensorFlow would loop over, or fail at after minutes.

    It loops over the gradients of convolution kernels, which takes longer than replicas one by one; and does not
    find out for minutes that it cannot loop over steps in time.
    """
    for layer in layers:
        if isinstance(layer, keras.layers.RNN):
            raise CannotVectorize(f"{type(layer).__name__} cannot be vectorized")
        if isinstance(layer, CONVOLUTIONS):
            raise CannotVectorize(f"{type(layer).__name__} is slower together")


def vectorize(function, stacked):
    """Applies `function` to each replica's part of stacked arguments, vectorized.

    Raises:
        CannotVectorize: an operation has no form for stacked arguments.
    """
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it logs what it raises
    try:
        return tf.vectorized_map(function, stacked, fallback_to_while_loop=False)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CannotVectorize(f"{_operation(str(error))} cannot be vectorized") from error
    finally:
        logger.setLevel(level)


def _operation(message):
    """The operation that TensorFlow's error is about."""
    named = re.search(r"No pfor vectorization defined for (\w+)|op: \"(\w+)\"", message)
    return next(filter(None, named.groups())) if named else message.strip().splitlines()[0]


def _bitcast(inputs):
    """Bits read as another type, which Keras' `argmax` needs; the axis in front is not touched."""
    return pfor.wrap(tf.bitcast(inputs.stacked_input(0), inputs.get_attr("type")), True)


def _scatter(inputs):
    """Values put in places, as the gradient of `top_k` does: the replica's number goes ahead of each place."""
    inputs.stack_inputs([0, 1])
    places, given, shape = inputs.stacked_input(0), inputs.stacked_input(1), inputs.unstacked_input(2)
    count = tf.shape(places)[:1]
    replica = tf.reshape(
        tf.range(count[0], dtype=places.dtype), tf.concat([count, tf.ones_like(tf.shape(places)[1:])], 0)
    )
    replica = tf.broadcast_to(replica, tf.concat([tf.shape(places)[:-1], [1]], 0))
    shape = tf.concat([tf.cast(count, shape.dtype), shape], 0)
    return pfor.wrap(tf.scatter_nd(tf.concat([replica, places], -1), given, shape), True)


LACKING = {"Bitcast": _bitcast, "ScatterNd": _scatter, **dict.fromkeys(DRAWS, pfor._fallback_converter)}
for name, convert in LACKING.items():
    if name not in pfor._pfor_converter_registry:
        pfor.RegisterPFor(name)(convert)
