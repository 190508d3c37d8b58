"""MemGuard: noise on the probabilities that misleads a membership classifier, within a budget."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mpreg._validate import check_count, check_number
from mpreg.classifiers.tensors import log_probabilities
from mpreg.outputs.base import OutputDefence, keep_label, read_probabilities
from mpreg.outputs.keyed import secret_seed, toss
from mpreg.outputs.noise import find_noise

HIDDEN = (256, 128, 64)
KNOWN_BY = 3  # most probable classes that a query is known by
CELL = 1.0  # nats: width of the cells of their log-probabilities, which small moves of a query rarely leave
FURTHEST = -50.0
MOST = 2.0  # no two distributions are further apart in L1


@keras.saving.register_keras_serializable("mpreg")
class MemGuard(OutputDefence):
    """Adds noise to predictions that makes a membership classifier undecided, within a distortion budget.

    `fit` trains the defence classifier, an MLP 256-128-64 on sorted scores. Each answer then gets the least noise
    found that makes it undecided without changing the label, with the probability min(budget / distortion, 1) and
    only where it brings the classifier nearer to .5; else the answer stays. So the expected L1 distortion of no
    answer exceeds the budget. All queries of a batch are worked on together, in one traced program.

    Whether an answer gets its noise depends only on a secret seed and on the neighbourhood of the query: the three
    most probable classes in order, and the cells, one nat wide, of their log-probabilities. Repeated queries, and
    queries with slightly moved copies, therefore mostly get the same decision. Copies moved so far that the answers
    differ by nats get other decisions, and an attacker may keep the most confident answer: `attacks="strong"`
    includes this attack. The seed is stored with the model, so keep the file as secret as its training data.
    Attackers who train on defended answers see through part of the noise, and label-only attackers through all of it:
    attack the defended model itself.

    Cost: some hundred passes through the small classifier for each batch, whatever its size: serve batches, not
    single queries, and compile the served model with `jit_compile=True`. No gradient flows through the noise.

    Source: Jia et al., "MemGuard: Defending against Black-Box Membership Inference Attacks via Adversarial
    Examples", CCS 2019, section 4, algorithm 1 and theorem 1.

    Args:
        budget: bound on the expected L1 distortion of an answer, 0 (none) to 2; 0.1 to 1 in the paper.
        seed: secret that decides which answers get their noise, below 2**64; None draws one.

    Raises:
        ValueError: an option out of range; a call before `fit`; input that is not probabilities.

    Example:
    ```python
    guard = mpreg.MemGuard(budget=0.5)
    guard.fit(model.predict(split.members[0]), model.predict(split.reference[0]))
    served = mpreg.defend(model, guard)
    ```
    """

    built: bool

    def __init__(self, budget: float = 1.0, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        what = f"a number from 0 to {MOST:g}"
        self.budget = check_number("budget", budget, least=0, most=MOST, what=what)
        self.seed = secret_seed(seed)
        # Secret, for whoever knew where cells end would know where to ask.
        self._offsets = np.random.default_rng(self.seed).random(KNOWN_BY, np.float32)[None]
        self.fitted = False
        self.trainable = False  # by the loss of the classifier that it protects

    def build(self, input_shape):
        initializers = (keras.initializers.GlorotUniform(seed) for seed in range(len(HIDDEN) + 1))
        layers = [
            keras.layers.Dense(units, activation, kernel_initializer=next(initializers), dtype="float32")
            for units, activation in (*((units, "relu") for units in HIDDEN), (1, None))
        ]
        self.classifier = keras.Sequential(layers, name="defence_classifier")
        self.classifier.build((None, input_shape[-1]))
        self.classifier.trainable = False
        # One trace for batches of any length; without it a search on plain arrays would run step by step.
        self._find_noise = tf.function(
            lambda logs: find_noise(logs, self._logit),
            input_signature=[tf.TensorSpec((None, input_shape[-1]), tf.float32)],
        )

    def fit(
        self,
        member_predictions: Any,
        nonmember_predictions: Any,
        *,
        epochs: int = 400,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> "MemGuard":
        """Trains the defence classifier to tell members from non-members by the sorted scores; returns the layer.

        The published constants are the defaults: SGD at .001 for 400 epochs, on the Location data. Members and
        non-members weigh alike, however many there are. Called again, it trains on.

        Args:
            member_predictions, nonmember_predictions: the target's probabilities, (m, classes) and (n, classes).
                Take non-members, such as reference records, on which the model will not be judged.
            epochs, batch_size, learning_rate: of the training.
            seed: seed of the order of the records.

        Raises:
            ValueError: predictions that are not probabilities, no records, sides that differ in classes, or an
                option out of range.
        """
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        check_count("seed", seed, 0)
        check_number("learning_rate", learning_rate, above=0, what="a number above 0")
        scores, membership, weights = _join(member_predictions, nonmember_predictions)
        if not self.built:
            self.build((None, scores.shape[1]))
            self.built = True
        self._check_width(scores.shape[1])
        data = tf.data.Dataset.from_tensor_slices((scores, membership, weights))
        # One long pass: Keras takes longer to begin an epoch than such a network to learn one.
        data = data.shuffle(len(scores), seed=seed).batch(batch_size).repeat(epochs).prefetch(2)
        self.classifier.trainable = True
        self.classifier.compile(
            keras.optimizers.SGD(learning_rate),
            keras.losses.BinaryCrossentropy(from_logits=True),
            jit_compile=False,
        )
        self.classifier.fit(data, shuffle=False, verbose=0)
        self.classifier.trainable = False
        self.fitted = True
        return self

    def membership(self, probabilities: Any) -> np.ndarray:
        """Returns the defence classifier's membership probabilities, (n,), of predictions (n, classes)."""
        self.check_classes(np.shape(probabilities)[-1])
        return ops.sigmoid(self._logit(_descending(ops.cast(probabilities, "float32"))))

    def check_classes(self, classes: int):
        if not self.fitted:
            raise ValueError(
                "MemGuard has no defence classifier yet: "
                "call fit(member_predictions, nonmember_predictions) first"
            )
        self._check_width(classes)

    def call(self, inputs):
        probabilities = ops.cast(inputs, "float32")
        logs = log_probabilities(inputs, from_logits=False)
        ranked, order = ops.top_k(logs, logs.shape[-1])
        noisy = self._find_noise(ranked)
        noisy = ops.take_along_axis(noisy, ops.argsort(order, axis=-1), axis=-1)
        noisy = keep_label(noisy, probabilities, 1e-6)
        chosen = self._toss(logs) < self._chance(probabilities, noisy)
        return ops.where(chosen[:, None], ops.stop_gradient(noisy), probabilities)

    def _toss(self, logs):
        """A number in [0, 1) for each query, (n,): the same for all queries of a neighbourhood."""
        highest, classes = ops.top_k(logs, min(KNOWN_BY, logs.shape[-1]))
        cells = ops.cast(
            ops.floor(ops.maximum(highest, FURTHEST) / CELL + self._offsets[:, : highest.shape[-1]]), "int32"
        )
        return toss(ops.concatenate([ops.cast(classes, "int32"), cells], axis=-1), self.seed)

    def _chance(self, probabilities, noisy):
        """The probability of adding its noise to each answer, (n,): theorem 1."""
        distortion = ops.sum(ops.abs(noisy - probabilities), axis=-1)
        before, after = (ops.abs(self.membership(scores) - 0.5) for scores in (probabilities, noisy))
        chance = ops.minimum(self.budget / ops.maximum(distortion, 1e-9), 1.0)
        return ops.where(after < before, chance, 0.0)

    def _logit(self, scores):
        return self.classifier(scores)[:, 0]

    def _check_width(self, classes):
        known = self.classifier.layers[0].kernel.shape[0] if self.built else classes
        if classes != known:
            raise ValueError(
                f"MemGuard was fitted on answers of {known} classes. Received answers of {classes}"
            )

    def get_config(self):
        config = super().get_config()
        return {**config, "budget": self.budget, "seed": self.seed, "fitted": self.fitted}

    @classmethod
    def from_config(cls, config):
        fitted = config.pop("fitted")
        config.pop("trainable", None)  # never
        layer = cls(**config)
        layer.fitted = fitted
        return layer


def _join(member_predictions, nonmember_predictions):
    """Sorted scores, membership and weights of all records, each float32."""
    sides = [read_probabilities(side) for side in (member_predictions, nonmember_predictions)]
    sizes = [len(side) for side in sides]
    if 0 in sizes:
        raise ValueError(f"there must be at least one member and one non-member. Received: {sizes}")
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(
            f"both sides must have the same classes. Received: {sides[0].shape[1]} of members, "
            f"{sides[1].shape[1]} of non-members"
        )
    scores = -np.sort(-np.concatenate(sides), axis=1)
    membership = np.repeat(np.float32([1, 0]), sizes)[:, None]
    weights = np.repeat([np.float32(sum(sizes) / (2 * size)) for size in sizes], sizes)
    return scores, membership, weights


def _descending(scores):
    return ops.top_k(scores, scores.shape[-1])[0]
