"""How many replicas train together: as many as fit into memory, in one stack for each core."""

import math
import os

import numpy as np
import tensorflow as tf

# Weights, slots and gradients are held twice, before and after a step; answers of layers and their gradients once.
COPIES_OF_STATE, COPIES_OF_ANSWERS = 2, 2


def cores():
    """Returns the number of threads that compute in parallel: the usable cores, or one with a GPU."""
    if tf.config.list_logical_devices("GPU"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def stack_sizes(replicas, capacity, threads):
    """Returns the replicas in each stack, and the stacks in each wave, if `capacity` replicas fit into memory.

    Stacks are alike, so that one program serves them all, and waves are as many as must be.
    """
    waves = math.ceil(replicas / max(1, capacity))
    resident = math.ceil(replicas / waves)
    stacks = min(threads, resident)
    return math.ceil(resident / stacks), stacks


def replica_bytes(step, records):
    """Estimates the memory to train a replica in bytes: its variables and its layers' outputs for `records`.

    Args:
        step: the replica's `Step`.
        records: records at a time.
    """
    state = sum(
        math.prod(variable.shape) * np.dtype("float32").itemsize
        for variable in [*step.trainable, *step.trainable, *step.others, *step.model.optimizer.variables]
    )
    answers = sum(_width(layer) for layer in step.target.layers) * records * np.dtype("float32").itemsize
    return COPIES_OF_STATE * state + COPIES_OF_ANSWERS * answers


def _width(layer):
    """Numbers that a layer answers with to one record; 0 where it cannot tell."""
    try:
        shapes = [tensor.shape for tensor in tf.nest.flatten(layer.output)]
    except (AttributeError, ValueError):
        return 0
    return sum(math.prod(size or 1 for size in shape[1:]) for shape in shapes)
