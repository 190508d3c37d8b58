"""Label only: reveals the predicted class alone."""

import keras
from keras import ops

from mpreg.outputs.base import OutputDefence, highest


@keras.saving.register_keras_serializable("mpreg")
class LabelOnly(OutputDefence):
    """Serves 1 for the predicted class and 0 for the others.

    What remains is the gap attack, and attacks that ask about many variants of a record. No gradient flows.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section VII-A
    and table III, "Top k = 1 label".

    Raises:
        ValueError: input that is not probabilities.

    Example:
    ```python
    mpreg.LabelOnly()([[0.2, 0.5, 0.3]])  # [[0.0, 1.0, 0.0]]
    ```
    """

    def call(self, inputs):
        return ops.cast(highest(inputs, 1), "float32")
