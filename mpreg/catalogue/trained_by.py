"""How a stranger's classifier is trained: the optimizer and the loss that it was compiled with."""

import dataclasses
import json

import keras

_SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
_ONE_HOT = ("categorical_crossentropy", "CategoricalCrossentropy")
_BINARY = ("binary_crossentropy", "BinaryCrossentropy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedBy:
    """An optimizer and a loss, as plain values.

    Attributes:
        optimizer: its configuration as JSON.
        loss: `"sparse_categorical_crossentropy"` or `"binary_crossentropy"`.
        from_logits: whether the classifier answers with logits.
    """

    optimizer: str
    loss: str
    from_logits: bool = False

    @classmethod
    def from_model(cls, model):
        """How a Keras model was compiled; one that was not is trained by Adam, and answers with probabilities.

        Labels are class indices here, so a loss of one-hot labels becomes that of indices.

        Raises:
            ValueError: a loss that is no cross-entropy of one answer.
        """
        binary = model.output_shape[-1] == 1
        plain = _BINARY[0] if binary else _SPARSE[0]
        if not getattr(model, "compiled", False):
            return cls(optimizer=_config(keras.optimizers.Adam()), loss=plain)
        loss = model.get_compile_config()["loss"]
        name = loss.get("class_name") if isinstance(loss, dict) else loss
        options = loss.get("config", {}) if isinstance(loss, dict) else {}
        if isinstance(options, str):  # a loss that is a function
            name, options = options, {}
        if name not in (*_BINARY, *(() if binary else (*_SPARSE, *_ONE_HOT))):
            raise ValueError(
                f"the model must have been compiled with a cross-entropy of its {model.output_shape[-1]} answers. "
                f"Received: loss {name!r}"
            )
        if name in _BINARY and not binary:
            raise ValueError(
                f"a model with {model.output_shape[-1]} answers and binary cross-entropy says yes or no to each of "
                "several labels, and mpreg works on classifiers of one label a record"
            )
        return cls(
            optimizer=_config(model.optimizer), loss=plain, from_logits=bool(options.get("from_logits"))
        )

    @property
    def learning_rate(self):
        """Of the optimizer."""
        return json.loads(self.optimizer)["config"]["learning_rate"]

    def optimizer_and_loss(self, learning_rate):
        """Returns a new optimizer at a learning rate, and the loss."""
        optimizer = keras.optimizers.deserialize(json.loads(self.optimizer))
        optimizer.learning_rate = learning_rate
        kind = (
            keras.losses.BinaryCrossentropy
            if self.loss in _BINARY
            else keras.losses.SparseCategoricalCrossentropy
        )
        return optimizer, kind(from_logits=self.from_logits)


def _config(optimizer):
    """Its configuration without its name, which counts up; where a schedule sets the rate, with its first one."""
    kept = keras.optimizers.serialize(optimizer)
    kept["config"].pop("name", None)
    rate = kept["config"].get("learning_rate")
    if isinstance(rate, dict):
        kept["config"]["learning_rate"] = float(keras.optimizers.schedules.deserialize(rate)(0))
    return json.dumps(kept)
