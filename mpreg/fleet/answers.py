"""Predictions of all replicas of a fleet."""

import numpy as np
import tensorflow as tf

from mpreg.data import flatten, map_arrays
from mpreg.fleet.program import Program
from mpreg.fleet.vectorize import CannotVectorize
from mpreg.fleet.waves import replica_bytes, stack_sizes


def answer_all(step, weights, x, *, batch_size, memory):
    """Returns the predictions of all replicas for all records, float32 (replicas, records, outputs).

    Args:
        step: the `Step` of a model of the shapes of the replicas.
        weights: trainable and other variables as arrays with an axis in front for the replica.
        x: records.
        batch_size: records at a time.
        memory: bytes that may be taken at once.
    """
    replicas, records = len(weights[0][0]), len(flatten(x)[0])
    batch_size = min(batch_size, records)
    size, _ = stack_sizes(replicas, int(memory // replica_bytes(step, batch_size)), 1)
    program = Program(step, together=True)
    try:
        program.trace_answers(*_specs(weights, size, x, batch_size))
    except CannotVectorize:
        program, size = Program(step, together=False), 1
    answers = np.empty((replicas, records, *step.target.output_shape[1:]), np.float32)
    for start in range(0, replicas, size):
        # Stacks and batches are of one size, so that one trace serves: the last ones are filled up with repeats.
        places = np.minimum(np.arange(start, start + size), replicas - 1)
        stack = tf.nest.map_structure(lambda value, at=places: tf.convert_to_tensor(value[at]), weights)
        for first in range(0, records, batch_size):
            rows = np.minimum(np.arange(first, first + batch_size), records - 1)
            batch = map_arrays(lambda array, at=rows: tf.convert_to_tensor(array[at]), x)
            answer = program.answers(stack, batch).numpy()
            answers[start : start + size, first : first + batch_size] = answer[
                : replicas - start, : records - first
            ]
    return answers


def _specs(weights, size, x, batch_size):
    """The types of what `Program.answers` takes."""
    stacked = tf.nest.map_structure(
        lambda value: tf.TensorSpec((size, *value.shape[1:]), value.dtype), weights
    )
    return stacked, map_arrays(lambda array: tf.TensorSpec((batch_size, *array.shape[1:]), array.dtype), x)
