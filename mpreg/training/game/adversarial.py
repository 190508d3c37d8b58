"""Adversarial regularization: a classifier trained against an inline membership-inference network."""

import keras

from mpreg.training.core.defence import TrainingDefence, check_model, classes_on
from mpreg.training.core.reference import open_reference
from mpreg.training.game.game import MembershipGame
from mpreg.training.game.options import GameOptions


@keras.saving.register_keras_serializable("mpreg")
class AdversarialRegularization(TrainingDefence):
    """Trains a classifier so that its answers on members look like its answers on other records.

    Solves min over f of L(f) + penalty * max over h of gain(f, h). Each step, the inference network h learns to
    tell the batch (members) from reference records by f's answers and the labels; then f descends its own loss
    plus `penalty` times what h gains. One traced program a step: f scores the members once, for both players.

    Compile and fit it as any Keras model. Besides the compiled metrics it logs `inference_accuracy` and
    `inference_loss` (of h on the batch, before it learns from it) and `membership_gain` (what f is charged for,
    E log h on members). Members of sample weight 0 take no part, nor do those of weight NaN. Deploy
    `model.target_model`, a plain Keras model.

    Cost: about 1.2 times plain training in time; it uses up the reference records, which f must never be
    evaluated on.

    Source: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, section 3, equations 7 and 8, algorithm 1.

    Args:
        target: a Keras classifier, (n, classes) logits or probabilities, or (n, 1) for two classes. Its
            BatchNormalization and Dropout work as in plain training; with a penalty of 0 so does everything.
        reference: records outside the training set, `(x, y)` arrays or a `tf.data.Dataset` of `(x, y)`, batched
            or not, which is repeated without end and refilled by `fit` (`train_on_batch` sees one batch of it).
        penalty: weight of the gain, at least 0; 1 to 10 in the literature. More privacy, less accuracy.
        inference_network: `"compact"`, `"nasr2018"` (the published one, 0.9 million parameters, twice the time)
            or a `keras.Model` called on `[log_probabilities, one_hot_labels]` that returns one logit a record.
        attack_steps: inference-network steps per target step, each on fresh reference records.
        attack_optimizer: Keras optimizer, or its name, of the inference network.
        warmup_epochs: first epochs in which the inference network learns and the target pays nothing, counted
            over all calls of `fit`.
        reference_batch_size: reference records a step.
        reference_gain: whether the target also pays for what h gains on reference records, as in the full
            game. The target then learns from the reference labels too: accuracy rises, but so does the leakage
            of the reference set.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.
        seed: seed of the inference network and of the reference draws.

    Raises:
        ValueError: an option out of range, a target that is not a classifier or has a training step of its own,
            reference records that the target cannot score; at the first step, a loss that contradicts the
            target's last activation.

    Example:
    ```python
    model = mpreg.AdversarialRegularization(target, split.reference, penalty=3.0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30)
    model.target_model.save("classifier.keras")
    ```
    """

    def __init__(
        self,
        target,
        reference,
        *,
        penalty=GameOptions.penalty,
        inference_network=GameOptions.inference_network,
        attack_steps=GameOptions.attack_steps,
        attack_optimizer=GameOptions.attack_optimizer,
        warmup_epochs=GameOptions.warmup_epochs,
        reference_batch_size=GameOptions.reference_batch_size,
        reference_gain=GameOptions.reference_gain,
        from_logits=None,
        seed=GameOptions.seed,
        name="adversarial_regularization",
    ):
        options = GameOptions(
            penalty=penalty,
            inference_network=inference_network,
            attack_steps=attack_steps,
            attack_optimizer=attack_optimizer,
            warmup_epochs=warmup_epochs,
            reference_batch_size=reference_batch_size,
            reference_gain=reference_gain,
            seed=seed,
        )
        game = open_game(target, reference, options)
        super().__init__(target, [game], from_logits=from_logits, name=name)

    @property
    def game(self):
        """The part that plays: its inference network, optimizer and reference records."""
        return self._part(MembershipGame)

    @property
    def penalty(self):
        """Weight of the gain; assign a number to change it, even during training."""
        return float(self.game.penalty.numpy())

    @penalty.setter
    def penalty(self, value):
        self.game.set_penalty(value)


def open_game(target, reference, options):
    """A `MembershipGame` for a target, which is called on one reference record to build it and count its classes.

    Args:
        target: a Keras classifier.
        reference: as for `AdversarialRegularization`.
        options: `GameOptions`.

    Raises:
        ValueError: the target is not a Keras model, or cannot score the reference records.
    """
    check_model(target)
    source = open_reference(reference, options.reference_batch_size)
    game = MembershipGame(options, classes=classes_on(target, source.first()))
    game.set_reference(source)
    return game
