"""Tests a clipping plan: made-up records must have the gradients of separate plain backward passes."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.classifiers.calling import call_target
from mpreg.gradients.leaves import all_layers
from mpreg.gradients.mapped import answer_specs, grouped, model_rows
from mpreg.gradients.shapes import exact

RECORDS = 3  # of the trial
FREE_AXIS = 6  # length that the trial gives to an axis of any length
TOLERANCE = 1e-3
HALF_TOLERANCE = 0.1  # where a layer computes in half precision


def try_out(compute, target, x, truth):
    """Returns what is wrong with a way of computing per-example gradients, or None."""
    try:
        norms, sums = compute(x)
    except Exception as error:  # whatever a layer of a stranger may raise when it is looked into
        return f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"
    half = any(layer.compute_dtype in ("bfloat16", "float16") for layer in all_layers(target))
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    largest = max(np.max(np.abs(expected)) for expected in truth[1:])
    for found, expected in zip([norms, *sums], truth, strict=True):
        # Some gradients are 0 but for rounding, such as that of the bias of an attention's keys.
        allowed = tolerance * (np.max(np.abs(expected)) + 1e-3 * largest)
        if not np.max(np.abs(found - expected)) <= allowed:
            return "the gradients of single records come out otherwise where they are in one batch"
    return None


def by_layers(plan, x, *, training):
    """Returns the digest of a plan's rules."""

    def run():
        with keras.StatelessScope():
            answers = call_target(plan.target, x, training=training)
            return answers, tf.reduce_sum(readout(answers))

    _, _, pieces = plan.backward(run, 1)
    return _digest(pieces, plan.target.trainable_variables)


def by_model(plan, x, *, training):
    """Returns the digest of a plan that runs the whole model on each record."""
    target = plan.target

    def forward(element):
        answers = call_target(target, element, training=training)
        return answers, tf.reduce_sum(readout(answers))

    elements = keras.tree.map_structure(lambda tensor: grouped(tensor, 1), x)
    pieces, _ = model_rows(
        target.trainable_variables, forward, elements, [], answer_specs(target, x, 1), plan.whole
    )
    return _digest(pieces, target.trainable_variables)


def _digest(pieces, variables):
    """Squared norms of the records, and of each variable the sum of its gradients with factors 1, 2, 3."""
    factors = tf.range(1.0, RECORDS + 1.0)
    norms = sum(piece.squared_norms().numpy() for piece in pieces)
    sums = {id(variable): np.zeros(variable.shape, np.float32) for variable in variables}
    for piece in pieces:
        sums[id(piece.variable)] = sums[id(piece.variable)] + piece.weighted_sum(factors).numpy()
    return norms, [sums[id(variable)] for variable in variables]


def one_by_one(target, x, training):
    """Returns the digest of one plain backward pass for each record, the ground truth."""
    variables = target.trainable_variables
    norms, sums = [], [np.zeros(variable.shape) for variable in variables]
    for row in range(RECORDS):
        record = keras.tree.map_structure(lambda tensor, at=row: tensor[at : at + 1], x)
        with tf.GradientTape() as tape, keras.StatelessScope():
            loss = tf.reduce_sum(readout(call_target(target, record, training=training)))
        gradients = [
            exact(gradient).numpy().astype(np.float64)
            for gradient in tape.gradient(
                loss, [v.value for v in variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        ]
        norms.append(sum(np.sum(np.square(g)) for g in gradients))
        sums = [total + (row + 1) * g for total, g in zip(sums, gradients, strict=True)]
    return [np.array(norms), *sums]


def readout(answers):
    """Returns a number for each record that depends on all of its predictions, and on no others."""
    numbers = []
    for answer in keras.tree.flatten(answers):
        answer = exact(answer)
        count = tf.reduce_prod(tf.shape(answer)[1:])
        direction = tf.reshape(tf.sin(tf.cast(tf.range(count) + 1, answer.dtype)), tf.shape(answer)[1:])
        each = tf.reduce_sum(answer * direction + tf.square(answer), axis=range(1, answer.shape.rank))
        numbers.append(tf.cast(each, tf.float64))
    return tf.add_n(numbers)


def make_up(spec):
    """Returns `RECORDS` made-up records like `spec`."""
    rng = np.random.default_rng(0)

    def make(part):
        shape = (RECORDS, *(FREE_AXIS if size is None else size for size in part.shape[1:]))
        if part.dtype.is_floating:
            return tf.cast(rng.normal(size=shape), part.dtype)
        if part.dtype.is_integer or part.dtype.is_bool:
            return tf.cast(rng.integers(0, 2, shape), part.dtype)
        raise ValueError(
            "the target's inputs must be numbers, or no plan can be tried out. Encode text ahead of the target. "
            f"Received: inputs of type {part.dtype.name}"
        )

    return keras.tree.map_structure(make, spec)


def advanced_seeds(target, x):
    """Returns the random-state variables that a pass in training mode advances."""
    weights = {id(weight) for weight in target.non_trainable_weights}
    with keras.StatelessScope() as scope:
        call_target(target, x, training=True)
    return [
        variable
        for variable in target.non_trainable_variables
        if id(variable) not in weights and scope.get_current_value(variable) is not None
    ]
