"""Top-k: withholds all but the highest probabilities."""

import keras
from keras import ops

from mpreg._validate import check_count
from mpreg.outputs.base import OutputDefence, highest


@keras.saving.register_keras_serializable("mpreg")
class TopK(OutputDefence):
    """Keeps the k highest probabilities of each answer and serves 0 for the others.

    Exactly k are kept: of equal probabilities those of the first classes. Gradients flow through what is kept.
    It hides little: with k = 1 the attack still reads the confidence of the predicted class.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section VII-A,
    "Restrict the prediction vector to top k classes".

    Args:
        k: number of probabilities to keep, from 1 to the number of classes.
        renormalize: whether what is kept is scaled to sum to one. The paper does not: the sum tells how much is
            withheld.

    Raises:
        ValueError: k is no whole number, below 1 or above the number of classes; input that is not probabilities.

    Example:
    ```python
    served = mpreg.defend(model, mpreg.TopK(3))
    mpreg.TopK(1)([[0.2, 0.5, 0.3]])  # [[0.0, 0.5, 0.0]]
    ```
    """

    def __init__(self, k: int, *, renormalize: bool = False, **kwargs):
        super().__init__(**kwargs)
        check_count("k", k, 1)
        self.k = int(k)
        self.renormalize = bool(renormalize)
        self.coarse = not self.renormalize

    def check_classes(self, classes: int):
        if self.k > classes:
            raise ValueError(f"k must be at most the number of classes, {classes}. Received: k={self.k}")

    def call(self, inputs):
        probabilities = ops.cast(inputs, "float32")
        kept = ops.where(highest(probabilities, self.k), probabilities, 0.0)
        return kept / ops.sum(kept, axis=-1, keepdims=True) if self.renormalize else kept

    def get_config(self):
        return {**super().get_config(), "k": self.k, "renormalize": self.renormalize}
