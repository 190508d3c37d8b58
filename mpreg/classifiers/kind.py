"""Whether a classifier answers with logits or probabilities."""

from mpreg.classifiers.last_layer import DEFENCE, last_activation, loss_wants_logits

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
    certain = activation in ("softmax", "sigmoid", DEFENCE)
    if certain and from_logits:
        raise ValueError(
            f"the model ends in {activation}: its answers are no logits. Remove from_logits=True"
        )
    if certain or from_logits is not None:
        return bool(from_logits)
    wants_logits = [loss_wants_logits(getattr(model, "loss", None)) for model in (target, compiled)]
    if True in wants_logits:
        return True
    if activation == "linear" or False not in wants_logits:
        raise ValueError(
            f"cannot tell whether the model answers with logits or probabilities: {SAY}. "
            f"Received: last activation {activation!r}, loss {getattr(compiled, 'loss', None)!r}"
        )
    return False
