"""Temperature: softens the softmax."""

import keras
import tensorflow as tf
from keras import ops

from mpreg._validate import check_number
from mpreg.classifiers.tensors import log_probabilities
from mpreg.outputs.base import OutputDefence, keep_label

LEAST, MOST = 1e-30, 1e30  # as float32, neither these nor their inverses overflow


@keras.saving.register_keras_serializable("mpreg")
class Temperature(OutputDefence):
    """Divides the logits by a temperature; above 1, predictions become less confident.

    Exact where the probabilities come from a softmax inside the model; from probabilities alone the logits are
    taken as their logarithms, and those below 1e-30 as 1e-30. Order and predicted label stay, so whoever knows the
    temperature can undo it: combine it with `Rounding` or `TopK`. Gradients flow.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section VII-A,
    "Increase entropy of the prediction vector"; 5 and 20 in its table III.

    Args:
        temperature: a number above 0 (1e-30 to 1e30).

    Raises:
        ValueError: a temperature out of range; input that is not probabilities.

    Example:
    ```python
    served = mpreg.defend(model, mpreg.Temperature(5.0), mpreg.Rounding(1))
    ```
    """

    def __init__(self, temperature: float, **kwargs):
        super().__init__(**kwargs)
        what = f"a number above 0, from {LEAST:g} to {MOST:g}"
        self.temperature = check_number("temperature", temperature, least=LEAST, most=MOST, what=what)

    def call(self, inputs):
        logs = log_probabilities(inputs, from_logits=False)
        logs = logs - tf.reduce_max(logs, axis=-1, keepdims=True)  # before the division, which may overflow
        answers = ops.softmax(logs / self.temperature, axis=-1)
        # Float32 may make ties of what the temperature brought together.
        step = 1e-6 * tf.reduce_max(answers, axis=-1, keepdims=True)
        return keep_label(answers, ops.cast(inputs, "float32"), step)

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}
