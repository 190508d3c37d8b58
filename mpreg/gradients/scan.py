"""A recurrent step over time, with a gradient that keeps nothing but inputs and states."""

import tensorflow as tf


def scan(step, inputs, states, mask=None):
    """Returns the states after every step, a list of tensors (n, steps, width).

    The backward pass runs each step again, the last one first.

    Args:
        step: function `(inputs, states)` of tensors (n, width) that returns the next states. It reads no variables,
            and no gradient flows to the tensors that it closes over.
        inputs: tensor (n, steps, width).
        states: list of tensors (n, width), those before the first step.
        mask: bool (n, steps), False where the states stay as they are; or None.
    """
    present = None if mask is None else _time_first(mask[..., None])

    def advance(at, x, before):
        after = step(x, before)
        if present is None:
            return after
        return [tf.where(present[at], new, old) for new, old in zip(after, before, strict=True)]

    @tf.custom_gradient
    def run(inputs, *states):
        xs = _time_first(inputs)
        found = _forwards(advance, xs, states)

        def gradient(*back):
            previous = [tf.concat([s[None], f[:-1]], axis=0) for s, f in zip(states, found, strict=True)]
            of_inputs, of_states = _backwards(advance, xs, previous, [_time_first(part) for part in back])
            return [_time_first(of_inputs), *of_states]

        return [_time_first(state) for state in found], gradient

    return run(inputs, *states)


def _forwards(advance, xs, states):
    """All states, time first."""
    count, inputs = tf.shape(xs)[0], _reading(xs)
    arrays = [_writing(xs, state) for state in states]

    def body(at, states, arrays):
        states = advance(at, inputs.read(at), states)
        return at + 1, states, [array.write(at, s) for array, s in zip(arrays, states, strict=True)]

    *_, arrays = tf.while_loop(lambda at, *_: at < count, body, (0, list(states), arrays))
    return [array.stack() for array in arrays]


def _backwards(advance, xs, previous, back):
    """Gradients of the inputs, time first, and of the first states; all given time first."""
    inputs, befores, backs = _reading(xs), [_reading(p) for p in previous], [_reading(b) for b in back]

    def body(at, gradients, array):
        x, before = inputs.read(at), [b.read(at) for b in befores]
        gradients = [g + b.read(at) for g, b in zip(gradients, backs, strict=True)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([x, *before])
            after = advance(at, x, before)
        zero = tf.UnconnectedGradients.ZERO
        of_x, *gradients = tape.gradient(after, [x, *before], gradients, unconnected_gradients=zero)
        return at - 1, gradients, array.write(at, of_x)

    none = [tf.zeros_like(p[0]) for p in previous]
    start = tf.shape(xs)[0] - 1, none, _writing(xs, xs[0])
    _, gradients, array = tf.while_loop(lambda at, *_: at >= 0, body, start)
    return array.stack(), gradients


def _reading(values):
    return tf.TensorArray(values.dtype, tf.shape(values)[0], element_shape=values.shape[1:]).unstack(values)


def _writing(xs, element):
    return tf.TensorArray(element.dtype, tf.shape(xs)[0], element_shape=element.shape)


def _time_first(tensor):
    """Swaps the first two axes."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])
