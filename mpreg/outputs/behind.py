"""Strips output defences off a model, as anyone with its file can."""

from typing import Any

import keras

from mpreg.outputs.base import OutputDefence


def classifier_behind(model: Any):
    """Returns a model without the output defences at its end, and their names, the outermost first.

    It shares the weights. A model that ends in none is returned as it is; defences that stand before another layer
    stay where they are.

    Args:
        model: a Keras model; of one that wraps a target, the target is looked at.

    Returns:
        `(model, names)`.

    Example:
    ```python
    classifier, removed = classifier_behind(keras.models.load_model("served.keras"))
    ```
    """
    model = getattr(model, "target_model", model)
    try:
        answer, names = _before(model.outputs[0])
    except (
        AttributeError,
        IndexError,
        TypeError,
        ValueError,
    ):  # no functional model, so that it holds no layer apart
        return model, []
    if not names:
        return model, []
    inputs = getattr(model, "_inputs_struct", model.inputs)
    return keras.Model(inputs, answer, name=f"behind_{model.name}"), names


def _before(tensor):
    """The tensor from which the output defences at the end of a graph take their probabilities, and their names."""
    names = []
    while True:
        layer, node, _ = tensor._keras_history
        if isinstance(layer, OutputDefence):
            names.append(type(layer).__name__)
            tensor = layer._inbound_nodes[node].input_tensors[0]
        elif isinstance(layer, keras.Model):
            inner, removed = classifier_behind(layer)
            if not removed:
                return tensor, names
            names += removed
            arguments = layer._inbound_nodes[node].arguments
            return inner(arguments.args[0]), names
        else:
            return tensor, names
