"""The inputs that a convolution's window covers at each offset."""

import math

import tensorflow as tf

from mpreg.gradients.shapes import exact

FEW_CHANNELS = 6  # below it, a convolution with ones and zeros copies windows faster than a lookup


def patches(layer, inputs, output):
    """Returns the window's inputs at each position, (rows, positions, offsets * channels) in kernel order.

    Args:
        layer: a convolution layer.
        inputs: what it was called on, channels last.
        output: what it answered, or a tensor of that shape, channels last.
    """
    width = math.prod(layer.kernel_size) * inputs.shape[-1]
    if inputs.shape[-1] < FEW_CHANNELS and layer.padding != "causal":
        copying = tf.reshape(tf.eye(width, dtype=inputs.dtype), (*layer.kernel_size, inputs.shape[-1], width))
        padding = layer.padding.upper()
        seen = tf.nn.convolution(inputs, copying, layer.strides, padding, dilations=layer.dilation_rate)
    else:
        seen = tf.gather(_cells(inputs), _reached(layer, inputs, output), axis=1)
    return tf.reshape(seen, (-1, math.prod(_sizes(output)), width))


def grouped_products(layer, block, gradient):
    """Returns per-row gradients (rows, offsets, d, filters) of a convolution with channel groups."""
    groups, offsets = layer.groups, math.prod(layer.kernel_size)
    positions = math.prod(_sizes(gradient))
    gradient = tf.reshape(exact(gradient), (-1, positions, groups, gradient.shape[-1] // groups))
    width = block.shape[-1] // offsets // groups
    block = tf.reshape(exact(block), (-1, positions, offsets, groups, width))
    products = tf.einsum("ntogd,ntgp->nodgp", block, gradient)
    return tf.reshape(products, (-1, offsets, width, layer.filters))


def depthwise_products(layer, inputs, gradient):
    """Returns per-row gradients (rows, offsets, channels, multiplier) of a depthwise convolution."""
    channels, multiplier = inputs.shape[-1], layer.depth_multiplier
    cells, reached = _cells(inputs), _reached(layer, inputs, gradient)
    split = (-1, math.prod(_sizes(gradient)), channels, multiplier)
    gradient = tf.reshape(exact(gradient), split)
    products = []
    for offset in range(math.prod(layer.kernel_size)):  # one at a time, for memory
        seen = exact(tf.gather(cells, reached[:, offset], axis=1))
        products.append(tf.reduce_sum(seen[..., None] * gradient, axis=1))
    return tf.stack(products, axis=1)


def _cells(inputs):
    """Inputs as (rows, cells + 1, channels); the last cell is 0 and stands for all padding."""
    cells = tf.reshape(inputs, (-1, math.prod(_sizes(inputs)), inputs.shape[-1]))
    return tf.pad(cells, [(0, 0), (0, 1), (0, 0)])


def _reached(layer, inputs, output):
    """Which of `_cells` the window met, int32 (positions, offsets), the last axis of each fastest."""
    sizes, steps = _sizes(inputs), _sizes(output)
    cells, inside, offsets = tf.zeros((1, 1), tf.int32), tf.ones((1, 1), tf.bool), 1
    for axis, (size, stride, dilation) in enumerate(
        zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    ):
        before = _padding_before(
            layer.padding, sizes[axis], (steps[axis] - 1) * stride + 1, (size - 1) * dilation
        )
        met = tf.range(steps[axis])[:, None] * stride + tf.range(size) * dilation - before
        within = (met >= 0) & (met < sizes[axis])
        offsets *= size
        cells = cells[:, None, :, None] * sizes[axis] + met[:, None, :]
        inside = inside[:, None, :, None] & within[:, None, :]
        cells, inside = (tf.reshape(part, (-1, offsets)) for part in (cells, inside))
    return tf.where(inside, cells, math.prod(sizes))


def _padding_before(padding, length, reach, spread):
    if padding == "valid":
        return 0
    if padding == "causal":
        return spread
    missing = reach + spread - length
    return (tf.maximum(missing, 0) if tf.is_tensor(missing) else max(missing, 0)) // 2


def _sizes(tensor):
    """Lengths of the axes between records and channels, as numbers where they are known."""
    told = tf.shape(tensor)
    return [told[axis] if size is None else size for axis, size in enumerate(tensor.shape[1:-1], 1)]
