"""Reads activations, gradients, loss and label of each record from a model."""

from dataclasses import dataclass

import numpy as np

from mpreg import signals
from mpreg.classifiers.kind import logits_by_last_layer
from mpreg.data import map_arrays
from mpreg.internals.layers import layers_to_read, layers_with_weights, noted_outputs
from mpreg.signals.predict import one_trace_a_model

LOWEST = -30.0  # of log-probabilities: an attacker gains nothing below it
AT_ONCE = 2**24  # numbers of gradients that are written out at a time: 64 MiB
MIN_NORM = 1e-30  # of a gradient, before its logarithm
MAX_RECORDS = 256  # at a time


@dataclass(frozen=True)
class Choice:
    """Holds what to read, as in the options of `WhiteBoxAttack`.

    Attributes:
        layers, gradients: layers by name or number.
        sizes: whether it is read how large the gradient in each trainable weight is, and the activations of each layer
            that has weights.
        loss, label: whether these are read.
        width: numbers of a signal at most; a longer one is hashed into so many.
    """

    layers: tuple = ()
    gradients: tuple = ()
    sizes: bool = False
    loss: bool = True
    label: bool = True
    width: int = 2048

    @property
    def needs_weights(self):
        """Whether more than the model's predictions is needed."""
        return bool(self.gradients or self.sizes or tuple(self.layers) not in ((), (-1,)))


@dataclass(frozen=True, eq=False)
class Reading:
    """Holds signals of records, float32 (n, ...) by name; `reading[rows]` selects some records.

    A copy, however deep, is the reading itself: it is large, and nobody changes it.
    """

    values: dict

    def __len__(self):
        return len(next(iter(self.values.values())))

    def __getitem__(self, rows):
        return Reading({name: value[rows] for name, value in self.values.items()})

    def __deepcopy__(self, memo):
        return self

    @property
    def widths(self):
        """Shape of each signal of one record, by name."""
        return {name: value.shape[1:] for name, value in self.values.items()}


