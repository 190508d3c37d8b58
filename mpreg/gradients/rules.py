"""How each Keras layer's per-example gradients follow from what went in and what came back.

A rule takes a layer and its calls (inputs and gradients, each with a record a row) and returns pieces, one for each
trainable variable. Several calls of one layer become more positions of one call, so that a shared layer is exact,
cross terms included. So do several augmented copies of an example, which are consecutive rows: `copies` of them.
"""

import keras
import tensorflow as tf

from mpreg.gradients import einsum, windows
from mpreg.gradients.pieces import Lookups, Rows, outer_products

layers = keras.layers
DENSE = (layers.Dense,)
EINSUM = (layers.EinsumDense,)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
EMBEDDING = (layers.Embedding,)
AFFINE = (layers.LayerNormalization, layers.GroupNormalization)
ACTIVATED = (*DENSE, *EINSUM, *CONVOLUTIONS, *DEPTHWISE)


def find_rule(layer):
    """The rule for a layer, or None: it must run Keras' own `call`, on plain weights."""
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        return None
    for known, rule in RULES:
        if any(type(layer).call is cls.call for cls in known) and _owns_only_known(layer):
            return rule
    return None


def _owns_only_known(layer):
    known = (getattr(layer, name, None) for name in ("kernel", "bias", "embeddings", "gamma", "beta"))
    ids = {id(variable) for variable in known if variable is not None}
    return all(id(variable) in ids for variable in layer.trainable_variables)


def dense(layer, calls, copies):
    inputs = _positions([call.inputs for call in calls], copies)
    outputs = _positions([call.gradient for call in calls], copies)
    return [
        *_if_trained(layer.kernel, lambda kernel: outer_products(kernel, inputs, outputs)),
        *_bias(layer, calls, copies),
    ]


def einsum_dense(layer, calls, copies):
    equation = einsum.parse(layer.equation, calls[0].inputs.shape.rank)
    return [
        *_if_trained(layer.kernel, lambda kernel: einsum.kernel_piece(equation, kernel, calls, copies)),
        *_bias(layer, calls, copies),
    ]


def convolution(layer, calls, copies):
    outputs = [_channels_last(layer, call.gradient) for call in calls]
    inputs = [_channels_last(layer, call.inputs) for call in calls]

    def kernel_piece(kernel):
        seen = [windows.patches(layer, x, g) for x, g in zip(inputs, outputs, strict=True)]
        if layer.groups > 1:
            products = [windows.grouped_products(layer, x, g) for x, g in zip(seen, outputs, strict=True)]
            return Rows(kernel, fold_rows(_sum(products), copies, kernel.shape))
        return outer_products(kernel, _positions(seen, copies), _positions(outputs, copies))

    bias = _if_trained(layer.bias, lambda bias: _bias_rows(bias, outputs, copies))
    return [*_if_trained(layer.kernel, kernel_piece), *bias]


def depthwise_convolution(layer, calls, copies):
    outputs = [_channels_last(layer, call.gradient) for call in calls]

    def kernel_piece(kernel):
        products = []
        for call, g in zip(calls, outputs, strict=True):
            x = _channels_last(layer, call.inputs)
            products.append(windows.depthwise_products(layer, x, g))
        return Rows(kernel, fold_rows(_sum(products), copies, kernel.shape))

    bias = _if_trained(layer.bias, lambda bias: _bias_rows(bias, outputs, copies))
    return [*_if_trained(layer.kernel, kernel_piece), *bias]


def embedding(layer, calls, copies):
    ids = [tf.cast(call.inputs, tf.int32)[..., None] for call in calls]
    ids = _positions(ids, copies, dtype=tf.int32)[..., 0]
    ids = tf.where(ids < 0, ids + layer.input_dim, ids)  # Keras counts negative ones from the end
    outputs = _positions([call.gradient for call in calls], copies)
    return _if_trained(layer.embeddings, lambda table: Lookups(table, ids, outputs))


def affine(layer, calls, copies):
    """Normalization, then a scale and an offset; the layer itself, without the two, tells what was normalized."""
    scale, offset = layer.gamma, layer.beta
    own = [variable for variable in (scale, offset) if variable is not None]
    plain = [(v, tf.ones_like(v.value) if v is scale else tf.zeros_like(v.value)) for v in own]

    def scale_piece(variable):
        rows = []
        for call in calls:
            with keras.StatelessScope(state_mapping=plain):
                normalized = type(layer).call(layer, call.inputs)
            product = tf.cast(normalized, tf.float32) * tf.cast(call.gradient, tf.float32)
            rows.append(_sum_outside(product, _axes(layer, call)))
        return Rows(variable, fold_rows(_sum(rows), copies, variable.shape))

    def offset_piece(variable):
        rows = [_sum_outside(tf.cast(call.gradient, tf.float32), _axes(layer, call)) for call in calls]
        return Rows(variable, fold_rows(_sum(rows), copies, variable.shape))

    return [*_if_trained(scale, scale_piece), *_if_trained(offset, offset_piece)]


RULES = (
    (DENSE, dense),
    (EINSUM, einsum_dense),
    (CONVOLUTIONS, convolution),
    (DEPTHWISE, depthwise_convolution),
    (EMBEDDING, embedding),
    (AFFINE, affine),
)


def fold_rows(values, copies, shape):
    """Rows summed over the copies of each example, (n, *shape)."""
    if copies == 1:
        return tf.reshape(values, (-1, *shape))
    return tf.reduce_sum(tf.reshape(values, (-1, copies, *shape)), axis=1)


def _axes(layer, call):
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return {axis % call.inputs.shape.rank for axis in axes}


def _sum_outside(values, axes):
    """Summed over all axes but the first and these."""
    return tf.reduce_sum(values, axis=[axis for axis in range(1, values.shape.rank) if axis not in axes])


def _if_trained(variable, make):
    return [] if variable is None or not variable.trainable else [make(variable)]


def _bias(layer, calls, copies):
    return _if_trained(layer.bias, lambda bias: _bias_rows(bias, [call.gradient for call in calls], copies))


def _bias_rows(bias, outputs, copies):
    """What came back, summed over the axes that the bias was spread over."""
    rows = []
    for output in outputs:
        output = tf.cast(output, tf.float32)
        shape = [1] * (output.shape.rank - 1 - len(bias.shape)) + list(bias.shape)
        axes = [
            axis
            for axis, (have, size) in enumerate(zip(output.shape[1:], shape, strict=True), 1)
            if size == 1 and have != 1
        ]
        rows.append(tf.reduce_sum(output, axis=axes) if axes else output)
    return Rows(bias, fold_rows(_sum(rows), copies, bias.shape))


def _positions(tensors, copies, dtype=tf.float32):
    """Tensors (rows, ..., width) of all calls as one (n, positions, width)."""
    flat = []
    for tensor in tensors:
        middle = tensor.shape[1:-1]
        positions = copies * middle.num_elements() if middle.is_fully_defined() else None
        rows = tf.shape(tensor)[0] // copies
        shape = (rows, -1, tensor.shape[-1]) if positions is None else (-1, positions, tensor.shape[-1])
        flat.append(tf.reshape(tf.cast(tensor, dtype), shape))
    return flat[0] if len(flat) == 1 else tf.concat(flat, axis=1)


def _sum(tensors):
    return tensors[0] if len(tensors) == 1 else tf.add_n(tensors)


def _channels_last(layer, tensor):
    if layer.data_format == "channels_last":
        return tensor
    rank = tensor.shape.rank
    return tf.transpose(tensor, [0, *range(2, rank), 1])
