"""The compiled program of a fleet: an epoch, and the predictions, of many replicas in one call."""

import keras
import tensorflow as tf

from mpreg.fleet.vectorize import refuse_loops, vectorize


class Program:
    """Compiles an epoch, and the predictions, of a stack of replicas of a model.

    The state of a stack is three lists of tensors, with an axis in front for the replica: trainable variables, other
    variables (moving statistics, the states of random generators) and the optimizer's.

    Args:
        step: the `Step` of a compiled model. Its variables are never changed.
        schedule: the shapes of an epoch; None where it shall not be trained.
        together: whether the replicas of a stack go through each operation together. If not, stacks hold one replica.
        jit: whether XLA compiles what the optimizer does to the weights, which it fuses.
        fused: a `FusedAdam` that takes the optimizer's steps in its stead; None for none.
    """

    def __init__(self, step, *, schedule=None, together, jit=False, fused=None):
        self._own = step
        self._fused = fused
        self._schedule = schedule
        self._together = together
        # Where Keras sums the losses of a batch rather than take their mean, records that do not count leave no gap.
        self._summed = getattr(step.model.loss, "reduction", None) == "sum"
        self._epoch = tf.function(self._run_epoch, autograph=False)
        update = self._run_update
        self._update = tf.function(update, autograph=False, jit_compile=True) if jit else update
        self._answers = tf.function(self._run_answers, autograph=False)

    def hold(self, state):
        """Returns the state of a stack as `epoch` takes it, given arrays."""
        if self._fused is None:
            return tf.nest.map_structure(tf.convert_to_tensor, state)
        return self._fused.hold(*state)

    def trace(self, state, data, batches):
        """Traces an epoch, so that threads do not.

        Args:
            state, data, batches: `tf.TensorSpec`s of what `epoch` takes.

        Raises:
            CannotVectorize: an operation of the model has no form for stacked weights.
        """
        state = state if self._fused is None else self._fused.specs(*state)
        self._epoch.get_concrete_function(state, data, batches)

    def trace_answers(self, weights, x, own):
        """Traces predictions, as `trace` does."""
        self._answers.get_concrete_function(weights, x, own)

    def epoch(self, state, data, batches):
        """Returns the state after an epoch, and each replica's sum of losses over the records.

        Args:
            state: as `hold` or an epoch before returns it; not to be used again.
            data: `(x, y)`, tensors of all records.
            batches: as `schedule.lay_out` gives them.
        """
        handles = tf.nest.map_structure(
            lambda value: value.handle if isinstance(value, tf.Variable) else value, state
        )
        after, losses = self._epoch(handles, data, batches)
        # A variable is what it was: only what it holds has changed.
        after = tf.nest.map_structure(
            lambda old, new: old if isinstance(old, tf.Variable) else new, state, after
        )
        return after, losses

    def answers(self, weights, x, own):
        """Returns the predictions of each replica of a stack, (n, records, outputs).

        Args:
            weights: trainable and other variables, stacked.
            x: a batch for all replicas, or stacked batches where each has its `own`.
        """
        return self._answers(weights, x, own)

    def _run_epoch(self, state, data, batches):
        whole, ends, counts = batches
        losses = tf.zeros(tf.shape(ends)[1])
        if self._schedule.whole:
            state, losses = self._walk(state, losses, data, (whole,))
        if self._schedule.ends:
            last = (ends, counts) if self._schedule.ragged else (ends,)
            state, losses = self._walk(state, losses, data, last)
        return state, losses

    def _walk(self, state, losses, data, batches):
        """Takes the steps of some batches, one after the other."""

        def body(at, state, losses):
            rows, *counts = [part[at] for part in batches]
            records = tf.nest.map_structure(lambda values: tf.gather(values, rows), data)
            state, loss = self._step(state, records, *counts)
            return at + 1, state, losses + loss

        steps = batches[0].shape[0]
        _, state, losses = tf.while_loop(
            lambda at, *_: at < steps, body, (0, state, losses), parallel_iterations=1
        )
        return state, losses

    def _map(self, function, arguments):
        """`function` of each replica's part of stacked arguments."""
        if self._together:
            refuse_loops(self._own.layers)
            return vectorize(function, arguments)
        results = function(tf.nest.map_structure(lambda value: value[0], arguments))
        return tf.nest.map_structure(lambda value: value[None], results)

    def _step(self, state, records, *counts):
        """A step of a stack: its state afterwards, and the loss before, times the records that count."""
        trainable, others, slots = state
        weights = trainable if self._fused is None else self._fused.read(trainable, records[1].shape[0])
        gradients, others, loss, *moves = self._map(
            lambda arguments: self._slopes(*arguments), (weights, others, records, *counts)
        )
        if self._fused is not None:
            return (trainable, others, self._fused.step(trainable, slots, gradients)), loss
        trainable, slots = self._update(trainable, slots, gradients, *moves)
        return (trainable, others, slots), loss

    def _slopes(self, trainable, others, records, counts=None):
        """One replica's gradients, other variables afterwards and loss; and whether any record counts."""
        x, y = records
        weight = counts
        if counts is not None and not self._summed:
            weight = counts * (self._schedule.last / tf.maximum(tf.reduce_sum(counts), 1))
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            with keras.StatelessScope(self._bind(trainable, others), collect_losses=True) as scope:
                loss = self._own.loss(x, y, weight)
        gradients = [
            tf.zeros_like(value) if gradient is None else tf.convert_to_tensor(gradient)
            for value, gradient in zip(trainable, tape.gradient(loss, trainable), strict=True)
        ]
        after = _updated(scope, self._own.others, others)
        size = tf.shape(y)[0] if counts is None else tf.reduce_sum(counts)
        loss = tf.cast(loss, "float32") * tf.cast(size, "float32")
        if counts is None:
            return gradients, after, loss
        moves = tf.reduce_any(counts > 0)
        return gradients, _where(moves, after, others), tf.where(moves, loss, 0.0), moves

    def _run_update(self, trainable, slots, gradients, *moves):
        """Weights and slots of a stack after the optimizer's step; those of a replica that does not move stay."""

        def update(arguments):
            trainable, slots, gradients, *moves = arguments
            after = self._own.model.optimizer.stateless_apply(slots, gradients, trainable)
            after = [list(part) for part in after]
            return _where(*moves, after, [trainable, slots]) if moves else after

        return self._map(update, (trainable, slots, gradients, *moves))

    def _run_answers(self, weights, x, own):
        def answer(arguments):
            weights, records = arguments if own else (arguments, x)
            with keras.StatelessScope(self._bind(*weights)):
                return tf.cast(self._own.answers(records, training=False), "float32")

        return self._map(answer, (weights, x) if own else weights)

    def _bind(self, trainable, others):
        pairs = zip(self._own.trainable, trainable, strict=True)
        return [*pairs, *zip(self._own.others, others, strict=True)]


def _where(condition, new, old):
    return tf.nest.map_structure(lambda one, other: tf.where(condition, one, other), new, old)


def _updated(scope, variables, values):
    """What variables hold after a scope, given what they held before."""
    new = [scope.get_current_value(variable) for variable in variables]
    return [
        old if value is None else tf.cast(value, old.dtype) for value, old in zip(new, values, strict=True)
    ]
