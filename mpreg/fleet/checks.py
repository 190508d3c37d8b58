"""Checks of a fleet's inputs and models."""

import keras
import numpy as np

from mpreg._validate import short_repr
from mpreg.data import check_pair, flatten, label_indices, map_arrays
from mpreg.fleet.optimizer import refuse_unsupported
from mpreg.fleet.step import refuse_own_steps, step_of


def check_records(x, y):
    """Returns records and labels as arrays that TensorFlow accepts."""
    for name, value in (("x", x), ("y", y)):
        if hasattr(value, "element_spec"):
            raise ValueError(
                f"a fleet takes arrays, for each replica draws its own records from them. Received: {name} as a "
                "tf.data.Dataset. Read it into arrays first"
            )
    x, y = check_pair((x, y), "records")
    return check_features(x), y.astype(np.float32) if y.dtype.kind == "f" else y.astype(np.int32)


def check_features(x):
    """Returns features as arrays, floating point ones as float32."""
    for array in flatten(x):
        if np.asarray(array).dtype.kind not in "biuf":
            raise ValueError(
                f"features must be numbers. Received: type {np.asarray(array).dtype}. Encode text before the "
                "model, or train its replicas one by one, as mpreg.ShadowTraining does"
            )
    return map_arrays(
        lambda array: (
            np.asarray(array, np.float32) if np.asarray(array).dtype.kind == "f" else np.asarray(array)
        ),
        x,
    )


def check_membership(membership, n, records):
    """Checks and returns which records each replica trains on, bool (n, records)."""
    membership = np.asarray(membership)
    if membership.shape != (n, records) or membership.dtype != bool:
        raise ValueError(
            "membership must tell for each replica and each record whether it trains on it: a bool array of shape "
            f"{(n, records)}. Received: shape {membership.shape}, type {membership.dtype}"
        )
    empty = np.flatnonzero(~membership.any(axis=1))
    if len(empty):
        raise ValueError(
            f"each replica must train on at least one record. {len(empty)} replicas have none, the first is "
            f"replica {empty[0]}"
        )
    return membership


def check_asked(asked, n, records):
    """Checks and returns which replica answers to which records, bool (n, records)."""
    asked = np.asarray(asked)
    if asked.shape != (n, records) or asked.dtype != bool:
        raise ValueError(
            "asked must tell for each replica and each record whether it answers to it: a bool array of shape "
            f"{(n, records)}. Received: shape {asked.shape}, type {asked.dtype}"
        )
    return asked


def check_model(model, y):
    """Checks a model returned by `build_fn` against the labels it will be trained on; returns its `Step`."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"build_fn must return a Keras model. Received: {short_repr(model)}")
    if not model.compiled or model.optimizer is None or model.loss is None:
        raise ValueError(
            "build_fn must return a compiled model: its optimizer and its loss train the replicas. Call "
            "model.compile(optimizer, loss) before you return it"
        )
    if not model.built:
        raise ValueError(
            "build_fn must return a built model, whose weights exist. Start it with keras.Input(shape)"
        )
    step = step_of(model)
    for optimizer in (model.optimizer, *step.optimizers):
        refuse_unsupported(optimizer)
    if model.optimizer.built:
        raise ValueError(
            "build_fn must return a freshly compiled model. Received: one whose optimizer "
            f"({type(model.optimizer).__name__}) is built already"
        )
    target = step.target
    if step.target is model:
        refuse_own_steps(model)
    if not getattr(target, "outputs", None):
        raise ValueError(
            "build_fn must return a Sequential or functional model, which knows its outputs. Received: "
            f"{type(target).__name__}"
        )
    if len(target.outputs) != 1 or len(target.output_shape) != 2:
        raise ValueError(
            "the model must have one output of shape (batch, classes), the class scores. Received: "
            f"{target.output_shape}"
        )
    units = target.output_shape[-1]
    if y.ndim == 2 and y.shape[1] not in (1, units):
        raise ValueError(
            f"one-hot labels must be as wide as the model's output, {units}. Received: {y.shape}"
        )
    label_indices(y, max(units, 2))
    return step


def check_replica(step, last, first):
    """Checks that a replica's model is a new one with the shapes of the first.

    Args:
        step: its `Step`.
        last: the `Step` of the replica before, or None.
        first: that of the first.
    """
    expected = [variable.shape for variable in (*first.trainable, *first.others)]
    shapes = [variable.shape for variable in (*step.trainable, *step.others)]
    for other in (first, last):
        shared = other and {*map(id, (*step.trainable, *step.others))} & {
            *map(id, (*other.trainable, *other.others))
        }
        if shared or (other and step.model is other.model):
            raise ValueError(
                "build_fn must build a new model each time, with networks and optimizers of its own. Received: the "
                "same model, or variables of it, twice"
            )
    if shapes != expected:
        raise ValueError(
            "build_fn must build models of the same shapes each time. Received: variables of shapes "
            f"{short_repr(shapes)} after {short_repr(expected)}"
        )
