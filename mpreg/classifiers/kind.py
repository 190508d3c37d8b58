"""Detects whether a classifier's outputs are logits or probabilities."""

import numpy as np

from mpreg.classifiers.floors import ROUNDING

PERCENT = 100.0
HIGH_LOGIT = 20.0  # a probability of 1 - 2e-9
SAY = "say from_logits=True or from_logits=False"


def answers_are_logits(target, *losses, from_logits=None):
    """Returns whether a Keras classifier outputs logits, by its last activation and its losses.

    Args:
        target: the classifier.
        losses: compiled losses, its own or that of a model that trains it; None for none.
        from_logits: what the caller says; None decides by looking.

    Raises:
        ValueError: neither activation nor losses tell; the activation contradicts the caller; or the model ends in a
            sigmoid of several units, whose answers are no distribution.
    """
    from mpreg.classifiers.last_layer import last_activation, loss_wants_logits

    activation, _ = last_activation(target)
    refuse_several_labels(target)
    certain = makes_probabilities(activation)
    if certain and from_logits:
        raise ValueError(
            f"the model ends in {activation}: its answers are no logits. Remove from_logits=True"
        )
    if certain or from_logits is not None:
        return bool(from_logits)
    wants = [loss_wants_logits(loss) for loss in losses]
    if True in wants:
        return True
    if activation == "linear" or False not in wants:
        raise ValueError(
            f"cannot tell whether the model answers with logits or probabilities: {SAY}. "
            f"Received: last activation {activation!r}, loss {next(filter(None, losses), None)!r}"
        )
    return False


def refuse_several_labels(target):
    """Raises a `ValueError` for a classifier that says yes or no to each of several labels."""
    from mpreg.classifiers.last_layer import last_activation

    activation, units = last_activation(target)
    if activation == "sigmoid" and units != 1:
        raise ValueError(
            f"the model ends in a sigmoid of {units} units, whose answers do not sum to one. End it in softmax. "
            'If each is a label of its own, MembershipSplit(..., decisions="labels") measures it; of the defences that '
            "train, DP-SGD takes such a model"
        )


def trains_on_logits(target, loss, *, from_logits=None):
    """Returns whether a target in training outputs logits; its loss must agree.

    Raises:
        ValueError: as for `answers_are_logits`; or, where the caller says nothing, the loss contradicts the last
            activation, or is one of regression.
    """
    if from_logits is None:
        _check_loss(target, loss)
    return answers_are_logits(target, loss, from_logits=from_logits)


def makes_probabilities(activation):
    """Returns whether a last activation, by name, makes probabilities of any input."""
    from mpreg.classifiers.last_layer import DEFENCE

    return activation in ("softmax", "sigmoid", DEFENCE)


def _check_loss(target, loss):
    from mpreg.classifiers.last_layer import last_activation, loss_wants_logits

    activation, _ = last_activation(target)
    wants = loss_wants_logits(loss)
    if makes_probabilities(activation) and wants:
        raise ValueError(
            f"the target ends in {activation}, so it answers with probabilities, but its loss expects logits. "
            f"Remove from_logits=True from the loss, or the activation. Received: loss={loss!r}"
        )
    if activation == "linear" and wants is None:
        raise ValueError(
            "the target is not a classifier that mpreg can read: its last layer has no activation and its "
            f"loss is not a cross-entropy. Received: loss={loss!r}. If it answers with logits, say from_logits=True"
        )
    if activation == "linear" and not wants:
        raise ValueError(
            "the target answers with logits (its last layer has no activation), but its loss takes them for "
            f"probabilities. Use a loss with from_logits=True, or end in softmax. Received: loss={loss!r}"
        )


def logits_by_last_layer(model):
    """Returns whether a Keras model outputs logits by its last layer; None if that does not show.

    An activation that makes probabilities tells, and so does a layer with weights and no activation. Any other model,
    one of scikit-learn among them, tells nothing.
    """
    if not hasattr(model, "predict_on_batch"):
        return None
    from mpreg.classifiers.last_layer import last_activation, last_layer

    activation, units = last_activation(model)
    if makes_probabilities(activation) and (activation != "sigmoid" or units == 1):
        return False
    # A linear Activation alone may stand behind a softmax, to change its type.
    return True if activation == "linear" and last_layer(model)[0].weights else None