def read_signals(model, x, labels, choice, *, classes, from_logits=None, snapshots=None):
    """The `Reading` of records: one pass for activations and loss, and one for gradients, some records at a time.

    Gradients are those of the cross-entropy of each record alone, in inference mode: of a layer's kernel as a matrix
    (inputs, units), of its other weights as they are, each divided by its norm. Sizes of gradients are the logarithms
    of norms, sizes of activations their norm, largest number and share of positive numbers. Activations are flattened;
    those of the last layer are log-probabilities, cut off at -30.

    Args:
        model: a Keras classifier.
        x: records.
        labels: class indices, int (n,).
        choice: a `Choice`.
        classes: columns of the one-hot label.
        from_logits: whether the model answers with logits; None finds out.
        snapshots: `Snapshots` of the model's weights, each of which is read, in one program; None reads the model as
            it is.

    Raises:
        ValueError: layers that are not there, or a model whose gradients of single records cannot be told apart.
    """
    if from_logits is None:
        from_logits = logits_by_last_layer(model)
    if from_logits is None:
        from_logits = signals.are_logits([signals.predict(model, x)])
    layers = layers_to_read(model, choice.layers)
    weighted = layers_with_weights(model, choice.gradients)
    labels = np.asarray(labels, np.int64)
    passes = [_forward(model, layers, choice, from_logits)]
    if weighted or choice.sizes:
        passes.append(_backward(model, x, weighted, choice, from_logits))
    written = sum(
        int(np.prod(variable.shape)) for layer in weighted for variable in layer.trainable_variables
    )
    rows = int(np.clip(AT_ONCE // max(1, written), 1, MAX_RECORDS))
    if snapshots is None:
        values = _read(passes, x, labels, rows)
    else:
        values = {
            f"{name}, epoch {epoch}": value
            for epoch in snapshots.turns(model)
            for name, value in _read(passes, x, labels, rows).items()
        }
    if choice.label:
        values["label"] = np.eye(classes, dtype=np.float32)[labels]
    return Reading(values)


def _read(passes, x, labels, rows):
    parts = []
    for start in range(0, len(labels), rows):
        some = slice(start, start + rows)
        records = map_arrays(lambda array, at=some: array[at], x)
        found = {}
        for run in passes:
            with one_trace_a_model():
                found |= {name: value.numpy() for name, value in run(records, labels[some]).items()}
        parts.append(found)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _loss(from_logits):
    import tensorflow as tf

    from mpreg.classifiers.tensors import log_probabilities

    def loss(labels, answers):
        logs = log_probabilities(answers, from_logits=from_logits)
        return -tf.gather(logs, tf.cast(labels, tf.int32), axis=1, batch_dims=1)

    return loss


def _forward(model, layers, choice, from_logits):
    """A function of records and labels: activations and loss by name."""
    import tensorflow as tf

    from mpreg.classifiers.calling import call_target
    from mpreg.classifiers.tensors import log_probabilities

    loss = _loss(from_logits)
    last = model.layers[-1]
    sized = [layer for layer in model.layers if layer.trainable_variables] if choice.sizes else []

    def run(x, labels):
        with noted_outputs([*layers, *sized]) as notes:
            answers = call_target(model, x, training=False)
        found = {}
        if sized:
            sizes = [_sizes(part) for seen in notes[len(layers) :] for part in seen[:1]]
            found["activation sizes"] = tf.concat(sizes, axis=1)
        for layer, seen in zip(layers, notes, strict=False):
            if layer is last:
                seen = [tf.maximum(log_probabilities(answers, from_logits=from_logits), LOWEST)]
            if not seen:
                raise ValueError(f"layers_to_exploit names {layer.name!r}, which the model does not call")
            flat = [tf.reshape(tf.cast(part, tf.float32), (tf.shape(labels)[0], -1)) for part in seen]
            shapes = [int(np.prod(part.shape[1:])) for part in seen]
            values = tf.reshape(tf.concat(flat, axis=1), (-1, sum(shapes)))
            found[f"activations of {layer.name}"] = hashed(values, choice.width)
        if choice.loss:
            found["loss"] = _of_loss(
                log_probabilities(answers, from_logits=from_logits), labels, loss(labels, answers)
            )
        return found

    return tf.function(run, reduce_retracing=True)


def _sizes(values):
    """Norm, largest number and share of positive numbers of the activations of each record, (n, 3)."""
    import tensorflow as tf

    flat = tf.reshape(tf.cast(values, tf.float32), (tf.shape(values)[0], -1))
    active = tf.reduce_mean(tf.cast(flat > 0, tf.float32), axis=1)
    return tf.stack([tf.norm(flat, axis=1), tf.reduce_max(flat, axis=1), active], axis=1)


def _of_loss(logs, labels, losses):
    """The loss, and log p - log(1 - p), which keeps apart what a loss near 0 does not, (n, 2)."""
    import tensorflow as tf

    own = tf.one_hot(labels, logs.shape[1], on_value=True, off_value=False)
    others = tf.reduce_logsumexp(tf.where(own, -np.inf, logs), axis=1)
    return tf.stack(
        [tf.minimum(losses, -LOWEST), tf.clip_by_value(-losses - others, LOWEST, -LOWEST)], axis=1
    )


def _backward(model, x, layers, choice, from_logits):
    """A function of records and labels: gradients, each divided by its norm, and the logarithms of the norms."""
    import tensorflow as tf

    from mpreg.gradients.each import EachGradient

    def spec(array):
        return tf.TensorSpec((None, *np.shape(array)[1:]), tf.convert_to_tensor(array[:1]).dtype)

    variables = [variable for layer in layers for variable in layer.trainable_variables]
    measured = model.trainable_variables if choice.sizes else variables
    each, loss = EachGradient(model, map_arrays(spec, x), variables, measured=measured), _loss(from_logits)

    def run(x, labels):
        _, gradients, norms = each(x, labels, loss)
        gradients, found = iter(gradients), {"gradient sizes": tf.math.log(norms + MIN_NORM)}
        for layer in layers:
            for variable in layer.trainable_variables:
                flat = tf.reshape(tf.cast(next(gradients), tf.float32), (-1, int(np.prod(variable.shape))))
                direction = tf.math.divide_no_nan(flat, tf.norm(flat, axis=1, keepdims=True))
                kernel = len(variable.shape) > 1 and flat.shape[1] <= choice.width
                found[f"gradient of {layer.name} {variable.name}"] = (
                    tf.reshape(direction, (-1, flat.shape[1] // variable.shape[-1], variable.shape[-1]))
                    if kernel
                    else hashed(direction, choice.width)
                )
        return found

    return tf.function(run, reduce_retracing=True)


def hashed(values, width, *, seed=0):
    """Reduces rows (n, d) to (n, width) if d is larger, by random signed sums.

    Lengths and angles between rows stay, on average (Charikar, Chen and Farach-Colton, "Finding Frequent Items in Data
    Streams", ICALP 2002).
    """
    import tensorflow as tf

    size = values.shape[1]
    if size <= width:
        return values
    rng = np.random.default_rng(seed)
    signs = rng.choice(np.float32([-1, 1]), size)
    bucket = rng.integers(0, width, size).astype(np.int32)
    return tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(values * signs), bucket, width))
