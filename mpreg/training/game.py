"""The min-max game of adversarial regularization, as a part that any Keras training step can hold.

The inner player, an inference network, learns to tell members from reference records by the target's answers.
What it gains on the members is the penalty that the outer player, the target, pays.

Source: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
Regularization", CCS 2018, sections 3.1 and 3.2, algorithm 1.
"""

from numbers import Real

import keras
import tensorflow as tf

from mpreg.data import check_count
from mpreg.networks.inference import build_inference_network
from mpreg.training import watchdog
from mpreg.training.answers import answers_are_logits, call_target, log_probabilities, one_hot_labels
from mpreg.training.reference import ArrayReference, DatasetReference, open_reference


@keras.saving.register_keras_serializable("mpreg")
class MembershipGame(keras.layers.Layer):
    """Inference network, its optimizer and the reference records: plays one round a training step.

    Args: as `AdversarialRegularization`, and `classes`, the number of classes of the target.
    """

    def __init__(
        self,
        *,
        classes,
        penalty,
        inference_network="compact",
        attack_steps=1,
        attack_optimizer="adam",
        warmup_epochs=1,
        reference_batch_size=64,
        reference_gain=False,
        from_logits=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**{"name": "membership_game", "dtype": "float32", **kwargs})
        check_options(
            penalty=penalty,
            attack_steps=attack_steps,
            warmup_epochs=warmup_epochs,
            reference_batch_size=reference_batch_size,
            seed=seed,
        )
        self.classes = classes
        self.attack_steps = int(attack_steps)
        self.warmup_epochs = int(warmup_epochs)
        self.reference_batch_size = int(reference_batch_size)
        self.reference_gain = reference_gain
        self.from_logits = from_logits
        self.seed = int(seed)
        self.inference_network = build_inference_network(inference_network, classes, seed=seed)
        self.attack_optimizer = own_optimizer(attack_optimizer, self.inference_network)
        self.penalty = self._state("penalty", penalty)
        self.warmup_left = self._state("warmup_left", warmup_epochs)
        # 0 in warm-up: the network learns, the target pays nothing.
        self.charging = self._state("charging", 1.0)
        self.step = self._state("step", 0, dtype="int64")
        self.evidence = watchdog.BatchEvidence(self._state)
        self.first_vectors = watchdog.first_vectors(self.inference_network)
        self.collapse_reported = False
        self.inference_accuracy = keras.metrics.Mean(name="inference_accuracy")
        self.inference_loss = keras.metrics.Mean(name="inference_loss")
        self.membership_gain = keras.metrics.Mean(name="membership_gain")
        self._reference = None
        self.built = True

    def _state(self, name, value, dtype="float32"):
        return self.add_weight(
            name=name,
            shape=(),
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    @property
    def reference(self):
        """The open reference source."""
        if self._reference is None:
            raise ValueError(
                "there are no reference records: a saved model never holds them. "
                "Give them before training: model.set_reference((x, y))"
            )
        return self._reference

    def set_reference(self, reference):
        """Takes an open source, arrays `(x, y)` or a `tf.data.Dataset` of `(x, y)` as the reference records.

        A step that is traced already keeps the records it was traced with.
        """
        if isinstance(reference, ArrayReference | DatasetReference):
            source = reference
        else:
            source = open_reference(reference, self.reference_batch_size)
        source.check_classes(self.classes)
        self._reference = source

    def refill(self, steps):
        """Fetches streamed reference records for so many training steps."""
        self.reference.refill(steps * self.attack_steps)

    def set_penalty(self, penalty):
        """Takes a new penalty from the next step on, without tracing anew."""
        check_penalty(penalty)
        self.penalty.assign(penalty)

    @property
    def trackers(self):
        return (self.inference_accuracy, self.inference_loss, self.membership_gain)

    @property
    def metrics(self):
        """The trackers alone: the `loss` of an inference network that came compiled is not the target's."""
        return list(self.trackers)

    def penalize(self, target, loss, y, y_pred, sample_weight=None):
        """Trains the inference network on this batch, then returns what the target pays for it.

        Args:
            target: the model under training; it scores the reference records.
            loss: the loss it was compiled with, which tells logits from probabilities.
            y: labels of the members.
            y_pred: the target's answers on the members, in training mode, still attached to their gradient.
            sample_weight: weights of the members; records of weight zero (padding) take no part.

        Returns:
            The scalar `penalty * gain`, divided by the number of replicas as Keras does with its own losses.
        """
        from_logits = answers_are_logits(target, loss) if self.from_logits is None else self.from_logits
        members = self._read(y_pred, y, from_logits)
        present = _presence(sample_weight, members[0])
        known = [tf.stop_gradient(part) for part in members]
        for _ in range(self.attack_steps):
            reference = self._read_reference(target, from_logits)
            self._learn(known, present, reference)
        gain = self._gain(members, present, reference)
        self.membership_gain.update_state(gain)
        return self.charging * self.penalty * gain / _replicas()

    def _read(self, answers, labels, from_logits):
        return [
            log_probabilities(answers, from_logits=from_logits),
            one_hot_labels(labels, self.classes),
        ]

    def _read_reference(self, target, from_logits):
        """Scores a reference batch as the members were scored, leaving no trace in the target.

        Training mode, because otherwise the network would learn to spot dropout and batch statistics. The
        stateless scope throws away what the pass would change: moving averages, seeds and added losses, which
        belong to members alone.
        """
        x, y = self.reference.batch(self.step, self.seed)
        self.step.assign_add(1)
        with keras.StatelessScope():
            answers = self(x, target=target)
        return self._read(answers, y, from_logits)

    def call(self, x, target):
        """The target's answers in training mode.

        A layer that is called from no other forgets its added losses first, which here are still the members':
        hence the target is called from this one.
        """
        return call_target(target, x, training=True)

    def _learn(self, members, present, reference):
        """One step of the inner maximization: descends the cross-entropy of member against reference."""
        reference = [tf.stop_gradient(part) for part in reference]
        both = [tf.concat(pair, axis=0) for pair in zip(members, reference, strict=True)]
        size = tf.shape(present)[0]
        with tf.GradientTape() as tape:
            logits = self._suspect(both, training=True)
            member_logits, reference_logits = logits[:size], logits[size:]
            loss = -0.5 * (
                _mean(tf.math.log_sigmoid(member_logits), present)
                + tf.reduce_mean(tf.math.log_sigmoid(-reference_logits))
            )
            total = tf.add_n([loss, *self.inference_network.losses]) / _replicas()
            total = self.attack_optimizer.scale_loss(total)
        weights = self.inference_network.trainable_variables
        if weights:  # a network may come trained and frozen
            self.attack_optimizer.apply(tape.gradient(total, weights), weights)
        called = _mean(tf.cast(member_logits > 0, tf.float32), present)
        cleared = tf.reduce_mean(tf.cast(reference_logits <= 0, tf.float32))
        self.inference_loss.update_state(loss)
        self.inference_accuracy.update_state(0.5 * (called + cleared))
        self.evidence.update(called + cleared - 1.0, members, present, reference)

    def _gain(self, members, present, reference):
        """What the inference network gains: E log h on members, and E log(1 - h) on reference records if asked."""
        gain = _mean(tf.math.log_sigmoid(self._suspect(members, training=False)), present)
        if self.reference_gain:
            cleared = tf.math.log_sigmoid(-self._suspect(reference, training=False))
            gain = 0.5 * (gain + tf.reduce_mean(cleared))
        return gain

    def _suspect(self, answers, *, training):
        """The inference network's logits, float32 (n,)."""
        return tf.cast(self.inference_network(answers, training=training)[:, 0], tf.float32)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "penalty": float(self.penalty.numpy()),
            "inference_network": keras.saving.serialize_keras_object(self.inference_network),
            "attack_steps": self.attack_steps,
            "attack_optimizer": keras.saving.serialize_keras_object(self.attack_optimizer),
            "warmup_epochs": self.warmup_epochs,
            "reference_batch_size": self.reference_batch_size,
            "reference_gain": self.reference_gain,
            "from_logits": self.from_logits,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        for part in ("inference_network", "attack_optimizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


def own_optimizer(optimizer, network):
    """A copy of an optimizer, built for a network's weights: two models never share slots."""
    optimizer = keras.optimizers.get(optimizer)
    optimizer = optimizer.from_config(optimizer.get_config())
    halved = any(layer.compute_dtype == "float16" for layer in network.layers if layer.weights)
    if halved and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def finite_weights(sample_weight):
    """Sample weights with 0 for NaN and infinity: such a record takes no part, instead of destroying the model."""
    if sample_weight is None:
        return None
    return keras.tree.map_structure(
        lambda w: tf.where(tf.math.is_finite(w), w, tf.zeros_like(w)), sample_weight
    )


def check_options(*, penalty, attack_steps, warmup_epochs, reference_batch_size, seed, **others):
    """Raises a `ValueError` that quotes the first number out of its range; the others are checked where used."""
    check_penalty(penalty)
    for name, value, least in (
        ("attack_steps", attack_steps, 1),
        ("warmup_epochs", warmup_epochs, 0),
        ("reference_batch_size", reference_batch_size, 1),
        ("seed", seed, 0),
    ):
        check_count(name, value, least)


def check_penalty(penalty):
    if isinstance(penalty, bool) or not isinstance(penalty, Real) or not 0 <= penalty < float("inf"):
        raise ValueError(f"penalty must be a finite number, at least 0. Received: penalty={penalty!r}")


def _presence(sample_weight, like):
    if sample_weight is None:
        return tf.ones_like(like[:, 0])
    (weights,) = keras.tree.flatten(finite_weights(sample_weight))
    return tf.cast(tf.reshape(weights, (-1,)) != 0, tf.float32)


def _mean(values, present):
    return tf.math.divide_no_nan(tf.reduce_sum(values * present), tf.reduce_sum(present))


def _replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync
