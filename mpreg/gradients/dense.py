"""Per-example gradients of `keras.layers.Dense`: outer products of inputs and output gradients."""

import keras

from mpreg.gradients.common import bias_pieces, if_trained, named
from mpreg.gradients.pieces import outer_products
from mpreg.gradients.registry import rule
from mpreg.gradients.shapes import positions


@rule(keras.layers.Dense, before_activation=True, weights=named("kernel", "bias"))
def dense(layer, calls, copies):
    """Returns inputs times output gradients, summed over positions."""
    gradients = [call.gradient for call in calls]

    def kernel_piece(kernel):
        return outer_products(
            kernel, positions([call.inputs for call in calls], copies), positions(gradients, copies)
        )

    return [*if_trained(layer.kernel, kernel_piece), *bias_pieces(layer.bias, gradients, copies)]
