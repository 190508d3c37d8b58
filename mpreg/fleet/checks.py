"""Checks of a fleet's inputs and models."""

import keras
import numpy as np

from mpreg._validate import short_repr
from mpreg.data import check_pair, flatten, label_indices, map_arrays
from mpreg.fleet.optimizer import refuse_unsupported


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


def check_model(model, y):
    """Checks a model returned by `build_fn` against the labels it will be trained on."""
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
    refuse_unsupported(model.optimizer)
    if not getattr(model, "outputs", None):
        raise ValueError(
            "build_fn must return a Sequential or functional model, which knows its outputs. Received: "
            f"{type(model).__name__}"
        )
    if len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise ValueError(
            "the model must have one output of shape (batch, classes), the class scores. Received: "
            f"{model.output_shape}"
        )
    units = model.output_shape[-1]
    if y.ndim == 2 and y.shape[1] not in (1, units):
        raise ValueError(
            f"one-hot labels must be as wide as the model's output, {units}. Received: {y.shape}"
        )
    label_indices(y, max(units, 2))


def check_replica(model, last, first):
    """Checks that a replica's model is a new object with the shapes of the first."""
    if model is last or model is first:
        raise ValueError("build_fn must build a new model each time. Received: the same model twice")
    shapes, expected = ([variable.shape for variable in one.variables] for one in (model, first))
    if shapes != expected:
        raise ValueError(
            "build_fn must build models of the same shapes each time. Received: variables of shapes "
            f"{short_repr(shapes)} after {short_repr(expected)}"
        )
