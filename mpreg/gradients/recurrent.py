"""Per-example gradients of Keras' recurrent layers, from the gradients at each step.

In a private step the equations in `cells` run in the place of Keras' loop, with the dropout that Keras draws. Inputs
of all steps are multiplied with the kernel at once, and what comes back to these products is all that is needed: a
weight is then as in a dense layer on steps, the kernel on inputs, the recurrent kernel on the states before each step.
"""

import functools

import keras
import tensorflow as tf

from mpreg.gradients.cells import equations, kind_of
from mpreg.gradients.common import bias_pieces
from mpreg.gradients.pieces import outer_products
from mpreg.gradients.registry import redefined, rule
from mpreg.gradients.scan import scan
from mpreg.gradients.shapes import positions

layers = keras.layers


def cells_of(layer):
    """Returns the cells that a recurrent layer runs in each step."""
    return list(layer.cell.cells) if isinstance(layer.cell, layers.StackedRNNCells) else [layer.cell]


def refuse(layer):
    """Returns why the rule does not apply to a layer, or None."""
    if layer.stateful:
        return "it is stateful"
    for cell in cells_of(layer):
        known = kind_of(cell)
        if known is None:
            return f"its cell is a {type(cell).__name__}, which has none"
        changed = redefined(type(cell), known) or ("call" if "call" in vars(cell) else None)
        if changed:
            return f"its cell is a {known.__name__} with a {changed} of its own"
        if cell.compute_dtype != layer.compute_dtype:
            return f"it computes in {layer.compute_dtype}, but its cell in {cell.compute_dtype}"
    return None


def cell_weights(layer):
    """Returns the weights that the cells own."""
    return [weight for cell in cells_of(layer) for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)]


def run(layer, note, sequences, initial_state=None, mask=None, training=False):
    """Runs the layer and notes a call for each cell."""
    states = _initial_states(layer, sequences, initial_state)
    cells = cells_of(layer)
    owned = states if isinstance(layer.cell, layers.StackedRNNCells) else [states]
    mask = None if mask is None else tf.cast(keras.tree.flatten(mask)[0], tf.bool)
    if layer.go_backwards:
        sequences = tf.reverse(sequences, [1])
        mask = None if mask is None else tf.reverse(mask, [1])
    outputs, last = sequences, []
    for cell, own in zip(cells, owned, strict=True):
        found = _run_cell(cell, note, outputs, keras.tree.flatten(own), mask, training)
        outputs = found[0]
        last += [state[:, -1] for state in found]
    if mask is not None:
        # Keras answers a masked step as the one before, or with zeros.
        shown = mask if layer.zero_output_for_mask else tf.cumsum(tf.cast(mask, tf.int32), axis=1) > 0
        outputs = tf.where(shown[..., None], outputs, tf.zeros_like(outputs))
    answer = outputs if layer.return_sequences else outputs[:, -1]
    return (answer, *keras.tree.pack_sequence_as(states, last)) if layer.return_state else answer


def _initial_states(layer, sequences, given):
    states = layer.get_initial_state(batch_size=tf.shape(sequences)[0]) if given is None else given
    states = list(states) if keras.tree.is_nested(states) else [states]
    return keras.tree.map_structure(lambda s: tf.cast(tf.convert_to_tensor(s), layer.compute_dtype), states)


def _run_cell(cell, note, sequences, states, mask, training):
    """The states of a cell after each step."""
    try:
        drawn = cell.get_dropout_mask(sequences[:, 0]), cell.get_recurrent_dropout_mask(states[0])
    finally:
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
    rates = cell.dropout, cell.recurrent_dropout
    masks = [_applied(cell, mask, rate, training) for mask, rate in zip(drawn, rates, strict=True)]
    known = equations(cell, *masks)
    factors = known.factors(sequences)
    call = note(factors, known.project(factors), cell=known)
    found = scan(known.step, call.output, states, mask)
    call.options["states"] = tf.concat([states[0][:, None], found[0][:, :-1]], axis=1)
    return found


def _applied(cell, masks, rate, training):
    """Dropout masks as a list; None for each where they are not applied: Keras draws them outside of training too."""
    masks = masks if isinstance(masks, list) else [masks]
    applied = training and (rate < 1 or kind_of(cell) is layers.SimpleRNNCell)
    return masks if applied else [None] * len(masks)


@rule(layers.RNN, layers.SimpleRNN, layers.LSTM, layers.GRU, run=run, weights=cell_weights, refuses=refuse)
def recurrent(layer, calls, copies):
    """Returns the pieces of each cell: input kernel, recurrent kernel and bias."""
    pieces = []
    for cell in dict.fromkeys(cells_of(layer)):
        own = [call for call in calls if call.options["cell"].cell is cell]
        if own:
            pieces += _cell_pieces(cell, own, copies)
    return pieces


def _cell_pieces(cell, calls, copies):
    factors, recurrent_factors, recurrent, bias = [], [], [], []
    for call in calls:
        known, states = call.options["cell"], call.options["states"]
        factors.append(call.inputs)
        recurrent_factors.append(known.recurrent_factors(call.output, states))
        recurrent.append(known.recurrent_gradient(call.gradient, call.output, states))
        bias.append(known.bias_gradient(call.gradient, recurrent[-1]))
    return [
        *_kernel_pieces(cell.kernel, factors, [call.gradient for call in calls], copies),
        *_kernel_pieces(cell.recurrent_kernel, recurrent_factors, recurrent, copies),
        *bias_pieces(cell.bias, bias, copies),
    ]


def _kernel_pieces(kernel, factors, gradients, copies):
    """A piece for each factor, with its columns; of lists with an entry a call."""
    if not kernel.trainable:
        return []
    count = len(factors[0])
    width = kernel.shape[1] // count
    gradients = [tf.split(gradient, count, axis=-1) for gradient in gradients]
    pieces = []
    for at in range(count):
        inputs, outputs = (positions([parts[at] for parts in of], copies) for of in (factors, gradients))
        around = [[0, 0], [at * width, kernel.shape[1] - (at + 1) * width]]
        restore = None if count == 1 else functools.partial(tf.pad, paddings=around)
        pieces.append(outer_products(kernel, inputs, outputs, restore))
    return pieces
