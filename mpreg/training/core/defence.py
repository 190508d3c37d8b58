"""A training defence: a target and the parts that change how it is trained."""

import contextlib
import inspect
from typing import Any

import keras
from keras import ops

from mpreg.classifiers.calling import call_target
from mpreg.classifiers.kind import refuse_several_labels
from mpreg.classifiers.tensors import count_classes
from mpreg.data import map_arrays, refuse_sparse, text_as_tensor
from mpreg.fleet.step import refuse_own_steps
from mpreg.training.core.batch import Batch, finite_weights
from mpreg.training.core.distribution_loss import distribution_loss
from mpreg.training.core.fitting import Members, fit_with
from mpreg.training.core.fleet_step import DefenceStep
from mpreg.training.core.part import MIX, UNPACK
from mpreg.training.core.wrapping import Wrapper


@keras.saving.register_keras_serializable("mpreg")
class TrainingDefence(Wrapper):
    """Trains a classifier with parts that change its batches, its labels or its loss.

    Wrapping a `TrainingDefence` in another takes over its parts: whatever the order of the wrappers, labels are
    unpacked and softened first, then records mixed, then the loss replaced, then penalties added. Each part charges
    the loss of the records; regularizers of weights are added once. `evaluate` and `predict` are of the target alone.
    With parts that charge nothing, training is plain training bit for bit.

    Args:
        target: a Keras classifier, or a `TrainingDefence`, whose target and parts are taken over.
        parts: list of `DefencePart`s.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.

    Raises:
        ValueError: parts that cannot be combined, or a target with a training step of its own.
    """

    from_logits: bool | None

    def __init__(
        self,
        target: Any,
        parts: Any,
        *,
        from_logits: bool | None = None,
        name: str = "training_defence",
        dtype: Any = None,
    ):
        if isinstance(target, TrainingDefence):
            from_logits = target.from_logits if from_logits is None else from_logits
            target, parts = target.target_model, [*target.parts, *parts]
        check_target(target, type(self).__name__)
        for position, part in enumerate(parts):
            part.check(parts[:position])
            part.attach(target)
        super().__init__(target, name=name, dtype=dtype)
        self.parts = parts
        self.from_logits = from_logits
        self.members: Any = None  # while fit runs: the `Members` it was given
        self.built = True

    @property
    def consumes_reference(self) -> bool:
        """Whether a part learns from reference records, which then leak too."""
        return any(part.consumes_reference for part in self.parts)

    def set_reference(self, reference: Any) -> None:
        """Gives a reloaded model its reference records, which are never saved: `(x, y)` or a `tf.data.Dataset`."""
        if not self.consumes_reference:
            raise ValueError(f"no part of this {type(self).__name__} takes reference records")
        for part in self.parts:
            if part.consumes_reference:
                part.set_reference(reference)
        self.train_function = None  # it is traced with the records it has

    def _part(self, kind):
        return next(part for part in self.parts if isinstance(part, kind))

    def _acting(self):
        return sorted(self.parts, key=lambda part: part.stage)

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        batch = self._open(x, y, weights)
        mixed = batch.weights is not batch.sample_weight
        return super().train_step((batch.inputs, batch, batch.weights if mixed else weights))

    def _open(self, x, y, weights):
        batch = Batch(self.target_model, x, y, weights, loss=self.loss, from_logits=self.from_logits)
        for part in self._acting():
            part.prepare(batch)
        return batch

    def _open_late(self, x, y, weights):
        """The batch of a training step that is not this class' own, with answers on `x` and plain labels."""
        batch = self._open(x, y, weights)
        if batch.inputs is not x:
            raise ValueError(
                "records are blended before the target answers them, so a train_step of your own has to call "
                f"super().train_step(data). Received: {type(self).__name__}.train_step"
            )
        return batch

    def read(self, x, y, answers) -> Any:
        """Returns a `Batch` of records that are only measured, with their true labels."""
        y = self.true_labels(y, answers)
        batch = Batch(self.target_model, x, y, loss=self.loss, from_logits=self.from_logits)
        batch.answers = answers
        return batch

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not training:
            y = self.true_labels(y, y_pred)
            return super().compute_loss(x, y, y_pred, finite_weights(sample_weight), training)
        batch = y if isinstance(y, Batch) else self._open_late(x, y, sample_weight)
        batch.answers = y_pred
        for part in self._acting():
            part.relabel(batch)
        loss = self._loss_of(batch)
        for part in self._acting():
            loss = part.penalize(batch, loss)
        losses = [loss, *(self._aggregate_additional_loss(each) for each in self.losses)]
        return ops.sum(losses) if len(losses) > 1 else loss

    def _loss_of(self, batch):
        if batch.labels is None:
            return self.data_loss(batch.inputs, batch.y, batch.answers, batch.weights)
        if getattr(self._compile_loss, "_user_loss_weights", None) is not None:
            raise ValueError(
                "loss_weights have no meaning for a single loss: use sample_weight, or leave them out"
            )
        return distribution_loss(batch, batch.labels, batch.weights)

    def batch_loss(self, x, y, weights) -> Any:
        """Returns the loss of a batch as a training step has it, with what the parts do to the batch."""
        batch = self._open(x, y, weights)
        answers = self(batch.inputs, training=True)
        return self.compute_loss(x=batch.inputs, y=batch, y_pred=answers, sample_weight=batch.weights)

    def fleet_step(self) -> Any:
        """Returns how replicas of it are trained in one program, as `mpreg.Fleet` asks.

        Raises:
            ValueError: a part that cannot be, or a subclass with a training step of its own.
        """
        refuse_own_steps(self, TrainingDefence)
        return DefenceStep(self)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y = y.judged if isinstance(y, Batch) else self.true_labels(y, y_pred)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def true_labels(self, y, answers) -> Any:
        """Returns the labels for the compiled loss and metrics, given the labels passed to fit."""
        for part in self._acting():
            y = part.true_labels(y, self, answers)
        return y

    def test_step(self, data):
        """Evaluates the target alone, without the parts."""
        silent = {tracker.name for part in self.parts for tracker in part.trackers}
        return {name: value for name, value in super().test_step(data).items() if name not in silent}

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Trains as `keras.Model.fit` does."""
        fit = super().fit
        bound = inspect.signature(fit).bind(*args, **kwargs)
        if bound.arguments.get("class_weight") and any(part.stage == UNPACK for part in self.parts):
            raise ValueError(
                "Keras cannot read classes off packed labels: give sample_weight instead of class_weight"
            )
        if any(part.stage == MIX or part.consumes_reference for part in self.parts):
            refuse_sparse(bound.arguments.get("x"), "x")
        if "x" in bound.arguments:
            bound.arguments["x"] = map_arrays(text_as_tensor, bound.arguments["x"])
        told = ("x", "y", "sample_weight", "validation_split", "batch_size", "steps_per_epoch")
        self.members = members = Members(**{name: bound.arguments.get(name) for name in told})
        controls = [control for part in self.parts if (control := part.control(members)) is not None]
        for control in controls:
            control.set_model(self)  # a CallbackList of the caller's is not given its model again
        try:
            return fit_with(controls, fit, bound)
        finally:
            self.members = None

    def evaluate(self, *args, **kwargs) -> Any:
        """Evaluates as `keras.Model.evaluate` does."""
        # Keras before 3.13 turns logs into numbers only where they are those of all metrics.
        return keras.tree.map_structure(_to_number, super().evaluate(*args, **kwargs))

    def get_config(self):
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "target": keras.saving.serialize_keras_object(self.target_model),
            "parts": [keras.saving.serialize_keras_object(part) for part in self.parts],
            "from_logits": self.from_logits,
        }

    @classmethod
    def from_config(cls, config):
        target, dtype = (keras.saving.deserialize_keras_object(config[name]) for name in ("target", "dtype"))
        parts = [keras.saving.deserialize_keras_object(part) for part in config["parts"]]
        model = cls.__new__(cls)  # a subclass makes its parts of options, here they are made
        TrainingDefence.__init__(
            model, target, parts, from_logits=config["from_logits"], name=config["name"], dtype=dtype
        )
        return model


def check_model(target):
    """Raises a `ValueError` for a target that is not a Keras model."""
    if not isinstance(target, keras.Model):
        raise ValueError(f"target must be a keras.Model. Received: {target!r}")


def check_target(target, wrapper):
    """Raises a `ValueError` for a target with a training step of its own, which a wrapper would leave out."""
    check_classifier(target)
    for name in ("train_step", "compute_loss"):
        if getattr(type(target), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"the target has a {name} of its own, which {wrapper} would silently replace. "
                f"Compile the target itself and fit it with mpreg.callbacks.AdversarialTraining. "
                f"Received: {type(target).__name__}.{name}"
            )


def check_classifier(target):
    """Raises a `ValueError` for a target that is no Keras model, or that decides several things about a record."""
    check_model(target)
    if getattr(target, "outputs", None):
        count_classes(target.outputs)
        refuse_several_labels(target)


def classes_on(target, record):
    """Returns the target's number of classes; calls it on one reference record, which builds it.

    Raises:
        ValueError: the target cannot score it.
    """
    target = getattr(target, "target_model", target)
    # A target that is built needs no trace of this call in its seeds; one that is not is built by it.
    scope = keras.StatelessScope() if target.built else contextlib.nullcontext()
    try:
        with scope:
            answers = call_target(target, record, training=False)
    except Exception as error:
        shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), record)
        raise ValueError(
            f"the target cannot score the reference records: calling it on one, of shape {shapes}, failed: {error}"
        ) from error
    return count_classes(answers)


def _to_number(value):
    return float(value) if getattr(value, "shape", None) == () else value
