"""Rank only: keeps the order of the classes and replaces their probabilities."""

from typing import Any

import keras
import numpy as np
from keras import ops

from mpreg.outputs.base import OutputDefence, keep_label, read_probabilities
from mpreg.outputs.defend import probabilities_of
from mpreg.outputs.keyed import secret_seed, toss


@keras.saving.register_keras_serializable("mpreg")
class RankOnly(OutputDefence):
    """Replaces the probabilities of each answer with those of a random input, in the answer's own order.

    The most probable class gets the highest of the other probabilities, the next one the second, and so on, so that
    only the order of the classes remains. Which row of the bank is used depends on that order and a secret seed, so
    that repeated queries reveal nothing more. No gradient flows.

    Source: the output modification at test time of Chen and Pattabiraman, "Overconfidence is a Dangerous Thing:
    Mitigating Membership Inference Attacks by Enforcing Less Confident Prediction" (HAMP), NDSS 2024, section
    III-D. There, each query draws a random input and has the model score it; here the scores are drawn beforehand.

    Args:
        bank: scores of random inputs, (m, classes), at least one row. `from_model` makes one.
        seed: secret that decides which scores an answer gets, below 2**64; None draws one.

    Raises:
        ValueError: a bank that is empty or not of probabilities; answers of other classes.

    Example:
    ```python
    noise = np.random.default_rng().integers(0, 2, (1000, features))  # random inputs of the form of the data
    served = mpreg.defend(model, mpreg.RankOnly.from_model(model, noise))
    ```
    """

    def __init__(self, bank: Any, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        bank = read_probabilities(bank)
        if not len(bank):
            raise ValueError("the bank is empty: give the scores of at least one random input")
        self.seed = secret_seed(seed)
        self.bank = self.add_weight(name="bank", shape=bank.shape, initializer="zeros", trainable=False)
        self.bank.assign(-np.sort(-bank, axis=1))

    @classmethod
    def from_model(
        cls, model: Any, random_inputs: Any, *, from_logits: bool | None = None, seed: int | None = None
    ) -> "RankOnly":
        """Builds a layer from a model's predictions for random inputs.

        Args:
            model: a Keras classifier, read as by `defend`.
            random_inputs: inputs of the model's form, such as random bits or uniform pixels, a thousand or so.
            from_logits, seed: as for `defend` and for the layer.
        """
        source = probabilities_of(model, from_logits=from_logits)
        return cls(source.predict(random_inputs, verbose=0), seed=seed)

    def check_classes(self, classes: int):
        known = self.bank.shape[1]
        if classes != known:
            raise ValueError(f"the bank holds scores of {known} classes. Received answers of {classes}")

    def call(self, inputs):
        probabilities = ops.cast(inputs, "float32")
        order = ops.top_k(probabilities, probabilities.shape[-1])[1]
        ranks = ops.argsort(order, axis=-1)
        size = self.bank.shape[0]
        row = ops.cast(toss(ops.cast(ranks, "int32"), self.seed) * size, "int32")
        scores = ops.take(ops.convert_to_tensor(self.bank), ops.minimum(row, size - 1), axis=0)
        answers = ops.take_along_axis(scores, ranks, axis=-1)
        return keep_label(answers, probabilities, 1e-6 * scores[:, :1])

    def get_config(self):
        return {**super().get_config(), "bank_shape": list(self.bank.shape), "seed": self.seed}

    @classmethod
    def from_config(cls, config):
        size, classes = config.pop("bank_shape")
        return cls(np.full((size, classes), 1 / classes), **config)  # the weights bring their own
