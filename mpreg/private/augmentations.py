"""Checks that an augmentation treats each row independently, by trying it on made-up records."""

import keras
import numpy as np
import tensorflow as tf

from mpreg.gradients.trial import make_up

DRAWS = 4  # of random augmentations, in the hope that what happens now and then happens in one of them
MIXES = (
    "augment mixes records: a row that it returns depends on other rows than its own, so no gradient belongs to one of "
    "them alone. Received: {name}"
)


def try_augment(augment, spec):
    """Raises a `ValueError` for an augmentation that mixes records or keeps state of them.

    Whatever it draws at random, what comes out for a record must have no derivative by another one; where the same
    state of random numbers gives the same twice, exchanging the others must change nothing either.

    Args:
        augment: layer or function.
        spec: nested `tf.TensorSpec`s of a batch.
    """
    name = getattr(augment, "__name__", None) or type(augment).__name__
    x = make_up(spec)
    floats = keras.tree.map_structure(
        lambda part: tf.cast(part, part.dtype if _real(part) else tf.float32), x
    )
    try:
        with keras.StatelessScope() as scope:
            for _ in range(DRAWS):
                _check_rows(augment(x), x, name)
                _check_derivatives(augment, floats, name)
        first, again, beside = (_ends(augment, part) for part in (x, x, _with_others(x)))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(
            f"augment could not be tried out, so nothing shows that it keeps records apart: {error}. Received: {name}"
        ) from error
    if _equal(first, again) and not _equal(first, beside):
        raise ValueError(MIXES.format(name=name))
    weights = augment.weights if isinstance(augment, keras.layers.Layer) else []
    if any(scope.get_current_value(weight) is not None for weight in weights):
        raise ValueError(f"augment keeps something of the records in its weights. Received: {name}")


def _check_rows(made, x, name):
    expected = len(keras.tree.flatten(x)[0])
    for part in keras.tree.flatten(made):
        if len(part) != expected:
            raise ValueError(
                f"augment must return a row for each row. Received: {name}, {len(part)} rows for {expected}"
            )


def _check_derivatives(augment, x, name):
    """Raises a `ValueError` if the first or the last row that comes out has a derivative by another record."""
    inputs = [part for part in keras.tree.flatten(x) if _real(part)]
    for row in (0, -1):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            made = [part for part in keras.tree.flatten(augment(x)) if _real(part)]
            # Squared, as the sum of shares has no derivative by what it is shares of.
            total = tf.add_n(
                [tf.reduce_sum(tf.square(tf.cast(part[row], tf.float32))) for part in made] or [0.0]
            )
        for gradient in tape.gradient(total, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO):
            others = gradient[1:] if row == 0 else gradient[:-1]
            if np.any(others.numpy()):
                raise ValueError(MIXES.format(name=name))


def _ends(augment, x):
    """What comes out for the first record, from the state of random numbers that there is now."""
    with keras.StatelessScope():
        return [part[0].numpy() for part in keras.tree.flatten(augment(x))]


def _with_others(x):
    """The first record, and others than before beside it."""
    return keras.tree.map_structure(lambda part: tf.concat([part[:1], _other(part[1:])], axis=0), x)


def _other(part):
    return ~part if part.dtype.is_bool else 1 - 3 * part if _real(part) else 1 - part


def _equal(one, other):
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True))


def _real(part):
    return part.dtype.is_floating
