"""Tables of users' mistakes, each with the exact words that it meets, and what such calls are made of.

A row is `(name, call, error, message)`. A message is given in full; a compiled pattern, for what Keras or NumPy add to
it, must match in full too.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mpreg

X = np.arange(160, dtype=np.float32).reshape(40, 4)
Y = np.arange(40) % 3
MEMBERS, REFERENCE, NONMEMBERS = (X[:10], Y[:10]), (X[10:20], Y[10:20]), (X[20:], Y[20:])
UNIFORM = np.full((10, 3), 1 / 3)
LETTERS = np.array(list("abcabcabca"))
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
NOT_A_PAIR = "must be a pair (x, y) or a tf.data.Dataset of (x, y). Received: "
SUITES = 'attacks must be "fast", "standard", "strong", "whitebox" or a list of attacks. Received: '


def wrong_calls(rows):
    """Decorates a test of `(call, error, message)`, which is run for each row."""
    calls = [pytest.param(call, error, message, id=name) for name, call, error, message in rows]
    return pytest.mark.parametrize(("call", "error", "message"), calls)


def told(call, error, message):
    """Asserts that a call raises an error of exactly this class, with exactly this message."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    text = str(caught.value)
    if isinstance(message, str):
        assert text == message
    else:
        assert message.fullmatch(text), text


def records(*columns):
    """A data set of TensorFlow with a record in each row."""
    return tf.data.Dataset.from_tensor_slices(columns)


def split(members=MEMBERS, reference=REFERENCE, nonmembers=NONMEMBERS, **options):
    return mpreg.MembershipSplit(members, reference, nonmembers, **options)


def predictions(p=UNIFORM, y=MEMBERS[1], q=UNIFORM, other_y=MEMBERS[1], **options):
    """The report on two sides of predictions, by default of a model that knows nothing."""
    return mpreg.evaluate_predictions(p, y, q, other_y, **{"attacks": "fast", **options})


def dense(activation="softmax", units=3):
    """One layer."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])


def two_headed():
    """A model of two outputs."""
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(3, "softmax")(inputs), keras.layers.Dense(1)(inputs)])


def segmenting():
    """A model with class scores for each of two places in a record."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), keras.layers.Reshape((2, 3))])


def wrap(target=None, reference=REFERENCE, **options):
    """A target inside the game."""
    return mpreg.AdversarialRegularization(
        dense() if target is None else target, reference, **{"penalty": 1.0, **options}
    )
