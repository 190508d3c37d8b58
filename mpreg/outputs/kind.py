"""Whether a classifier answers with logits or probabilities."""

import keras

from mpreg.outputs.base import OutputDefence

SAY = "say from_logits=True or from_logits=False"


def answers_are_logits(target, compiled, from_logits=None):
    """Whether a Keras classifier answers with logits, from its last activation and its loss.

    Args:
        target: the classifier.
        compiled: the model that was compiled, the classifier itself or one that trains it.
        from_logits: what the caller says; None decides by looking.

    Raises:
        ValueError: neither activation nor loss tells; the activation contradicts the caller; or the model ends in a
            sigmoid of several units, whose answers are no distribution.
    """
    activation, width = last_activation(target)
    if activation == "sigmoid" and width != 1:
        raise ValueError(
            f"the model ends in a sigmoid of {width} units, whose answers do not sum to one. End it in softmax"
        )
    certain = activation in ("softmax", "sigmoid", "defence")
    if certain and from_logits:
        raise ValueError(
            f"the model ends in {activation}: its answers are no logits. Remove from_logits=True"
        )
    if certain or from_logits is not None:
        return bool(from_logits)
    wants_logits = [_loss_wants_logits(getattr(model, "loss", None)) for model in (target, compiled)]
    if True in wants_logits:
        return True
    if activation == "linear" or False not in wants_logits:
        raise ValueError(
            f"cannot tell whether the model answers with logits or probabilities: {SAY}. "
            f"Received: last activation {activation!r}, loss {getattr(compiled, 'loss', None)!r}"
        )
    return False


def last_activation(target):
    """Name of the function that a model ends in, and its units; `"defence"` for an output defence; None if unknown."""
    try:
        tensor = target.outputs[0]
        layer = tensor._keras_history.operation
    except (AttributeError, IndexError, TypeError):
        return None, None
    if isinstance(layer, keras.Model):
        return last_activation(layer)
    if isinstance(layer, OutputDefence):
        return "defence", tensor.shape[-1]
    if isinstance(layer, keras.layers.Softmax):
        return "softmax", tensor.shape[-1]
    return getattr(getattr(layer, "activation", None), "__name__", None), tensor.shape[-1]


def _loss_wants_logits(loss):
    """Whether a cross-entropy takes logits; None for any other loss."""
    if isinstance(loss, list | tuple | dict) and len(loss) == 1:
        (loss,) = loss.values() if isinstance(loss, dict) else loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    if isinstance(loss, keras.losses.Loss):
        return loss.get_config().get("from_logits")
    return False if "crossentropy" in getattr(loss, "__name__", "") else None
