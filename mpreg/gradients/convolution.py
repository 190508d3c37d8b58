"""Per-example gradients of convolutions: input windows times output gradients at each position."""

import keras
import tensorflow as tf

from mpreg.gradients import windows
from mpreg.gradients.common import bias_pieces, if_trained, named
from mpreg.gradients.pieces import Rows, outer_products
from mpreg.gradients.registry import rule
from mpreg.gradients.shapes import channels_last, fold_rows, positions

layers = keras.layers


@rule(layers.Conv1D, layers.Conv2D, layers.Conv3D, before_activation=True, weights=named("kernel", "bias"))
def convolution(layer, calls, copies):
    """Treats a convolution as a dense layer on windows; grouped channels are written out."""
    inputs, gradients = _channels_last(layer, calls)

    def kernel_piece(kernel):
        seen = [windows.patches(layer, x, g) for x, g in zip(inputs, gradients, strict=True)]
        if layer.groups > 1:
            products = [windows.grouped_products(layer, x, g) for x, g in zip(seen, gradients, strict=True)]
            return Rows(kernel, fold_rows(products, copies, kernel.shape))
        return outer_products(kernel, positions(seen, copies), positions(gradients, copies))

    return [*if_trained(layer.kernel, kernel_piece), *bias_pieces(layer.bias, gradients, copies)]


@rule(layers.DepthwiseConv1D, layers.DepthwiseConv2D, before_activation=True, weights=named("kernel", "bias"))
def depthwise_convolution(layer, calls, copies):
    """Writes out the gradients of a depthwise convolution, channel by channel."""
    inputs, gradients = _channels_last(layer, calls)

    def kernel_piece(kernel):
        products = [windows.depthwise_products(layer, x, g) for x, g in zip(inputs, gradients, strict=True)]
        return Rows(kernel, fold_rows(products, copies, kernel.shape))

    return [*if_trained(layer.kernel, kernel_piece), *bias_pieces(layer.bias, gradients, copies)]


@rule(
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    before_activation=True,
    weights=named("depthwise_kernel", "pointwise_kernel", "bias"),
)
def separable_convolution(layer, calls, copies):
    """Treats a separable convolution as a depthwise one and a dense layer at each position."""
    inputs, gradients = _channels_last(layer, calls)
    pointwise = tf.reshape(tf.convert_to_tensor(layer.pointwise_kernel), layer.pointwise_kernel.shape[-2:])

    def depthwise_piece(kernel):
        products = []
        for x, g in zip(inputs, gradients, strict=True):
            back = tf.tensordot(g, tf.cast(pointwise, g.dtype), [[-1], [1]])
            products.append(windows.depthwise_products(layer, x, back))
        return Rows(kernel, fold_rows(products, copies, kernel.shape))

    def pointwise_piece(kernel):
        between = [_depthwise(layer, x) for x in inputs]
        return outer_products(kernel, positions(between, copies), positions(gradients, copies))

    return [
        *if_trained(layer.depthwise_kernel, depthwise_piece),
        *if_trained(layer.pointwise_kernel, pointwise_piece),
        *bias_pieces(layer.bias, gradients, copies),
    ]


def _depthwise(layer, inputs):
    kernel = keras.ops.cast(layer.depthwise_kernel, inputs.dtype)
    return keras.ops.depthwise_conv(
        inputs, kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate
    )


def _channels_last(layer, calls):
    """Inputs and gradients of all calls, channels last."""
    return (
        [channels_last(layer, call.inputs) for call in calls],
        [channels_last(layer, call.gradient) for call in calls],
    )
