"""Tiny data and models for the tests of training and callbacks; the benchmarks as modules."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

import mpreg

FEATURES, CLASSES = 6, 3
LOSS = "sparse_categorical_crossentropy"


def records(count=48, *, classes=CLASSES, seed=0, shift=0.0):
    """`(x, y)`: float32 (count, 6) and integer (count,). Labels follow no rule: to fit them is to memorize."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES)).astype("float32") + np.float32(shift)
    return x, rng.integers(0, classes, count)


def mlp(*, units=CLASSES, activation="softmax", hidden=8, dropout=0.0, normalize=False, seed=0):
    """A small classifier whose first weights follow the seed; each call gives an equal one."""
    stack = [keras.Input((FEATURES,))]
    stack.append(layers.Dense(hidden, "relu", kernel_initializer=keras.initializers.GlorotUniform(seed)))
    if normalize:
        stack.append(layers.BatchNormalization())
    if dropout:
        stack.append(layers.Dropout(dropout, seed=seed))
    last = keras.initializers.GlorotUniform(seed + 1)
    return keras.Sequential([*stack, layers.Dense(units, activation, kernel_initializer=last)])


def compiled(model=None, optimizer=0.1, loss=LOSS, **options):
    """A model, by default a new `mlp`, compiled to run eagerly, which takes few steps sooner than a trace.

    Args:
        optimizer: a Keras optimizer, or the rate of SGD.
    """
    model = model or mlp()
    optimizer = keras.optimizers.SGD(optimizer) if isinstance(optimizer, float) else optimizer
    model.compile(optimizer, loss, **{"run_eagerly": True, **options})
    return model


def at_rest(model, loss=LOSS, **options):
    """A model whose training steps are computed and change nothing."""
    return compiled(model, 0.0, loss, **options)


def fit(model, *callbacks, data=None, **options):
    """The history of a fit with all of `records()` in a batch, or on other data."""
    options = {"batch_size": 48, "verbose": 0, "shuffle": False, **options}
    return model.fit(*(data or records()), callbacks=list(callbacks), **options).history


def split_of(members=40, nonmembers=60, reference=0):
    """A split of so many records a role."""
    drawn = records(reference, seed=2) if reference else None
    return mpreg.MembershipSplit(records(members), drawn, records(nonmembers, seed=1))


class Spy(layers.Layer):
    """Notes each time Python runs its `call`: once a trace in a compiled program.

    Args:
        seen: list that gets an entry each time.
    """

    def __init__(self, seen):
        super().__init__()
        self.note = seen.append  # a list itself would be copied by Keras

    def call(self, x):
        self.note(tuple(x.shape))
        return x


def linear_attacker(classes=CLASSES, *, seed=3, kernel_regularizer=None):
    """An inference network small enough to write down: one linear unit on answer and label."""
    inputs = [keras.Input((classes,)), keras.Input((classes,))]
    unit = layers.Dense(
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
        kernel_regularizer=kernel_regularizer,
    )
    return keras.Model(inputs, unit(layers.Concatenate()(inputs)))


def weights_of(model):
    """A copy of all of a model's weights, as one list of arrays."""
    return [value.copy() for value in model.get_weights()]


def assert_same_weights(model, other, **tolerance):
    """Asserts equal weights, bit for bit unless a tolerance is given."""
    for mine, others in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_allclose(mine, others, **{"rtol": 0, "atol": 0, **tolerance})


def load_benchmark(name):
    """A file of `benchmarks/`, no package, as a module. Beside it lies what the benchmarks share."""
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
