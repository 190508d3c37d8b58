"""The last layer of a Keras classifier: activation, units, and what its loss expects."""

import keras

DEFENCE = "an output defence"


def last_activation(model):
    """Returns name and units of the function that a model ends in; `(None, None)` if unknown.

    For a layer of `mpreg.outputs`, which all answer with probabilities, the name is `DEFENCE`.
    """
    layer, units = last_layer(model)
    if isinstance(layer, keras.layers.Softmax):
        return "softmax", units
    if hasattr(layer, "coarse"):
        return DEFENCE, units
    return getattr(getattr(layer, "activation", None), "__name__", None), units


def last_layer(model):
    """Returns the layer that a model ends in, also inside nested models, and its units, or `(None, None)`."""
    model = getattr(model, "target_model", model)
    try:
        tensor = model.outputs[0]
        layer = tensor._keras_history.operation
    except (AttributeError, IndexError, TypeError, ValueError):
        return None, None
    return last_layer(layer) if isinstance(layer, keras.Model) else (layer, tensor.shape[-1])


def loss_wants_logits(loss):
    """Returns whether a cross-entropy takes logits; None for any other loss."""
    loss = _as_object(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits")
    return False if "crossentropy" in getattr(loss, "__name__", "") else None


def loss_kind(loss):
    """Returns class name and options of a Keras loss; `("", {})` for any other loss."""
    loss = _as_object(loss)
    if isinstance(loss, keras.losses.Loss):
        return type(loss).__name__, loss.get_config()
    if getattr(loss, "__module__", "").startswith("keras."):
        return "".join(word.capitalize() for word in loss.__name__.split("_")), {}
    return "", {}


def _as_object(loss):
    """The loss or function that a compiled loss stands for: a name, or a list or dict of a single one."""
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    return keras.losses.get(loss) if isinstance(loss, str) else loss
