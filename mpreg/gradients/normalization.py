"""Per-example gradients of normalization layers: scale and offset of record-wise normalized inputs."""

import keras

from mpreg.gradients.common import if_trained, named
from mpreg.gradients.pieces import Rows
from mpreg.gradients.registry import rule
from mpreg.gradients.shapes import exact, fold_rows, sum_outside


@rule(keras.layers.LayerNormalization, keras.layers.GroupNormalization, weights=named("gamma", "beta"))
def normalization(layer, calls, copies):
    """Recovers the normalized inputs by calling the layer without scale and offset."""
    return _scale_and_offset(layer, layer.gamma, layer.beta, calls, copies)


if hasattr(keras.layers, "RMSNormalization"):  # since Keras 3.9

    @rule(keras.layers.RMSNormalization, weights=named("scale"))
    def root_mean_square_normalization(layer, calls, copies):
        """The same without an offset."""
        return _scale_and_offset(layer, layer.scale, None, calls, copies)


def _scale_and_offset(layer, scale, offset, calls, copies):
    plain = [(scale, keras.ops.ones_like(scale))] if scale is not None else []
    plain += [(offset, keras.ops.zeros_like(offset))] if offset is not None else []

    def scale_piece(variable):
        rows = []
        for call in calls:
            with keras.StatelessScope(state_mapping=plain):
                normalized = type(layer).call(layer, call.inputs)
            rows.append(sum_outside(exact(normalized) * exact(call.gradient), _axes(layer, call)))
        return Rows(variable, fold_rows(rows, copies, variable.shape))

    def offset_piece(variable):
        rows = [sum_outside(exact(call.gradient), _axes(layer, call)) for call in calls]
        return Rows(variable, fold_rows(rows, copies, variable.shape))

    return [*if_trained(scale, scale_piece), *if_trained(offset, offset_piece)]


def _axes(layer, call):
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    return {axis % call.inputs.shape.rank for axis in axes}
