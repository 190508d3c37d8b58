"""Rounding: probabilities with few decimals."""

import keras
from keras import ops

from mpreg._validate import check_count
from mpreg.outputs.base import OutputDefence, highest, keep_label

MAX_DIGITS = 7  # float32 holds no more


@keras.saving.register_keras_serializable("mpreg")
class Rounding(OutputDefence):
    """Rounds probabilities to `digits` decimals, halves to the even digit.

    The predicted label stays: where rounding would leave it at 0 or make another class the first of the highest,
    it is served one unit of the last digit above the highest. The paper is silent on these rows, in which rounding
    alone would answer with the wrong class. No gradient flows: rounding has none.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section VII-A,
    "Coarsen precision of the prediction vector".

    Args:
        digits: number of decimals, 0 to 7.

    Raises:
        ValueError: `digits` is no whole number in that range; input that is not probabilities.

    Example:
    ```python
    served = mpreg.defend(model, mpreg.Rounding(1))
    mpreg.Rounding(1)([[0.21, 0.55, 0.24]])  # [[0.2, 0.6, 0.2]], or [[0.2, 0.5, 0.2]] where .55 is held as less
    ```
    """

    coarse = True

    def __init__(self, digits: int, **kwargs):
        super().__init__(**kwargs)
        check_count("digits", digits, 0)
        if digits > MAX_DIGITS:
            raise ValueError(f"digits must be at most {MAX_DIGITS}. Received: digits={digits}")
        self.digits = int(digits)

    def call(self, inputs):
        probabilities = ops.cast(inputs, "float32")
        units = float(10**self.digits)
        rounded = ops.round(probabilities * units)
        label = ops.cast(highest(probabilities, 1), "float32")
        rounded = ops.where(ops.any(rounded > 0, axis=-1, keepdims=True), rounded, label)
        return keep_label(rounded, probabilities, 1.0) / units

    def get_config(self):
        return {**super().get_config(), "digits": self.digits}
