"""Adversarial regularization: a classifier trained against an inline membership-inference network."""

import contextlib
import inspect

import keras

from mpreg.training.answers import call_target, count_classes, knows_training
from mpreg.training.control import GameControl
from mpreg.training.game import MembershipGame, check_options, finite_weights
from mpreg.training.reference import open_reference


@keras.saving.register_keras_serializable("mpreg")
class AdversarialRegularization(keras.Model):
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
        penalty,
        inference_network="compact",
        attack_steps=1,
        attack_optimizer="adam",
        warmup_epochs=1,
        reference_batch_size=64,
        reference_gain=False,
        from_logits=None,
        seed=0,
        name="adversarial_regularization",
    ):
        game = open_game(
            target,
            reference,
            penalty=penalty,
            inference_network=inference_network,
            attack_steps=attack_steps,
            attack_optimizer=attack_optimizer,
            warmup_epochs=warmup_epochs,
            reference_batch_size=reference_batch_size,
            reference_gain=reference_gain,
            from_logits=from_logits,
            seed=seed,
        )
        check_step(target)
        self._assemble(target, game, name, target.dtype_policy)

    def _assemble(self, target, game, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self.target_model = target
        self.game = game
        # Keras passes a training mode to a model that takes one, and from there to all layers inside, also to
        # those of a target that takes none. Such a target must be called without one, as by itself.
        self._call_has_training_arg = knows_training(target)
        self.built = True

    @property
    def trainable_variables(self):
        """The target's: the compiled optimizer must not touch the inference network."""
        return self.target_model.trainable_variables

    @property
    def trainable_weights(self):
        return self.target_model.trainable_weights

    @property
    def losses(self):
        """The target's own: regularizers of the inference network are not the target's to pay."""
        return self.target_model.losses

    @property
    def penalty(self):
        """Weight of the gain; assign a number to change it, even during training."""
        return float(self.game.penalty.numpy())

    @penalty.setter
    def penalty(self, value):
        self.game.set_penalty(value)

    def set_reference(self, reference):
        """Gives a reloaded model its reference records, which are never saved: `(x, y)` or a `tf.data.Dataset`."""
        self.game.set_reference(reference)
        self.train_function = None  # it is traced with the records it has

    def call(self, inputs, training=None):
        return call_target(self.target_model, inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        sample_weight = finite_weights(sample_weight)
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training:
            loss += self.game.penalize(self.target_model, self.loss, y, y_pred, sample_weight)
        return loss

    def test_step(self, data):
        """Evaluates the target alone: the game is not played, so its trackers have nothing to say."""
        silent = {tracker.name for tracker in self.game.trackers}
        return {name: value for name, value in super().test_step(data).items() if name not in silent}

    def fit(self, *args, **kwargs):
        """As `keras.Model.fit`."""
        control = GameControl(self.game)
        control.set_model(self)  # a CallbackList of the caller's is not given its model again
        return fit_with_callback(super().fit, control, args, kwargs)

    def evaluate(self, *args, **kwargs):
        """As `keras.Model.evaluate`."""
        # Keras before 3.13 turns logs into numbers only where they are those of all metrics.
        return keras.tree.map_structure(_to_number, super().evaluate(*args, **kwargs))

    def get_config(self):
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "target": keras.saving.serialize_keras_object(self.target_model),
            "game": keras.saving.serialize_keras_object(self.game),
        }

    @classmethod
    def from_config(cls, config):
        model = cls.__new__(cls)
        parts = (keras.saving.deserialize_keras_object(config[part]) for part in ("target", "game", "dtype"))
        target, game, dtype = parts
        model._assemble(target, game, config["name"], dtype)
        return model


def open_game(target, reference, **options):
    """A `MembershipGame` for a target, which is called on one reference record to build it and count its classes.

    Args:
        target: a Keras classifier.
        reference: as for `AdversarialRegularization`.
        **options: of the `MembershipGame`.

    Raises:
        ValueError: the target is not a Keras model, or cannot score the reference records.
    """
    if not isinstance(target, keras.Model):
        raise ValueError(f"target must be a keras.Model. Received: {target!r}")
    check_options(**options)
    source = open_reference(reference, options["reference_batch_size"])
    record = source.first()
    # A target that is built needs no trace of this call in its seeds; one that is not is built by it.
    scope = keras.StatelessScope() if target.built else contextlib.nullcontext()
    try:
        with scope:
            answers = call_target(target, record, training=False)
    except Exception as error:
        shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), record)
        raise ValueError(
            f"the target cannot score the reference records: calling it on one, of shape {shapes}, failed: {error}"
        ) from error
    game = MembershipGame(classes=count_classes(answers), **options)
    game.set_reference(source)
    return game


def check_step(target):
    """Raises a `ValueError` for a target with a training step of its own, which a wrapper would leave out."""
    for name in ("train_step", "compute_loss"):
        if getattr(type(target), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"the target has a {name} of its own, which AdversarialRegularization would silently replace. "
                f"Compile the target itself and fit it with mpreg.callbacks.AdversarialTraining. "
                f"Received: {type(target).__name__}.{name}"
            )


def _to_number(value):
    return float(value) if getattr(value, "shape", None) == () else value


def fit_with_callback(fit, callback, args, kwargs):
    """Calls a bound `fit` with one more callback, ahead of the caller's."""
    bound = inspect.signature(fit).bind(*args, **kwargs)
    callbacks = bound.arguments.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.insert(0, callback)
        try:
            return fit(*bound.args, **bound.kwargs)
        finally:
            callbacks.callbacks.remove(callback)
    bound.arguments["callbacks"] = [callback, *keras.tree.flatten(callbacks or [])]
    return fit(*bound.args, **bound.kwargs)
