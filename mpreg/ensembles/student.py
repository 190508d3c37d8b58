"""A student: one Keras classifier that learns a teacher's predictions."""

import keras
import numpy as np
import tensorflow as tf

from mpreg import signals
from mpreg._validate import check_count, check_number, short_repr
from mpreg.classifiers.kind import trains_on_logits
from mpreg.ensembles.served import ServedByTarget
from mpreg.fleet.job import build
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.distillation import Distillation, pack_labels


class Distilled(ServedByTarget):
    """Base class of defences that end in one student model, which predicts for them.

    Args:
        distill_epochs: epochs of the student; None is as many as `fit` is asked for.
        wrap_student: function of the distilling student that puts a training defence around it; None for none.
        temperature: soft labels are raised to the power of its inverse: above 1 they are smoother.
        seed: non-negative integer.

    Raises:
        ValueError: an option out of range, or a `wrap_student` that is no function.

    Attributes:
        target_model: the student, a plain Keras model, to be saved and served without mpreg.
        history: the `keras.callbacks.History` of its training.
        soft_labels: what it learnt, float32 (records, classes), of the records that it saw, in their order.
        consumes_reference: whether reference records were learnt from, so that they leak too.
    """

    def __init__(self, *, distill_epochs, wrap_student, temperature, seed):
        if distill_epochs is not None:
            check_count("distill_epochs", distill_epochs, 1)
        check_number("temperature", temperature, above=0, what="a number above 0, and 1 changes nothing")
        if wrap_student is not None and (not callable(wrap_student) or isinstance(wrap_student, keras.Model)):
            raise ValueError(
                "wrap_student must be a function of the student that puts a training defence around it, such as "
                "lambda student: mpreg.AdversarialRegularization(student, reference). "
                f"Received: {wrap_student!r}"
            )
        check_count("seed", seed, 0)
        self._distill_epochs, self._wrap_student = distill_epochs, wrap_student
        self._temperature, self._seed = temperature, seed
        self._student = None

    @property
    def target_model(self):
        return self._trained().target_model

    @property
    def history(self):
        return self._trained().history

    @property
    def soft_labels(self):
        return self._trained().soft_labels

    @property
    def consumes_reference(self):
        return self._trained().consumes_reference

    def _distil(self, student, x, y, answers, *, epochs, batch_size, verbose):
        """Trains the student on class probabilities (records, classes), softened; from then on it answers."""
        soft_labels = soften(answers, self._temperature)
        epochs = self._distill_epochs or epochs
        self._student = student.fit(x, y, soft_labels, epochs=epochs, batch_size=batch_size, verbose=verbose)

    def _trained(self):
        if self._student is None:
            raise RuntimeError("there is no student yet: call fit first")
        return self._student


class Student:
    """Trains a classifier on soft labels.

    Args:
        build_fn: function without arguments that returns it compiled.
        wrap_student: function of the distilling defence that puts another one around it; None for none.
        seed: of its weights and batches.

    Raises:
        ValueError: `wrap_student` returns something other than a training defence around the student.
    """

    def __init__(self, build_fn, *, wrap_student, seed):
        self.target_model = build(build_fn, seed)
        self._defended = Distillation(self.target_model)
        if wrap_student is not None:
            self._defended = _check_wrapped(wrap_student(self._defended), self.target_model)
        self.consumes_reference = self._defended.consumes_reference
        self._seed = seed

    def fit(self, x, y, soft_labels, *, epochs, batch_size, verbose):
        """Trains on the soft labels of the records `x`; `y` are their true labels, which other parts may use."""
        self.soft_labels = soft_labels
        labels = pack_labels(soft_labels, y, soft_labels.shape[1])
        tf.random.set_seed(self._seed)  # what was trained since the student was built has set its own
        self._defended.compile(**_compiled_with(self.target_model))
        self.history = self._defended.fit(x, labels, epochs=epochs, batch_size=batch_size, verbose=verbose)
        return self


def check_build_fn(name, function):
    """Raises a `TypeError` that names the argument unless it is a function, and not a model."""
    if not callable(function) or isinstance(function, keras.Model):
        raise TypeError(
            f"{name} must be a function that returns a compiled model. Received: {short_repr(function)}"
        )


def read_answers(model, predictions):
    """Returns the `Answers` for a compiled classifier's predictions, logits or probabilities."""
    labels = np.zeros(len(predictions), int)  # nothing is read of them
    return signals.read_answers(predictions, labels, from_logits=trains_on_logits(model, model.loss))


def soften(teacher, temperature):
    """Returns distributions proportional to `teacher ** (1 / temperature)`, float32."""
    powers = (teacher / teacher.max(axis=1, keepdims=True)) ** (
        1 / temperature
    )  # in bfloat16 no row sums to 1
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def _compiled_with(model):
    """The arguments that a model was compiled with, for the defence that trains it: the same optimizer and loss."""
    config = model.get_compile_config()
    rest = {name: value for name, value in config.items() if name not in ("optimizer", "loss")}
    return {
        **keras.saving.deserialize_keras_object(rest),
        "optimizer": model.optimizer,
        "loss": model.loss,
    }


def _check_wrapped(defended, student):
    if not isinstance(defended, TrainingDefence) or defended.target_model is not student:
        raise ValueError(
            "wrap_student must return a training defence around the student that it is given, such as "
            f"lambda student: mpreg.ConfidencePenalty(student, weight=0.1). Received: {short_repr(defended)}"
        )
    return defended
