"""Trains a fleet in this process: wave after wave, with the stacks of a wave in parallel threads."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from mpreg.fleet.adam import FusedAdam, can_fuse
from mpreg.fleet.checks import check_replica
from mpreg.fleet.controls import Controls
from mpreg.fleet.job import values
from mpreg.fleet.optimizer import make_stateless
from mpreg.fleet.program import Program
from mpreg.fleet.step import step_of
from mpreg.fleet.vectorize import CannotVectorize
from mpreg.fleet.waves import replica_bytes, stack_sizes

# Weights times steps above which XLA repays the second that it takes to compile the optimizer: fused, it takes half.
WORTH_COMPILING = 1e9


@dataclasses.dataclass
class Trained:
    """Holds the weights and losses trained so far.

    Attributes:
        weights: a `Step`'s trainable and other variables, each array with an axis in front for the replica.
        losses: mean loss of each replica in each epoch, (replicas, epochs).
        done: which replicas are done, bool (replicas,).
        how: how they were trained.
    """

    weights: tuple
    losses: np.ndarray
    done: np.ndarray
    how: str = ""

    @classmethod
    def empty(cls, step, replicas, epochs):
        """Returns the state before training of a number of replicas of a model with this `Step`."""

        def room(variables):
            return [np.zeros((replicas, *variable.shape), variable.dtype) for variable in variables]

        weights = room(step.trainable), room(step.others)
        return cls(weights, np.zeros((replicas, epochs), np.float32), np.zeros(replicas, bool))

    def put(self, replicas, other):
        """Copies some replicas from another `Trained`, which holds them in that order."""
        tf.nest.map_structure(lambda mine, new: mine.__setitem__(replicas, new), self.weights, other.weights)
        self.losses[replicas], self.done[replicas] = other.losses, True
        self.how = other.how


@dataclasses.dataclass
class Wave:
    """Holds the replicas in progress.

    Attributes:
        replicas: which.
        epoch: epochs behind them.
        state: what they have learned, as `Program` has it.
    """

    replicas: list
    epoch: int
    state: tuple


def train(job, trained, *, threads, advance, wave=None, keep=None):
    """Trains the replicas of a job that are missing in `trained`.

    Args:
        job: the `Job`.
        trained: `Trained`, filled on.
        threads: stacks to train side by side.
        advance: function `(note, steps)` called after every epoch of a wave.
        wave: a `Wave` to go on with.
        keep: function called after every epoch with the wave and a function that gives its state, and with
            nothing after every wave; or None.
    """
    step = step_of(job.model(0))
    fuse = can_fuse(step.model.optimizer, step.trainable)
    for optimizer in (step.model.optimizer, *step.optimizers):
        make_stateless(optimizer)
    step.model.optimizer.build(step.trainable)
    # Replicas that take unequally many steps need Keras' own.
    fuse = fuse and not job.schedule.ragged
    fused = FusedAdam(step.model.optimizer, step.trainable) if fuse else None
    slots = values(step.model.optimizer.variables)  # callbacks change them
    data = tf.nest.map_structure(tf.convert_to_tensor, (job.x, job.y))
    left = [int(replica) for replica in np.flatnonzero(~trained.done)]
    program, size, stacks, trained.how = _plan(job, step, data, max(1, len(left)), threads, fused)
    with ThreadPoolExecutor(stacks) as pool:
        while left:
            if wave is None:
                members = left[: size * stacks]
                wave = Wave(members, 0, _initial_state(job, members, step, slots))
            else:
                wave.state = tf.nest.pack_sequence_as(_variables(step), wave.state)
            left = [replica for replica in left if replica not in wave.replicas]
            _train_wave(job, step, program, pool, wave, trained, size, data, advance, keep)
            wave = None


def _plan(job, step, data, replicas, threads, fused):
    """The program, replicas in a stack, stacks in a wave, and how that is called."""
    options = {"schedule": job.schedule, "jit": _updates(job, step) > WORTH_COMPILING, "fused": fused}
    capacity = int(job.memory // replica_bytes(step, job.schedule.batch))
    try:
        size, stacks = stack_sizes(replicas, capacity, threads)
        program = Program(step, together=True, **options)
        program.trace(*_specs(step, job.schedule, size, data))
        how = f"one program, waves of {min(size * stacks, replicas)}"
    except CannotVectorize as error:
        size, stacks = 1, max(1, min(threads, replicas, capacity))
        program = Program(step, together=False, **options)
        program.trace(*_specs(step, job.schedule, size, data))
        how = f"one by one: {error}"
    return program, size, stacks, how


def _updates(job, step):
    """How often a weight is changed in a training, summed over the weights of all replicas."""
    return step.target.count_params() * job.schedule.steps * len(job.rows) * job.epochs


def _specs(step, schedule, size, data):
    """The types of what `Program.epoch` takes."""

    def stacked(variables):
        return [tf.TensorSpec((size, *variable.shape), variable.dtype) for variable in variables]

    state = tuple(stacked(variables) for variables in _variables(step))
    ends = (schedule.ends, size, schedule.last)
    batches = (
        tf.TensorSpec((schedule.whole, size, schedule.batch), "int32"),
        tf.TensorSpec(ends, "int32"),
        tf.TensorSpec(ends, "float32"),
    )
    return state, tf.nest.map_structure(tf.TensorSpec.from_tensor, data), batches


def _variables(step):
    """The three kinds of variables of a state."""
    return step.trainable, step.others, step.model.optimizer.variables


def _initial_state(job, replicas, step, slots):
    """What replicas start from: arrays, stacked."""
    count, fresh, arrays = len(replicas), None, None
    for at, replica in enumerate(replicas):
        last, fresh = fresh, step_of(job.model(replica))
        check_replica(fresh, last, step)
        variables = [*fresh.trainable, *fresh.others]
        if arrays is None:
            arrays = [np.empty((count, *variable.shape), variable.dtype) for variable in variables]
        for array, variable in zip(arrays, variables, strict=True):
            array[at] = variable
    trainable, others = arrays[: len(step.trainable)], arrays[len(step.trainable) :]
    return trainable, others, [_repeated(value, count) for value in slots]


def _repeated(value, count):
    """A value for each of `count` replicas; zeros, as moments start from, take no memory before they are changed."""
    shape = (count, *value.shape)
    return np.full(shape, value, value.dtype) if value.any() else np.zeros(shape, value.dtype)


def _train_wave(job, step, program, pool, wave, trained, size, data, advance, keep):
    """The epochs that a wave has left."""
    count = len(wave.replicas)
    # All stacks are of one size: the last is filled up with its last replica, trained twice.
    places = [
        slice(start, start + size)
        if start + size <= count
        else np.minimum(np.arange(start, start + size), count - 1)
        for start in range(0, count, size)
    ]
    controls = Controls(job, step, wave.replicas)

    def spread(state):
        return [program.hold(tf.nest.map_structure(lambda value, at=at: value[at], state)) for at in places]

    def run(at):
        own = np.array(wave.replicas)[places[at]].tolist()
        batches = tuple(map(tf.convert_to_tensor, job.batches(own, wave.epoch)))
        states[at], losses = program.epoch(states[at], data, batches)
        return losses.numpy() / [len(job.rows[replica]) for replica in own]

    def gather(kinds=3):
        return tf.nest.map_structure(
            lambda *parts: np.concatenate([part.numpy() for part in parts])[:count],
            *(state[:kinds] for state in states),
        )

    def control(state, *events):
        if controls:
            controls.run(state, *events)
        return state

    start = control(wave.state, ("on_train_begin",), ("on_epoch_begin", wave.epoch))
    states = spread(start)
    while wave.epoch < job.epochs:
        losses = np.concatenate(list(pool.map(run, range(len(places)))))[:count]
        trained.losses[wave.replicas, wave.epoch] = losses
        wave.epoch += 1
        advance(f"loss {losses.mean():.3f}", count)
        if controls and wave.epoch < job.epochs:
            ended, begun = ("on_epoch_end", wave.epoch - 1), ("on_epoch_begin", wave.epoch)
            states = spread(control(gather(), ended, begun))
        # What callbacks remember is not kept, so that a wave with some begins anew.
        if keep is not None and wave.epoch < job.epochs and not controls:
            keep(wave, gather)
    # Only callbacks read what the optimizer remembers.
    state = control(gather(3 if controls else 2), ("on_epoch_end", wave.epoch - 1), ("on_train_end",))
    trainable, others, *_ = state
    trained.put(wave.replicas, Trained((trainable, others), trained.losses[wave.replicas], None, trained.how))
    if keep is not None:
        keep()
