"""`defend`: builds a servable model with output defences."""

from typing import Any

import keras
from keras import ops

from mpreg.classifiers.arrays import only_output
from mpreg.classifiers.kind import answers_are_logits
from mpreg.classifiers.last_layer import last_layer
from mpreg.classifiers.tensors import logits_behind
from mpreg.outputs.base import OutputDefence


def defend(model: Any, *layers, from_logits: bool | None = None) -> Any:
    """Builds a Keras model that predicts as `model` does behind output defences, to serve or save in its place.

    It shares the weights of `model`, answers with probabilities, (n, classes), and loads from `.keras` wherever
    mpreg is imported. Compile it before `evaluate`, with a loss on probabilities.

    Args:
        model: a Keras classifier with one output, logits or probabilities, (n, classes), or (n, 1) for two
            classes, which become two columns. Of a model of mpreg that wraps one, the `target_model` is served. A
            subclassed model must have been called once, so that the shape of its input is known.
        layers: output defences, in the order in which they act.
        from_logits: whether the model answers with logits; None reads it from its last layer and its loss.

    Returns:
        A functional `keras.Model`.

    Raises:
        TypeError: `model` is no Keras model, or a layer no output defence.
        ValueError: no layers; a model that is not built, has several outputs, does not answer with one row of
            class scores a record, or leaves open whether these are logits.

    Example:
    ```python
    served = mpreg.defend(model, mpreg.Temperature(5.0), mpreg.Rounding(1), mpreg.TopK(3))
    served.save("served.keras")
    print(mpreg.evaluate(served, split))
    ```
    """
    if not layers:
        raise ValueError("give at least one output defence, such as TopK(3)")
    for layer in layers:
        if not isinstance(layer, OutputDefence):
            raise TypeError(
                f"an output defence must be one of mpreg.outputs, such as TopK(3). Received: {layer!r}"
            )
    inputs, answers = _read(model, from_logits)
    for layer in layers:
        answers = layer(answers)
    return keras.Model(inputs, answers, name=f"defended_{model.name}")


def is_coarse(model: Any) -> bool:
    """Returns whether a model, also a reloaded one, serves truncated or rounded rows that need not sum to one."""
    layer, _ = last_layer(model)
    return isinstance(layer, OutputDefence) and layer.coarse


def probabilities_of(model, *, from_logits=None):
    """Builds a functional model of a classifier's class probabilities; arguments as for `defend`."""
    return keras.Model(*_read(model, from_logits))


def _read(model, from_logits):
    """Symbolic inputs of a classifier, and its answers to them as probabilities."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "model must be a Keras model. Of any other, defend the probabilities: "
            f"TopK(3)(model.predict_proba(x)). Received: {model!r}"
        )
    target = getattr(model, "target_model", model)
    inputs = _new_inputs(target)
    answers = target(inputs)
    shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(answers)]
    answers = only_output(answers)
    if answers is None or len(answers.shape) != 2:
        raise ValueError(
            "the model must have one output, a row of class scores a record, shape (n, classes). Received outputs "
            f"of shapes {shapes}"
        )
    losses = (getattr(each, "loss", None) for each in (model, target))
    logits = answers_are_logits(target, *losses, from_logits=from_logits)
    if answers.shape[-1] == 1:
        answers = TwoClasses(from_logits=logits, name="two_classes")(answers)
    elif logits:
        answers = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(answers)
    return inputs, answers


@keras.saving.register_keras_serializable("mpreg")
class TwoClasses(keras.layers.Layer):
    """Turns one logit or probability of class 1, (n, 1), into two probabilities, float32 (n, 2)."""

    def __init__(self, *, from_logits, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, autocast=False, **kwargs)
        self.from_logits = from_logits

    def call(self, inputs):
        logits = inputs if self.from_logits else logits_behind(inputs)
        if logits is None:
            probabilities = ops.cast(inputs, "float32")
            return ops.concatenate([1.0 - probabilities, probabilities], axis=-1)
        logits = ops.cast(logits, "float32")
        return keras.activations.softmax(ops.concatenate([ops.zeros_like(logits), logits], axis=-1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}


def _new_inputs(target):
    """Inputs of the form of a model's own."""
    if getattr(target, "inputs", None):
        # Only here does Keras keep a dict or list of inputs as it was given; a Sequential has a single one.
        structure = getattr(target, "_inputs_struct", target.inputs[0])
        return keras.tree.map_structure(
            lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name),
            structure,
        )
    shape = (target.get_build_config() or {}).get("input_shape") if target.built else None
    if not isinstance(shape, list | tuple) or not all(isinstance(size, int | None) for size in shape):
        raise ValueError(
            "the shape of the model's input is not known: call the model on a batch first, or give it a keras.Input. "
            f"Received: {target!r}"
        )
    return keras.Input(batch_shape=(None, *shape[1:]), dtype=target.input_dtype)
