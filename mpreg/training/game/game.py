"""The min-max game of adversarial regularization, as a part that any Keras training step can hold.

The inner player, an inference network, learns to tell members from reference records by the target's answers.
What it gains is what the outer player, the target, pays for: on members and on reference records alike, or as in the
paper's experiments on members alone, which drives the target to answer all badly.

Source: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
Regularization", CCS 2018, sections 3.1 and 3.2, algorithm 1.
"""

import math

import keras
import tensorflow as tf

from mpreg.classifiers.calling import predict_without_side_effects
from mpreg.classifiers.tensors import log_probabilities, one_hot_labels
from mpreg.networks.inference import build_inference_network
from mpreg.training.core.average import WeightAverage
from mpreg.training.core.batch import add_penalty, mean_present
from mpreg.training.core.part import DefencePart
from mpreg.training.core.reference import ArrayReference, DatasetReference, open_reference
from mpreg.training.core.replicas import replicas
from mpreg.training.core.seed import Seed
from mpreg.training.game import collapse, watchdog
from mpreg.training.game.balance import Balance
from mpreg.training.game.control import GameControl
from mpreg.training.game.options import GameOptions, check_penalty, check_strength


@keras.saving.register_keras_serializable("mpreg")
class MembershipGame(DefencePart):
    """Plays one round of the min-max game in each training step, with an inference network of its own.

    Args:
        options: `GameOptions`.
        classes: number of classes of the target.
    """

    consumes_reference = True
    steers_target = True
    private_reason = "trains its inference network on the members' answers as they are"

    def __init__(self, options, *, classes, **kwargs):
        super().__init__(**{"name": "membership_game", **kwargs})
        self.options, self.classes = options, classes
        self.inference_network = build_inference_network(
            options.inference_network, classes, seed=options.seed
        )
        self.attack_optimizer = own_optimizer(options.attack_optimizer, self.inference_network)
        self.strength = self.state("strength", options.strength if options.relative else options.penalty)
        self.warmup_left = self.state("warmup_left", options.warmup_epochs)
        # 0 in warm-up: the network learns, the target pays nothing.
        self.charging = self.state("charging", 1.0)
        self.step = self.state("step", 0, dtype="int64")
        self.draws = Seed(options.seed)
        self.evidence = watchdog.BatchEvidence(self.state)
        # Files of before end here, and are read in this order.
        self.balance = Balance(self.state)
        self.tally = collapse.MemberTally(self.state, classes)
        self.average = None
        self.first_vectors = watchdog.first_vectors(self.inference_network)
        self.collapse_reported = False
        self.inference_accuracy = keras.metrics.Mean(name="inference_accuracy")
        self.inference_loss = keras.metrics.Mean(name="inference_loss")
        self.membership_gain = keras.metrics.Mean(name="membership_gain")

    def attach(self, target):
        if self.average is None and self.options.averaging and target.built:
            self.average = WeightAverage(target, self.options.averaging, self.state)

    def set_reference(self, reference):
        """Sets the reference records: an open source, arrays `(x, y)` or a `tf.data.Dataset` of `(x, y)`.

        A step that is traced already keeps the records it was traced with.
        """
        if isinstance(reference, ArrayReference | DatasetReference):
            source = reference
        else:
            source = open_reference(reference, self.options.reference_batch_size)
        source.check_classes(self.classes)
        self._reference = source

    def refill(self, steps):
        """Fetches streamed reference records for a number of training steps."""
        self.reference.refill(steps * self.options.attack_steps)

    @property
    def strongest(self):
        """The largest strength that `PrivacyTarget` may set: a relative 5, above which classifiers collapse."""
        return 5.0 if self.options.relative else math.inf

    @property
    def penalty(self):
        """Current weight of the gain: the fixed penalty, or the strength times the ratio."""
        return self.strength * self.balance.ratio if self.options.relative else self.strength.value

    def set_penalty(self, penalty):
        """Sets a new penalty from the next step on, without retracing.

        Raises:
            ValueError: it is no number of at least 0, or the game has a strength instead.
        """
        penalty = check_penalty(penalty)
        if self.options.relative:
            raise ValueError(
                f"the game weighs its gain by strength: set that instead. Received: penalty={penalty!r}"
            )
        self.strength.assign(penalty)

    def set_strength(self, strength):
        """Sets a new strength from the next step on, without retracing.

        Raises:
            ValueError: it is no number of at least 0, or the game has a fixed penalty instead.
        """
        strength = check_strength(strength)
        if not self.options.relative:
            raise ValueError(
                f"the game has a fixed penalty: set that instead. Received: strength={strength!r}"
            )
        self.strength.assign(strength)

    @property
    def optimizers(self):
        return (self.attack_optimizer,)

    @property
    def fleet_reason(self):
        return "streams its reference records" if isinstance(self._reference, DatasetReference) else ""

    @property
    def trackers(self):
        return (self.inference_accuracy, self.inference_loss, self.membership_gain)

    def control(self, members):
        return GameControl(self)

    def penalize(self, batch, loss):
        """Trains the inference network on this batch, then adds `penalty * gain` to the loss.

        The members are judged as they are, by their true labels, whatever else the target is trained on.
        """
        members = [batch.member_log_probabilities, batch.one_hot]
        known = [tf.stop_gradient(part) for part in members]
        for _ in range(self.options.attack_steps):
            reference = self._read_reference(batch)
            seen = [tf.stop_gradient(part) for part in reference]
            self._learn(known, batch.present, seen)
        self.tally.update(*known, batch.present)
        gain, slopes = self._gain(known, batch.present, seen)
        if self.options.relative:
            self.balance.update(batch, slopes[0])
        self.membership_gain.update_state(gain)
        # The gain with its gradient, which was worked out above, once for both.
        for slope, answers, stopped in zip(
            slopes, (members[0], reference[0]), (known[0], seen[0]), strict=True
        ):
            gain += tf.reduce_sum(slope * (answers - stopped))
        return add_penalty(loss, self.charging * self.penalty * gain)

    def _read_reference(self, batch):
        """Scores a reference batch as the members were scored, leaving no trace in the target.

        Training mode, because otherwise the network would learn to spot dropout and batch statistics; no trace,
        because moving averages, seeds and added losses belong to members alone.
        """
        x, y = self.reference.batch(self.step.value, self.draws.value)
        self.step.assign_add(1)
        answers = predict_without_side_effects(batch.target, x, training=True)
        return [
            log_probabilities(answers, from_logits=batch.from_logits),
            one_hot_labels(y, self.classes),
        ]

    def _learn(self, members, present, reference):
        """One step of the inner maximization: descends the cross-entropy of member against reference."""
        size = tf.shape(present)[0]
        weights = self.inference_network.trainable_variables
        values = [weight.value for weight in weights]  # in a fleet these are no variables
        with tf.GradientTape() as tape:
            tape.watch(values)
            logits = self._membership_logits(_joined(members, reference), training=True)
            member_logits, reference_logits = logits[:size], logits[size:]
            loss = -0.5 * (
                mean_present(tf.math.log_sigmoid(member_logits), present)
                + tf.reduce_mean(tf.math.log_sigmoid(-reference_logits))
            )
            penalties = [tf.cast(each, loss.dtype) for each in self.inference_network.losses]
            total = tf.add_n([loss, *penalties]) / replicas()
            total = self.attack_optimizer.scale_loss(total)
        if weights:  # a network may come trained and frozen
            self.attack_optimizer.apply(tape.gradient(total, values), weights)
        called = mean_present(tf.cast(member_logits > 0, tf.float32), present)
        cleared = tf.reduce_mean(tf.cast(reference_logits <= 0, tf.float32))
        self.inference_loss.update_state(loss)
        self.inference_accuracy.update_state(0.5 * (called + cleared))
        self.evidence.update(called + cleared - 1.0, members, present, reference)

    def _gain(self, members, present, reference):
        """What the inference network gains, and its gradients by the log-probabilities of members and of reference.

        The gain is E log h on members, or half of it and half of E log(1 - h) on reference records.
        """
        answers = members[0], reference[0]
        size = tf.shape(present)[0]
        scale = tf.cast(size, tf.float32)  # or the slopes of single records vanish in float16
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(answers)
            judged = _joined(members, reference) if self.options.reference_gain else members
            logits = self._membership_logits(judged, training=False)
            gain = mean_present(tf.math.log_sigmoid(logits[:size]), present)
            if self.options.reference_gain:
                gain = 0.5 * (gain + tf.reduce_mean(tf.math.log_sigmoid(-logits[size:])))
            scaled = scale * gain
        slopes = tape.gradient(scaled, answers, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return gain, [slope / scale for slope in slopes]

    def _membership_logits(self, answers, *, training):
        """The inference network's logits, float32 (n,)."""
        return tf.cast(self.inference_network(answers, training=training)[:, 0], tf.float32)

    def get_config(self):
        return {
            **super().get_config(),
            **vars(self.options),
            "classes": self.classes,
            "strength" if self.options.relative else "penalty": float(self.strength.numpy()),
            "inference_network": keras.saving.serialize_keras_object(self.inference_network),
            "attack_optimizer": keras.saving.serialize_keras_object(self.attack_optimizer),
        }

    @classmethod
    def from_config(cls, config):
        config.setdefault("averaging", 0.0)  # in files of before nothing was averaged
        for part in ("inference_network", "attack_optimizer"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(GameOptions.taken_from(config), **config)


def _joined(members, reference):
    """Answers and labels of both sides, one below the other."""
    return [tf.concat(pair, axis=0) for pair in zip(members, reference, strict=True)]


def own_optimizer(optimizer, network):
    """Returns a copy of an optimizer, built for a network's weights, so that models never share slots."""
    optimizer = keras.optimizers.get(optimizer)
    optimizer = optimizer.from_config(optimizer.get_config())
    halved = any(layer.compute_dtype == "float16" for layer in network.layers if layer.weights)
    if halved and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer
