"""Predictions of Keras and scikit-learn models."""

import contextlib
import logging
from typing import Any

import numpy as np

from mpreg._validate import short_repr
from mpreg.classifiers.arrays import only_output
from mpreg.data import map_arrays, text_as_tensor

PREDICT_BATCH = 512


def predict(model: Any, x: Any, *, classes: int = 2, batch_size: int = PREDICT_BATCH) -> np.ndarray:
    """Returns a model's predictions for `x` in inference mode, (n, classes) as NumPy.

    Args:
        model: a Keras model, or anything with `predict_proba`. Where that has `classes_`, as in scikit-learn, its
            columns are put where their labels say, and classes that it has never seen get probability 0.
        x: records.
        classes: number of classes at least, for a model with `classes_`.
        batch_size: records at a time, for a Keras model.

    Raises:
        ValueError: the model has several outputs, or its `classes_` are not class indices.
        TypeError: the model has neither `predict_proba` nor a Keras `predict`.
    """
    if hasattr(model, "predict_proba"):
        answers = model.predict_proba(x)
        seen = getattr(model, "classes_", None)
        return np.asarray(answers) if seen is None else _in_class_order(answers, seen, classes)
    if not hasattr(model, "predict_on_batch"):
        raise TypeError(
            "a model must be a Keras model or have predict_proba, for attacks read class probabilities. "
            f"Received: {model!r}"
        )
    with one_trace_a_model():
        answers = model.predict(map_arrays(text_as_tensor, x), batch_size=batch_size, verbose=0)
    scores = only_output(answers)
    if scores is None:
        raise ValueError(
            f"the model must have one output, the class scores. Received: {len(answers)} outputs. Evaluate each alone: "
            "mpreg.evaluate(keras.Model(model.inputs, model.outputs[0]), split), or mpreg.evaluate_predictions of its "
            "answers (mpreg audit --member-predictions)"
        )
    return scores


@contextlib.contextmanager
def one_trace_a_model():
    """Keeps TensorFlow from warning of frequent tracing where many models are asked, each of which is traced once.

    It counts the traces of a function in the whole process, whichever model they are of.
    """

    def other(record):
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


def _in_class_order(answers, seen, classes):
    answers, seen = np.asarray(answers), np.asarray(seen)
    if answers.ndim != 2 or seen.shape != answers.shape[1:]:
        raise ValueError(
            "predict_proba must answer with one row of class probabilities a record. "
            f"Received: shape {answers.shape} for classes of shape {seen.shape}"
        )
    if seen.dtype.kind not in "biuf" or (seen < 0).any() or (seen != np.floor(seen)).any():
        raise ValueError(
            f"the model's classes must be class indices 0, 1, 2, ... Received: {short_repr(seen)}"
        )
    columns = np.zeros((len(answers), max(int(seen.max()) + 1, classes, 2)))
    columns[:, seen.astype(np.int64)] = answers
    return columns
