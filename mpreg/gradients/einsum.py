"""Per-example gradients of `keras.layers.EinsumDense`, and so of attention, from its equation."""

import dataclasses
import string

import keras
import tensorflow as tf

from mpreg.gradients.common import bias_pieces, if_trained, named
from mpreg.gradients.pieces import Rows, outer_products
from mpreg.gradients.registry import rule
from mpreg.gradients.shapes import exact, fold_rows


@rule(keras.layers.EinsumDense, before_activation=True, weights=named("kernel", "bias"))
def einsum_dense(layer, calls, copies):
    """Returns outer products where the equation is a product, written-out gradients elsewhere."""
    equation = parse(layer.equation, calls[0].inputs.shape.rank)
    return [
        *if_trained(layer.kernel, lambda kernel: kernel_piece(equation, kernel, calls, copies)),
        *bias_pieces(layer.bias, [call.gradient for call in calls], copies),
    ]


@dataclasses.dataclass(frozen=True)
class Equation:
    """Holds the axis labels of inputs, kernel and outputs, records first."""

    inputs: str
    kernel: str
    outputs: str

    @property
    def contracted(self):
        return "".join(c for c in self.kernel if c in self.inputs and c not in self.outputs)

    @property
    def produced(self):
        return "".join(c for c in self.kernel if c in self.outputs and c not in self.inputs)

    @property
    def positions(self):
        return "".join(c for c in self.inputs[1:] if c in self.outputs and c not in self.kernel)

    @property
    def is_product(self):
        """Whether each gradient is a sum of outer products over positions: no label is on all three sides."""
        known = self.inputs[0] + self.contracted + self.produced + self.positions
        return set(self.inputs + self.kernel + self.outputs) == set(known) and bool(self.produced)


def parse(equation, input_rank):
    """Returns the labels of an equation of `EinsumDense`, with its ellipsis expanded.

    Raises:
        NotImplementedError: records are not the first axis of inputs and outputs alone.
    """
    left, outputs = equation.replace(" ", "").split("->")
    inputs, kernel = left.split(",")
    if "..." in left:
        named = len(inputs.replace("...", ""))
        spare = [c for c in string.ascii_letters if c not in equation]
        dots = "".join(spare[: input_rank - named])
        inputs, outputs = inputs.replace("...", dots), outputs.replace("...", dots)
    first = inputs[0]
    if outputs[0] != first or first in kernel or outputs.count(first) != 1:
        raise NotImplementedError(f"the first axis is not that of the records in {equation!r}")
    return Equation(inputs, kernel, outputs)


def kernel_piece(equation, kernel, calls, copies):
    """Returns the kernel's per-example gradients from calls with their gradients."""
    if not equation.is_product:
        return Rows(kernel, _gradients(equation, kernel, calls, copies))
    e = equation
    inputs = _arranged(e, e.inputs, e.contracted, kernel, [call.inputs for call in calls], copies)
    outputs = _arranged(e, e.outputs, e.produced, kernel, [call.gradient for call in calls], copies)
    order = e.contracted + e.produced
    sizes = [kernel.shape[e.kernel.index(label)] for label in order]

    def restore(matrix):
        return tf.transpose(tf.reshape(matrix, sizes), [order.index(label) for label in e.kernel])

    return outer_products(kernel, inputs, outputs, restore)


def _gradients(equation, kernel, calls, copies):
    labels = f"{equation.inputs},{equation.outputs}->{equation.inputs[0]}{equation.kernel}"
    products = [tf.einsum(labels, exact(call.inputs), exact(call.gradient)) for call in calls]
    return fold_rows(products, copies, kernel.shape)


def _arranged(equation, labels, last, kernel, tensors, copies):
    """Tensors as one (n, positions, width): records, then positions, then the labels shared with the kernel."""
    order = labels[0] + equation.positions + last
    width = 1
    for label in last:
        width *= kernel.shape[equation.kernel.index(label)]
    arranged = []
    for tensor in tensors:
        tensor = tf.transpose(exact(tensor), [labels.index(label) for label in order])
        middle = tensor.shape[1 : 1 + len(equation.positions)]
        if middle.is_fully_defined():
            arranged.append(tf.reshape(tensor, (-1, copies * middle.num_elements(), width)))
        else:
            arranged.append(tf.reshape(tensor, (tf.shape(tensor)[0] // copies, -1, width)))
    return arranged[0] if len(arranged) == 1 else tf.concat(arranged, axis=1)