def sigmoid_by_last_layer(model, *, refuse=True):
    """Whether a Keras model that says yes or no of each of several labels answers with logits; None where unknown.

    Args:
        model: the model.
        refuse: whether one that ends in softmax is refused.

    Raises:
        ValueError: the model ends in softmax, whose answers are of one class.
    """
    if not hasattr(model, "predict_on_batch"):
        return None
    from mpreg.classifiers.last_layer import last_activation

    activation, units = last_activation(model)
    if activation == "softmax" and refuse:
        raise ValueError(
            f"the model ends in a softmax of {units} units, which names one class a record, but "
            'decisions="labels" is for a sigmoid a label. Leave decisions out'
        )
    return False if activation == "sigmoid" else logits_by_last_layer(model)


def are_logits(sides, *, from_logits=None, coarse=False):
    """Returns whether predictions are logits, as the caller says or by their values.

    Args:
        sides: sequence of arrays of predictions.
        from_logits: what the caller says; None decides by looking.
        coarse: whether they are probabilities that were rounded or truncated, which are never logits.

    Raises:
        ValueError: coarse logits; or, where the caller says nothing, probabilities in percent or any other unit.
    """
    if coarse and from_logits:
        raise ValueError(
            "coarse=True is for probabilities that were rounded or truncated, not for logits. "
            "Remove it, or from_logits=True"
        )
    if coarse or from_logits is not None:
        return bool(from_logits)
    sides = [np.asarray(side) for side in sides]
    if not any(map(look_like_logits, sides)):
        return False
    whole = probability_unit(sides)
    if whole is not None:
        raise ValueError(f"predictions are {in_unit(whole)}. If they are logits, say from_logits=True")
    if _look_like_single_percent(sides):
        raise ValueError(
            f"predictions are a single column of numbers from {min(side.min() for side in sides):.4g} to "
            f"{max(side.max() for side in sides):.4g}, as probabilities in percent are: divide them by 100. If they "
            "are logits, say from_logits=True"
        )
    return True


def look_like_logits(predictions):
    """Returns whether any prediction lies outside [0, 1]."""
    predictions = np.asarray(predictions)
    return bool(predictions.size and (predictions.min() < 0 or predictions.max() > 1))


def _look_like_single_percent(sides):
    """Whether a single unit's answers look like percent: none negative, beyond what logits reach, and not all alike."""
    if any(side.ndim > 1 and side.shape[-1] != 1 for side in sides):
        return False
    low, high = (end([end(side) for side in sides if side.size]) for end in (np.min, np.max))
    return 0 <= low < high and HIGH_LOGIT < high <= PERCENT


def probability_unit(sides):
    """Returns the value that means probability 1 where predictions use another unit, such as percent; else None.

    Such are rows of numbers, none negative, that all sum to one value but for their rounding: to 100, in percent; or
    to any other, such as the number of votes. Logits do not, except that a model may answer all records alike.

    Args:
        sides: sequence of arrays of predictions, (..., classes); a single column has no sum to go by.
    """
    rows = [
        np.asarray(side, np.float64).reshape(-1, np.shape(side)[-1]) for side in sides if np.ndim(side) > 1
    ]
    if len(rows) < len(sides) or len({side.shape[1] for side in rows}) != 1 or rows[0].shape[1] < 2:
        return None
    rows = np.concatenate(rows)
    if not len(rows) or not (rows >= 0).all() or rows.max() <= 1:
        return None
    sums = rows.sum(axis=1)
    slack = _rounding_of_sums(rows)
    wholes = [PERCENT] if (rows == rows[0]).all() else [PERCENT, float(np.median(sums))]
    return next((whole for whole in wholes if np.abs(sums - whole).max() <= slack + ROUNDING * whole), None)


def in_unit(whole):
    """Returns, for error messages, what predictions with row sum `whole` are and how to convert them."""
    if whole == PERCENT:
        return "in percent: divide by 100"
    return f"probabilities times {whole:.6g}, to which all rows sum: divide by it"


def _rounding_of_sums(rows):
    """How far the sum of a row may be off, where its numbers were rounded to the decimals that they have."""
    for decimals in range(3):
        scaled = rows * 10.0**decimals
        if np.allclose(scaled, np.round(scaled), rtol=1e-6, atol=1e-4):
            return 5 * 10.0**-decimals * np.sqrt(rows.shape[1] / 12)  # five standard deviations
    return 0.0
