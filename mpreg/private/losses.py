"""Checks that each record's loss depends on that record alone, by trying the loss on made-up batches."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.private import made_up
from mpreg.training.core.replicas import replicas

REDUCTIONS = ("sum_over_batch_size", "mean", "sum")
SAME, LIKE = 1e-5, 1e-3  # relative differences that rounding makes between batches of one size, and of two
INSTEAD = {
    "dice": "Give it all axes but the first, as in Dice(axis=(1, 2, 3)) for images, so that each record has its own",
    "tversky": "Give it all axes but the first, as in Tversky(axis=(1, 2, 3)) for images, so that each record has "
    "its own",
    "circle": "It compares pairs of records: train with a loss of each record alone, such as the cross-entropy over "
    "identities",
    "ignore_class": "With ignore_class it is divided by what is left of the whole batch: use reduction='sum', or "
    "leave ignore_class out and give such records sample_weight 0",
    None: "Use a loss that is a mean or a sum over records of what each record's labels and answers alone say",
}
MIXES = (
    "the compiled loss mixes the records of a batch: the gradient of one depends on the others, so that clipping each "
    "bounds nothing. {instead}. Received: loss={loss}"
)
AGAIN = (
    "the compiled loss gives the same records another gradient the second time: it draws random numbers, or keeps "
    "something of the records before. Received: loss={loss}"
)
SIZED = "the compiled loss cannot be computed for fewer records: {error}. Received: loss={loss}"


def loss_reduction(loss):
    """Returns how compiled losses reduce a batch to one number, `"mean"` or `"sum"`.

    Raises:
        ValueError: by another reduction, or by several.
    """
    reductions = {
        getattr(each, "reduction", "sum_over_batch_size")
        for each in keras.tree.flatten(loss)
        if each is not None
    }
    strange = [reduction for reduction in reductions if reduction not in REDUCTIONS]
    if strange:
        raise ValueError(
            f"the reduction of the loss must be one of {list(REDUCTIONS)}, so that every record counts by itself. "
            f"Received: reduction={strange[0]!r}"
        )
    if len({reduction == "sum" for reduction in reductions}) > 1:
        raise ValueError(f"all losses must have one reduction. Received: {sorted(reductions)}")
    return "sum" if reductions == {"sum"} else "mean"


def batch_loss(model, y, answers, weights=None):
    """Returns the compiled loss of a batch without logging it; unweighted where gradients are weighted later."""
    with keras.StatelessScope():
        loss = model.data_loss(None, signed_labels(model.loss, y), answers, weights)
    if loss_reduction(model.loss) == "sum":
        return loss
    return loss * tf.cast(replicas(), loss.dtype)  # of a mean, Keras takes each device's share


def signed_labels(losses, y):
    """Returns labels for Keras' hinge losses, with -1 in place of 0.

    They take 0 and 1 for -1 and 1 unless some label of the batch is neither, so that one record would decide how all
    others are read. On -1 and 1 there is nothing to decide.
    """
    each, labels = keras.tree.flatten(losses), keras.tree.flatten(y)
    if not any(map(_is_hinge, each)):
        return y
    if not keras.tree.is_nested(losses):
        each = each * len(labels)
    elif _paths(losses) != _paths(y):
        return y  # Keras has ways of its own to match them; the trial tells whether it matters
    found = [_signed(part) if _is_hinge(loss) else part for loss, part in zip(each, labels, strict=True)]
    return keras.tree.pack_sequence_as(y, found)


def _paths(parts):
    return [path for path, _ in keras.tree.flatten_with_path(parts)]


def _is_hinge(loss):
    if isinstance(loss, str):
        return loss.lower().replace("_", "") in ("hinge", "squaredhinge")
    return getattr(loss, "fn", loss) in (keras.losses.hinge, keras.losses.squared_hinge)


def _signed(labels):
    labels = tf.cast(labels, keras.config.floatx())
    return tf.where(labels == 0, -tf.ones_like(labels), labels)


def check_loss(model, y, answer_specs):
    """Raises a `ValueError` if a compiled loss mixes the records of a batch.

    Tried out on made-up labels and answers: the gradient of a record with respect to its answers must be the same
    whatever stands beside it (other labels and answers, extreme ones, labels to be ignored), alone and in a batch, at
    whatever place, and the second time. A trial cannot show what only labels or answers do that it does not make up.

    Args:
        model: a `DPSGD`; its `data_loss` is tried.
        y: labels, nested tensors, for their shapes and types.
        answer_specs: nested `tf.TensorSpec`s of some answers.
    """
    if type(model).compute_loss is not keras.Model.compute_loss:
        raise ValueError(
            "DPSGD takes the gradient of the compiled loss, which would silently replace a compute_loss of your own. "
            f"Received: {type(model).__name__}.compute_loss"
        )
    first, failure = None, None
    with keras.StatelessScope():  # what a loss keeps stays for the trial, and is gone after it
        for batch in made_up.batches(y, answer_specs, _ignored(model.loss)):
            try:
                own = _gradients(model, batch.records)
            except Exception as error:  # whatever a loss raises at labels that are not for it
                failure = error
                continue
            if first is None and any(np.any(np.isfinite(part) & (part != 0)) for part in own):
                first = batch, own
                _compare(model, own, _gradients(model, batch.records), SAME, AGAIN)
            _check_batch(model, batch, own)
        if first is not None:
            _compare(model, first[1], _gradients(model, first[0].records), SAME, AGAIN)
    if first is None:
        raise ValueError(
            "the compiled loss could not be tried out, so nothing shows that it keeps records apart: "
            f"{_words(failure)}. Received: loss={_names(model.loss)}"
        )


def _check_batch(model, batch, own):
    """Raises a `ValueError` where a record has not its own gradient, `own`, in another batch."""
    for others in batch.beside:
        try:
            found = _gradients(model, others)
        except Exception:  # at labels that are not for it
            continue
        _compare(model, [part[: made_up.KEPT] for part in own], found, SAME, MIXES)
    for row, smaller in batch.smaller:
        try:
            found = _gradients(model, smaller)
        except Exception as error:
            raise ValueError(SIZED.format(loss=_names(model.loss), error=_words(error))) from error
        _compare(model, [part[row : row + 1] for part in own], found, LIKE, MIXES)


def _gradients(model, records):
    """Gradients with respect to the answers, a list of arrays, as of the sum of the losses of records."""
    labels, answers = keras.tree.map_structure(tf.convert_to_tensor, records)
    flat = [answer for answer in keras.tree.flatten(answers) if answer.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(flat)
        loss = model.data_loss(None, signed_labels(model.loss, labels), answers)
    found = tape.gradient(loss, flat, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    scale = 1 if loss_reduction(model.loss) == "sum" else len(flat[0])
    return [scale * tf.convert_to_tensor(gradient).numpy() for gradient in found]


def _compare(model, own, found, tolerance, complaint):
    """Raises a `ValueError` if the first records found have other gradients than their own."""
    for output, (expected, part) in enumerate(zip(own, found, strict=True)):
        for one, other in zip(expected, part, strict=False):
            if not _alike(one, other, tolerance):
                loss = _loss_of(model, output, len(own))
                raise ValueError(complaint.format(instead=INSTEAD[_kind(loss)], loss=_names(loss)))


def _alike(one, other, tolerance):
    """Whether two gradients of a record differ by rounding at most; NaN and infinity must be in the same places."""
    finite = np.isfinite(one)
    if not np.array_equal(finite, np.isfinite(other)):
        return False
    largest = np.max(np.abs(one[finite]), initial=0.0)
    return bool(np.all(np.abs(one[finite] - other[finite]) <= tolerance * largest))


def _loss_of(model, output, outputs):
    """The loss of an answer, or all where they cannot be told apart."""
    losses = model.loss
    listed = isinstance(losses, list | tuple) and len(losses) == outputs
    return losses[output] if listed else losses


def _kind(losses):
    """Which advice in `INSTEAD` is for them."""
    for loss in keras.tree.flatten(losses):
        if getattr(loss, "ignore_class", None) is not None:
            return "ignore_class"
        for name in (_names(loss), _names(getattr(loss, "fn", loss))):
            if name.lower() in INSTEAD:
                return name.lower()
    return None


def _ignored(losses):
    """Labels that losses name as those to ignore."""
    named = (getattr(loss, "ignore_class", None) for loss in keras.tree.flatten(losses))
    return [label for label in named if label is not None]


def _names(losses):
    """What losses are called, as who compiled them knows them."""
    if keras.tree.is_nested(losses):
        return ", ".join(_names(loss) for loss in keras.tree.flatten(losses))
    if isinstance(losses, str):
        return losses
    return getattr(losses, "__name__", None) or type(losses).__name__


def _words(error):
    if error is None:
        return "no gradient on made-up records was finite and not 0"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
