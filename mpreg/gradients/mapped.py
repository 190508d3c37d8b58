"""Per-example gradients without a rule: a separate backward pass of a layer or model for each example."""

import contextlib

import keras
import tensorflow as tf

from mpreg.gradients.pieces import Rows
from mpreg.gradients.shapes import exact_dtype
from mpreg.gradients.threefry import threefry

VECTORIZED, LOOPED = "vectorized_map", "map_fn"


class LayerAlone:
    """Is the rule of a layer without one: runs the layer again on each record.

    Args:
        mode: `"vectorized_map"` or `"map_fn"`; None is the former where TensorFlow knows how, which the first call
            finds out. Vectorizing the loop of a recurrent layer takes minutes, where it succeeds at all.
    """

    def __init__(self, mode=None):
        self.mode = mode

    before_activation, run = False, None

    def pieces(self, layer, calls, copies):
        """Returns the pieces of the layer's variables."""
        if self.mode is None:
            self.mode = VECTORIZED
            try:
                with quiet_conversion():
                    return self._rows(layer, calls, copies)
            except Exception:  # of whatever kind TensorFlow raises at operations that it cannot vectorize
                self.mode = LOOPED
        return self._rows(layer, calls, copies)

    def _rows(self, layer, calls, copies):
        variables = layer.trainable_variables
        totals = None
        for call in calls:
            rows = _one_call(layer, variables, call, copies, self.mode)
            totals = rows if totals is None else [a + b for a, b in zip(totals, rows, strict=True)]
        return [Rows(variable, values) for variable, values in zip(variables, totals, strict=True)]


@contextlib.contextmanager
def quiet_conversion():
    """Keeps TensorFlow's messages on failed vectorization out of the log; the plan reports the result."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("CRITICAL")
    try:
        yield
    finally:
        logger.setLevel(level)


def _one_call(layer, variables, call, copies, mode):
    given = {name: value for name, value in call.options.items() if tf.is_tensor(value)}
    fixed = {name: value for name, value in call.options.items() if name not in given}
    elements = keras.tree.map_structure(
        lambda tensor: grouped(tensor, copies), (call.inputs, call.gradient, given)
    )

    def backward(element):
        inputs, gradient, options = element
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            output = layer(inputs, **fixed, **options)
        return _gradients(tape, output, variables, gradient)

    return map_examples(backward, elements, [tf.TensorSpec(v.shape, exact_dtype(v)) for v in variables], mode)


def model_rows(variables, forward, elements, seeds, answer_specs, mode):
    """Returns pieces of all variables, and the predictions, by running the whole model on each example.

    Args:
        variables: trainable variables.
        forward: function of one element, returning its answers and its loss.
        elements: tensors, nested, an example a row.
        seeds: variables that hold the state of random numbers; each example gets states of its own.
        answer_specs: `tf.TensorSpec` of the answers to one element, nested.
        mode: `"vectorized_map"` or `"map_fn"`.

    Returns:
        `(pieces, answers)`.
    """
    rows = tf.shape(keras.tree.flatten(elements)[0])[0]
    states = [_states(seed, rows) for seed in seeds]

    def backward(pair):
        element, own = pair
        # What the pass would change is thrown away: the seeds, which every example shares.
        scope = keras.StatelessScope(state_mapping=list(zip(seeds, own, strict=True)))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            with scope:
                answers, loss = forward(element)
        return _gradients(tape, loss, variables), answers

    specs = [tf.TensorSpec(v.shape, exact_dtype(v)) for v in variables], answer_specs
    gradients, answers = map_examples(backward, (elements, states), specs, mode)
    for seed in seeds:
        seed.assign(seed + keras.ops.convert_to_tensor([0, 1], dtype=seed.dtype))
    return [Rows(v, g) for v, g in zip(variables, gradients, strict=True)], answers


def _states(seed, rows):
    words = tf.cast(seed.value, tf.uint32)
    counter = tf.bitcast(tf.range(rows), tf.uint32)
    state = tf.stack(threefry(words[0], words[1], counter, tf.zeros_like(counter)), axis=1)
    return tf.cast(state, seed.value.dtype)


def map_examples(function, elements, specs, mode):
    """Applies `function` to each row of `elements`."""
    if mode == VECTORIZED:
        return tf.vectorized_map(function, elements, fallback_to_while_loop=False, warn=False)
    return tf.map_fn(function, elements, fn_output_signature=specs)


def grouped(tensor, copies):
    """Reshapes (n * copies, ...) to (n, copies, ...)."""
    return (
        tf.reshape(tensor, tf.concat([(-1, copies), tf.shape(tensor)[1:]], axis=0))
        if (None in tensor.shape[1:])
        else tf.reshape(tensor, (-1, copies, *tensor.shape[1:]))
    )


def _gradients(tape, target, variables, output_gradients=None):
    gradients = tape.gradient(
        target,
        [variable.value for variable in variables],
        output_gradients=output_gradients,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    # An embedding's come as rows of it.
    return [
        tf.cast(tf.convert_to_tensor(gradient), exact_dtype(variable))
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def answer_specs(target, x, copies):
    """Returns specs of the target's predictions for one example of `copies` rows."""
    with keras.StatelessScope():
        spec = target.compute_output_spec(
            keras.tree.map_structure(
                lambda t: keras.KerasTensor((copies, *t.shape[1:]), keras.backend.standardize_dtype(t.dtype)),
                x,
            )
        )
    return keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), spec)
