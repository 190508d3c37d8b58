"""Adversarial regularization: a classifier trained against an inline membership-inference network."""

from typing import Any

import keras

from mpreg.training.core.defence import TrainingDefence, check_classifier, classes_on
from mpreg.training.core.reference import open_reference
from mpreg.training.game.game import MembershipGame
from mpreg.training.game.options import GameOptions


@keras.saving.register_keras_serializable("mpreg")
class AdversarialRegularization(TrainingDefence):
    """Trains a classifier whose predictions on members and on other records cannot be told apart.

    Solves min over f of L(f) + weight * max over h of gain(f, h). Each step, the inference network h learns to tell the
    batch (members) from reference records by f's answers and the labels; then f descends its own loss plus what h
    gains, weighed. One traced program a step: f scores either batch once, for both players.

    The weight is `strength` times the running ratio of two gradients at the members' logits, that of the loss to that
    of the gain, so that one strength means about the same on any data set, at most 200 times. Or it is `penalty`, the
    paper's fixed weight. The default is the full game: f pays for what h gains on members and on reference records, and
    ends with an average of its weights over the last epochs.

    Compile and fit it as any Keras model. Besides the compiled metrics it logs `inference_accuracy` and
    `inference_loss` (of h on the batch, before it learns from it) and `membership_gain` (what f is charged for).
    Members of sample weight 0 take no part, nor do those of weight NaN. Deploy `model.target_model`, a plain Keras
    model; it holds the averaged weights once a `fit` of 10 epochs or more has ended. What looks at the model during a
    fit (validation, checkpoints, `EarlyStopping`, which restores what it has seen) sees the weights of the epoch.

    A watchdog undoes a collapse of f, with a warning and half the strength or penalty: where f answers the members
    worse than the frequencies of the classes would, or with half its best accuracy, it goes on from its best epoch.

    Cost: see `benchmarks/training_overhead.py`; about 1.4 times plain training of a small network on tables. It uses up
    the reference records, which f must never be evaluated on: in the full game they leak like members, so a figure is
    the higher of both (`mpreg.evaluate(model, split, reference=True)`).

    Source: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, section 3, equations 7 and 8, algorithm 1.

    Args:
        target: a Keras classifier, (n, classes) logits or probabilities, or (n, 1) for two classes. Its
            BatchNormalization and Dropout work as in plain training; with a penalty of 0 so does everything.
        reference: records outside the training set, `(x, y)` arrays or a `tf.data.Dataset` of `(x, y)`, batched
            or not, which is repeated without end and refilled by `fit` (`train_on_batch` sees one batch of it).
        strength: relative weight of the gain, at least 0; 1 to 2 is usual. More privacy, less accuracy. None is 1.7
            where there is no penalty. It is made for a loss that is a mean over records.
        penalty: fixed weight of the gain instead, at least 0; 1 to 10 in the literature, which charges members alone.
        reference_gain: whether the target also pays for what h gains on reference records, as in the full
            game. The target then learns from the reference labels too: accuracy rises, but so does the leakage
            of the reference set. False charges members alone, as in the paper's experiments; it is cheaper by the
            gradient of the reference batch, and it drives the target to answer everything badly.
        averaging: largest share of the averaged weights that stays as it is with each epoch, at least 0 and below 1;
            less stays in the first epochs, t / (t + 3) after t of them. 0 averages nothing.
        inference_network: `"compact"`, `"nasr2018"` (the published one, 0.9 million parameters, twice the time)
            or a `keras.Model` called on `[log_probabilities, one_hot_labels]` that returns one logit a record.
        attack_steps: inference-network steps per target step, each on fresh reference records.
        attack_optimizer: Keras optimizer, or its name, of the inference network.
        warmup_epochs: first epochs in which the inference network learns and the target pays nothing, counted
            over all calls of `fit`.
        reference_batch_size: reference records a step; they are what the game costs. Half as many cost about two points
            of accuracy at an equal attack, on digits and cifar10 in batches of 32 and 50.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.
        seed: seed of the inference network and of the reference draws.

    Raises:
        ValueError: an option out of range, a strength beside a penalty, a target that is not a classifier or has a
            training step of its own, reference records that the target cannot score; at the first step, a loss that
            contradicts the target's last activation.

    Example:
    ```python
    model = mpreg.AdversarialRegularization(target, split.reference)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30)
    model.target_model.save("classifier.keras")
    ```
    """

    def __init__(
        self,
        target: Any,
        reference: Any,
        *,
        strength: float | None = GameOptions.strength,
        penalty: float | None = GameOptions.penalty,
        reference_gain: bool = GameOptions.reference_gain,
        averaging: Any = GameOptions.averaging,
        inference_network: Any = GameOptions.inference_network,
        attack_steps: int = GameOptions.attack_steps,
        attack_optimizer: Any = GameOptions.attack_optimizer,
        warmup_epochs: int = GameOptions.warmup_epochs,
        reference_batch_size: int = GameOptions.reference_batch_size,
        from_logits: bool | None = None,
        seed: int = GameOptions.seed,
        name: str = "adversarial_regularization",
    ):
        options = GameOptions(
            strength=strength,
            penalty=penalty,
            reference_gain=reference_gain,
            averaging=averaging,
            inference_network=inference_network,
            attack_steps=attack_steps,
            attack_optimizer=attack_optimizer,
            warmup_epochs=warmup_epochs,
            reference_batch_size=reference_batch_size,
            seed=seed,
        )
        game = open_game(target, reference, options)
        super().__init__(target, [game], from_logits=from_logits, name=name)

    @property
    def game(self) -> Any:
        """The part that plays the game, with its inference network, optimizer and reference records."""
        return self._part(MembershipGame)

    @property
    def strength(self) -> Any:
        """Relative weight of the gain, or None with a fixed penalty; assign a number to change it during training."""
        return float(self.game.strength.numpy()) if self.game.options.relative else None

    @strength.setter
    def strength(self, value: Any):
        self.game.set_strength(value)

    @property
    def penalty(self) -> Any:
        """Current weight of the gain; assign a number to change a fixed penalty, also during training."""
        return float(self.game.penalty.numpy())

    @penalty.setter
    def penalty(self, value: Any):
        self.game.set_penalty(value)


def open_game(target, reference, options):
    """Creates a `MembershipGame` for a target; calls it on one reference record to build it and count its classes.

    Args:
        target: a Keras classifier.
        reference: as for `AdversarialRegularization`.
        options: `GameOptions`.

    Raises:
        ValueError: the target is not a Keras model, or cannot score the reference records.
    """
    check_classifier(target)
    source = open_reference(reference, options.reference_batch_size)
    game = MembershipGame(options, classes=classes_on(target, source.first()))
    game.set_reference(source)
    return game
