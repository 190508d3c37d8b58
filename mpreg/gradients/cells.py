"""The equations of Keras' recurrent cells: a step, and what each of their weights is multiplied with.

The columns of a kernel belong to the gates of a cell, in equal parts. What a kernel is multiplied with is a list of
tensors: one for all gates, or one for each, as dropout may differ between them.
"""

import keras
import tensorflow as tf


class Cell:
    """A cell of Keras as it is in one call: its weights as tensors, and its dropout. These equations are `SimpleRNN`'s.

    Args:
        cell: the Keras cell.
        input_masks: dropout of the inputs, a list of tensors (n, d) for all gates or for each, None where there is
            none.
        state_masks: the same of the state.
    """

    def __init__(self, cell, input_masks, state_masks):
        self.cell, self.input_masks, self.state_masks = cell, input_masks, state_masks
        self.kernel, self.recurrent_kernel, self.bias = (
            None if weight is None else tf.cast(tf.convert_to_tensor(weight), cell.compute_dtype)
            for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
        )

    def factors(self, sequences):
        """What the kernel is multiplied with."""
        return _masked(sequences, self.input_masks)

    def project(self, factors):
        """The part of all gates that does not depend on the state, (n, steps, gates * units)."""
        products = _products(factors, self.kernel)
        return products if self.bias is None else products + self._bias_of_inputs()

    def step(self, projected, states):
        """The next states, from a step of what `project` returned and from the last states."""
        return [self.cell.activation(projected + self._product(states[0]))]

    def recurrent_factors(self, projected, states):
        """What the recurrent kernel is multiplied with, of the states (n, steps, units) before each step."""
        return _masked(states, self.state_masks)

    def recurrent_gradient(self, gradient, projected, states):
        """What comes back to the product with the recurrent kernel, given what comes back to `projected`."""
        return gradient

    def bias_gradient(self, gradient, recurrent_gradient):
        """What comes back to the bias at each step."""
        return gradient

    def _product(self, state):
        return _products(_masked(state, self.state_masks), self.recurrent_kernel)

    def _bias_of_inputs(self):
        return self.bias


class LSTM(Cell):
    """Long short-term memory; gates: input, forget, candidate, output."""

    def step(self, projected, states):
        hidden, carry = states
        i, f, c, o = tf.split(projected + self._product(hidden), 4, axis=-1)
        gate, activation = self.cell.recurrent_activation, self.cell.activation
        carry = gate(f) * carry + gate(i) * activation(c)
        return [gate(o) * activation(carry), carry]


class GRU(Cell):
    """Gated recurrent unit whose reset gate acts on the state's product; gates: update, reset, candidate."""

    def step(self, projected, states):
        (hidden,) = states
        x_update, x_reset, x_candidate = tf.split(projected, 3, axis=-1)
        update, reset, candidate = tf.split(self._product(hidden), 3, axis=-1)
        gate = self.cell.recurrent_activation
        return [self._next(x_update + update, x_candidate + gate(x_reset + reset) * candidate, hidden)]

    def recurrent_gradient(self, gradient, projected, states):
        x_reset, reset = (tf.split(part, 3, axis=-1)[1] for part in (projected, self._product(states)))
        *others, candidate = tf.split(gradient, 3, axis=-1)
        return tf.concat([*others, candidate * self.cell.recurrent_activation(x_reset + reset)], axis=-1)

    def bias_gradient(self, gradient, recurrent_gradient):
        return tf.stack([gradient, recurrent_gradient], axis=2)

    def _product(self, state):
        product = super()._product(state)
        return product if self.bias is None else product + self.bias[1]

    def _bias_of_inputs(self):
        return self.bias[0]

    def _next(self, update, candidate, hidden):
        update = self.cell.recurrent_activation(update)
        return update * hidden + (1 - update) * self.cell.activation(candidate)


class GRUResetBefore(GRU):
    """The same with the reset gate on the state itself, as its authors had it, and one bias."""

    def step(self, projected, states):
        (hidden,) = states
        x_update, _, x_candidate = tf.split(projected, 3, axis=-1)
        of_update, _, of_candidate = self.recurrent_factors(projected, hidden)
        update, _, candidate = tf.split(self.recurrent_kernel, 3, axis=1)
        update = x_update + tf.tensordot(of_update, update, 1)
        candidate = x_candidate + tf.tensordot(of_candidate, candidate, 1)
        return [self._next(update, candidate, hidden)]

    def recurrent_factors(self, projected, states):
        update, reset, candidate = _masked(states, self.state_masks * (3 // len(self.state_masks)))
        kernel = tf.split(self.recurrent_kernel, 3, axis=1)[1]
        x_reset = tf.split(projected, 3, axis=-1)[1]
        gate = self.cell.recurrent_activation(x_reset + tf.tensordot(reset, kernel, 1))
        return [update, reset, gate * candidate]

    def recurrent_gradient(self, gradient, projected, states):
        return gradient

    def bias_gradient(self, gradient, recurrent_gradient):
        return gradient

    def _bias_of_inputs(self):
        return self.bias


def kind_of(cell):
    """Returns the Keras class of a recurrent cell, or None."""
    return next((kind for kind in type(cell).__mro__ if kind in EQUATIONS), None)


def equations(cell, input_masks, state_masks):
    """Returns the `Cell` for a Keras cell."""
    kind = EQUATIONS[kind_of(cell)]
    if kind is GRU and not cell.reset_after:
        kind = GRUResetBefore
    return kind(cell, input_masks, state_masks)


EQUATIONS = {keras.layers.SimpleRNNCell: Cell, keras.layers.LSTMCell: LSTM, keras.layers.GRUCell: GRU}


def _masked(values, masks):
    return [_times(values, mask) for mask in masks]


def _times(values, mask):
    if mask is None:
        return values
    return values * (mask[:, None] if values.shape.rank > mask.shape.rank else mask)


def _products(factors, kernel):
    """Factors times a kernel, each with the columns that it is for."""
    kernels = tf.split(kernel, len(factors), axis=1)
    products = [tf.tensordot(f, k, 1) for f, k in zip(factors, kernels, strict=True)]
    return products[0] if len(products) == 1 else tf.concat(products, axis=-1)
