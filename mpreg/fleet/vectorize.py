"""A function of one replica as a function of a stack of replicas."""

import logging
import re

import tensorflow as tf

# Drawn for one replica after the other within the program, which is short beside the rest of a step; the draws stay
# those of the replica's own seed.
DRAWN_IN_TURN = re.compile("StatelessRandom")
SAID_OF_A_LOOP = re.compile(r"Using a while_loop for converting (\w+)")


class CannotVectorize(Exception):
    """An operation that has no form for stacked weights."""


def trace_vectorized(function, *arguments):
    """Traces a `tf.function` that calls `tf.vectorized_map`.

    What has no vectorized form, TensorFlow puts into a loop over the replicas, slower than one replica after the
    other, and says so in its log alone.

    Raises:
        CannotVectorize: an operation other than a random draw goes into such a loop, or no program comes of it.
    """
    logger, loops = tf.get_logger(), []

    def listen(record):
        found = SAID_OF_A_LOOP.search(record.getMessage())
        if found:
            loops.append(found.group(1))
        return not found

    level = logger.level
    logger.addFilter(listen)
    logger.setLevel(min(level, logging.WARNING))
    try:
        function.get_concrete_function(*arguments)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CannotVectorize(str(error).strip().splitlines()[-1]) from error
    finally:
        logger.setLevel(level)
        logger.removeFilter(listen)
    failed = [name for name in dict.fromkeys(loops) if not DRAWN_IN_TURN.match(name)]
    if failed:
        raise CannotVectorize(", ".join(failed))
