"""Predictions of all replicas of a fleet."""

import numpy as np
import tensorflow as tf

from mpreg.data import flatten, map_arrays
from mpreg.fleet.program import Program
from mpreg.fleet.vectorize import CannotVectorize
from mpreg.fleet.waves import replica_bytes, stack_sizes


def answer_all(step, weights, x, *, asked=None, batch_size, memory):
    """Returns the predictions of all replicas for all records, float32 (replicas, records, outputs).

    Args:
        step: the `Step` of a model of the shapes of the replicas.
        weights: trainable and other variables as arrays with an axis in front for the replica.
        x: records.
        asked: which replica answers to which records, bool (replicas, records); other answers are 0. None for all.
        batch_size: records at a time.
        memory: bytes that may be taken at once.
    """
    replicas, records = len(weights[0][0]), len(flatten(x)[0])
    answers = np.zeros((replicas, records, *step.target.output_shape[1:]), np.float32)
    rows = [np.arange(records)] if asked is None else [np.flatnonzero(own) for own in asked]
    batch_size = min(batch_size, max(map(len, rows)))
    if batch_size == 0:
        return answers
    size, _ = stack_sizes(replicas, int(memory // replica_bytes(step, batch_size)), 1)
    own = asked is not None
    program = Program(step, together=True)
    try:
        program.trace_answers(*_specs(weights, size, x, batch_size, own), own)
    except CannotVectorize:
        program, size = Program(step, together=False), 1
    for start in range(0, replicas, size):
        # Stacks and batches are of one size, so that one trace serves: the last ones are filled up with repeats.
        places = np.minimum(np.arange(start, start + size), replicas - 1)
        stack = tf.nest.map_structure(lambda value, at=places: tf.convert_to_tensor(value[at]), weights)
        theirs = [rows[place] for place in places] if own else rows
        for first in range(0, max(map(len, theirs)), batch_size):
            parts = [some[first : first + batch_size] for some in theirs]
            filled = np.array([np.resize(part, batch_size) for part in parts], int)
            batch = map_arrays(
                lambda array, at=filled if own else filled[0]: tf.convert_to_tensor(array[at]), x
            )
            answer = program.answers(stack, batch, own).numpy()
            for place in range(start, min(start + size, replicas)):
                part = parts[place - start if own else 0]
                answers[place, part] = answer[place - start, : len(part)]
    return answers


def _specs(weights, size, x, batch_size, own):
    """The types of what `Program.answers` takes."""
    stacked = tf.nest.map_structure(
        lambda value: tf.TensorSpec((size, *value.shape[1:]), value.dtype), weights
    )
    lead = (size, batch_size) if own else (batch_size,)
    return stacked, map_arrays(lambda array: tf.TensorSpec((*lead, *array.shape[1:]), array.dtype), x)
