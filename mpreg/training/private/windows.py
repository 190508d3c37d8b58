"""What a convolution's window saw at each offset within it."""

import itertools
import math

import tensorflow as tf

FEW_CHANNELS = (
    8  # below it, a convolution with ones and zeros copies windows faster than the operation made for it
)


def patches(layer, inputs):
    """What the window saw at each position, (rows, *positions, offsets * channels) in the order of the kernel.

    Args:
        layer: a convolution layer.
        inputs: what it was called on, channels last.
    """
    padding = layer.padding.upper()
    if padding == "CAUSAL":
        spread = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        inputs, padding = tf.pad(inputs, [(0, 0), (spread, 0), (0, 0)]), "VALID"
    channels = inputs.shape[-1]
    rank = len(layer.kernel_size)
    if channels < FEW_CHANNELS or rank == 3:
        width = math.prod(layer.kernel_size) * channels
        copying = tf.reshape(tf.eye(width, dtype=inputs.dtype), (*layer.kernel_size, channels, width))
        return tf.nn.convolution(inputs, copying, layer.strides, padding, dilations=layer.dilation_rate)
    sizes, strides, rates = layer.kernel_size, layer.strides, layer.dilation_rate
    if rank == 1:  # as an image of height 1
        inputs, sizes, strides, rates = inputs[:, None], (1, *sizes), (1, *strides), (1, *rates)
    found = tf.image.extract_patches(inputs, [1, *sizes, 1], [1, *strides, 1], [1, *rates, 1], padding)
    return found[:, 0] if rank == 1 else found


def grouped_products(layer, block, gradient):
    """Per-row gradients (rows, offsets, d, filters) of a convolution whose channels are cut in groups."""
    groups, offsets = layer.groups, math.prod(layer.kernel_size)
    positions = gradient.shape[1:-1].num_elements() or -1
    gradient = tf.reshape(
        tf.cast(gradient, tf.float32), (-1, positions, groups, gradient.shape[-1] // groups)
    )
    width = block.shape[-1] // offsets // groups
    block = tf.reshape(tf.cast(block, tf.float32), (-1, positions, offsets, groups, width))
    products = tf.einsum("ntogd,ntgp->nodgp", block, gradient)
    return tf.reshape(products, (-1, offsets, width, layer.filters))


def depthwise_products(layer, inputs, gradient):
    """Per-row gradients (rows, offsets, channels, multiplier) of a depthwise convolution."""
    blocks = _shifted(layer, inputs, gradient)
    channels, multiplier = inputs.shape[-1], layer.depth_multiplier
    split = tf.concat([tf.shape(gradient)[:-1], (channels, multiplier)], axis=0)
    gradient = tf.reshape(tf.cast(gradient, tf.float32), split)
    middle = list(range(1, inputs.shape.rank - 1))
    products = [
        tf.reduce_sum(tf.cast(block, tf.float32)[..., None] * gradient, axis=middle) for block in blocks
    ]
    return tf.stack(products, axis=1)


def _shifted(layer, inputs, output):
    """For each offset in the window, in the kernel's order, the inputs that it met: (rows, *positions, channels)."""
    pads, slices = [(0, 0)], []
    for axis, (size, stride, dilation) in enumerate(
        zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True), 1
    ):
        length = inputs.shape[axis] if inputs.shape[axis] is not None else tf.shape(inputs)[axis]
        steps = output.shape[axis] if output.shape[axis] is not None else tf.shape(output)[axis]
        reach = (steps - 1) * stride + 1
        pads.append(_pads(layer.padding, length, reach, (size - 1) * dilation))
        slices.append([slice(at * dilation, at * dilation + reach, stride) for at in range(size)])
    padded = inputs if layer.padding == "valid" else tf.pad(inputs, [*pads, (0, 0)])
    return [padded[(slice(None), *window)] for window in itertools.product(*slices)]


def _pads(padding, length, reach, spread):
    if padding == "valid":
        return 0, 0
    if padding == "causal":
        return spread, 0
    missing = reach + spread - length
    missing = tf.maximum(missing, 0) if tf.is_tensor(missing) else max(missing, 0)
    return missing // 2, missing - missing // 2
