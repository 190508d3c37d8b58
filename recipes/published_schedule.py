"""The training schedule of Nasr, Shokri and Houmansadr 2018, rebuilt from the paper and checked with the authors' code.

To rebuild the paper's table and to compare with; `AdversarialRegularization` trains with the same objective at a small
part of the cost. The first epoch trains the classifier once through the members on its own loss, then the inference
network five times. Every later epoch is made of rounds: a window of inference-network steps, some 22 for each target
step, then two target steps that pay for what the network gains.

Departures from the authors' Purchase100 code:

- The inference network descends a cross-entropy, as the paper's equation 7 has it. The code descends a squared error.
  What the target pays is the code's, which differs between data sets and from the paper's E log h: see `CHARGES`.
- The inference network reads log-probabilities, which any Keras classifier has. The code's reads logits.
- A pass is every whole batch of the members. The code leaves the last one out: its 19,732 members make 76 rounds,
  here they make 77.
- A window that runs past the last batch of members or of reference records goes on at the first. So the counts of the
  Purchase100 code hold for data of any size; on Texas100 the code reuses them and plays a third of its windows empty.
- A window cycle goes on where the last one ended. The code starts each at the same batch, which is no different for
  its members, but leaves all reference records behind that batch unseen until the next epoch's shuffle.

Source: "Machine Learning with Membership Privacy using Adversarial Regularization", CCS 2018, sections 3.2 and 4,
algorithm 1.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from mpreg._validate import check_count
from mpreg.classifiers.calling import call_target
from mpreg.classifiers.kind import trains_on_logits
from mpreg.classifiers.tensors import count_classes, log_probabilities, one_hot_labels
from mpreg.data import check_pair, label_indices
from mpreg.networks import build_inference_network
from mpreg.training.core.reference import to_tensor
from mpreg.training.game.options import check_penalty

MEMBERS, REFERENCE = 0, 1

# What the target pays for members, of the inference network's logits. At h = 1/2, where nothing is told, the slopes by
# the logit are 1/2, 1/4 and 1/4: the same penalty weighs twice as much in the first form.
CHARGES = {
    "log": lambda logits: _mean_log_sigmoid(logits),  # E log h, the paper's equation 8
    "linear": lambda logits: (
        tf.reduce_mean(tf.sigmoid(logits)) - 0.5
    ),  # E h - 1/2, the code for Purchase and Texas
    "square": lambda logits: tf.reduce_mean(
        tf.sigmoid(logits) ** 2
    ),  # E h^2, that for CIFAR, which calls 1 - h its h
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedSchedule:
    """How many steps each player takes, and on which batches; the defaults are those of the Purchase100 code.

    Window i of an epoch starts at batch `inference_batches * i` modulo `cycle` and is cut off at batch `cycle_end`,
    so some are partial: with the defaults they hold 44 batches on average, and 5 at the least.

    Attributes:
        inference_batches: most inference-network steps a round.
        target_batches: target steps a round.
        warmup_epochs: epochs in which the target descends its own loss alone.
        inference_warmup_epochs: passes of the inference network in the last of these.
        cycle: batches after which the start of a window wraps around.
        cycle_end: batch at which a window is cut off, at least `cycle`.

    Raises:
        ValueError: a number out of its range.

    Example:
    ```python
    steps = sum(len(window) for window, _ in PublishedSchedule().rounds(batches=152))  # 3,376
    ```
    """

    inference_batches: int = 52
    target_batches: int = 2
    warmup_epochs: int = 1
    inference_warmup_epochs: int = 5
    cycle: int = 150
    cycle_end: int = 153

    def __post_init__(self):
        for field in dataclasses.fields(self):
            least = 0 if "warmup" in field.name else 1
            check_count(field.name, getattr(self, field.name), least)
        if self.cycle_end < self.cycle:
            raise ValueError(
                f"cycle_end must be at least cycle. Received: cycle_end={self.cycle_end}, cycle={self.cycle}"
            )

    def rounds(self, batches):
        """Yields the rounds of one epoch as pairs of ranges: batches for the inference network, for the target.

        The target's ranges are one pass over `batches`. The network's count on beyond the last batch.
        """
        for index in range(math.ceil(batches / self.target_batches)):
            first = index * self.target_batches
            yield self.window(index), range(first, min(first + self.target_batches, batches))

    def window(self, index):
        """The batches of the inference network in one round."""
        cycles, offset = divmod(index * self.inference_batches, self.cycle)
        length = min(self.inference_batches, self.cycle_end - offset)
        first = cycles * self.cycle_end + offset
        return range(first, first + length)


def train_published(
    target,
    split_members,
    split_reference,
    *,
    schedule=None,
    penalty,
    epochs,
    on_epoch_end=None,
    **options,
):
    """Trains a target in place by the published schedule.

    Args:
        target: a Keras classifier, probabilities or logits; it need not be compiled.
        split_members: `(x, y)` arrays to train on.
        split_reference: `(x, y)` arrays of non-members.
        schedule: a `PublishedSchedule`; None is that of the paper.
        penalty: weight of what the target pays, at least 0.
        epochs: passes over the members by the target, those without penalty included.
        on_epoch_end: function `(epoch, logs)`, as of a Keras callback.
        options: of the `Players`.

    Returns:
        Dict of lists with one value an epoch: `loss` (the target's own, without penalty), `accuracy`,
        `inference_loss`, `inference_accuracy` and `membership_gain`.

    Raises:
        ValueError: an option out of range, records that the target cannot score, or a last activation that
            contradicts `from_logits`.

    Example:
    ```python
    history = train_published(target, split.members, split.reference, penalty=3.0, epochs=20)
    ```
    """
    check_penalty(penalty)
    check_count("epochs", epochs, 1)
    schedule = schedule or PublishedSchedule()
    players = Players(target, split_members, split_reference, **options)
    history = {}
    for epoch in range(epochs):
        players.shuffle(epoch)
        if epoch < schedule.warmup_epochs:
            players.play(range(0), range(players.batches), penalty=0.0)
            passes = schedule.inference_warmup_epochs if epoch + 1 == schedule.warmup_epochs else 0
            players.play(range(passes * players.batches), range(0), penalty=0.0)
        else:
            for window, batches in schedule.rounds(players.batches):
                players.play(window, batches, penalty=penalty)
        logs = players.collect()
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if on_epoch_end is not None:
            on_epoch_end(epoch, logs)
    return history


class Players:
    """Target and inference network, each with its optimizer and a compiled step, and the records they play on.

    Args:
        target, members, reference: as for `train_published`.
        batch_size: members a step of either player, and reference records a step of the inference network.
        target_optimizer: of the target; the paper's is Adam at 1e-3 for Purchase100.
        inference_optimizer: of the inference network; Adam at 1e-4 for Purchase100.
        inference_network: as for `AdversarialRegularization`.
        charge: what the target pays, a name in `CHARGES`.
        from_logits: whether the target answers with logits.
        seed: seed of the inference network's weights and of the order of the records.

    Attributes:
        batches: whole batches of the members; what is left over differs from epoch to epoch.
    """

    def __init__(
        self,
        target,
        members,
        reference,
        *,
        batch_size=128,
        target_optimizer="adam",
        inference_optimizer="adam",
        inference_network="nasr2018",
        charge="linear",
        from_logits=False,
        seed=0,
    ):
        check_count("batch_size", batch_size, 1)
        if charge not in CHARGES:
            raise ValueError(f"charge must be one of {', '.join(CHARGES)}. Received: {charge!r}")
        self._charge = CHARGES[charge]
        pairs = [check_pair(members, "members"), check_pair(reference, "reference")]
        self._sides = [_tensors(pair) for pair in pairs]
        self._batch_size = batch_size
        self._seed = seed
        self._from_logits = from_logits
        self._target = target
        self._classes = self._count_classes()
        for _, y in pairs:
            label_indices(y, classes=self._classes)
        self._network = build_inference_network(inference_network, self._classes, seed=seed)
        self._target_optimizer = _built(target_optimizer, target)
        self._inference_optimizer = _built(inference_optimizer, self._network)
        names = ("loss", "accuracy", "inference_loss", "inference_accuracy", "membership_gain")
        self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self._descend = tf.function(self._target_step)
        self._infer = tf.function(self._inference_step)
        self.shuffle(0)
        self.batches = len(self._orders[MEMBERS])

    def shuffle(self, epoch):
        """Puts the records of both sides in the order of an epoch."""
        self._orders = [
            epoch_batches(len(y), self._batch_size, seed=(self._seed, epoch, side))
            for side, (_, y) in enumerate(self._sides)
        ]

    def play(self, window, batches, *, penalty):
        """One round: the inference network learns on a window of batches, then the target descends on its own."""
        for index in window:
            self._infer(self._rows(MEMBERS, index), self._rows(REFERENCE, index))
        for index in batches:
            self._descend(self._rows(MEMBERS, index), tf.constant(penalty, tf.float32))

    def collect(self):
        """The means since the last call, as floats."""
        logs = {name: float(mean.result()) for name, mean in self._means.items()}
        for mean in self._means.values():
            mean.reset_state()
        return logs

    def _rows(self, side, index):
        order = self._orders[side]
        return tf.constant(order[index % len(order)])

    def _inference_step(self, members, reference):
        """The network learns to tell a batch of members from one of reference records; the target stands still."""
        known = self._answers(MEMBERS, members, training=False)
        other = self._answers(REFERENCE, reference, training=False)
        with tf.GradientTape() as tape:
            logits = self._network(_joined(known, other), training=True)[:, 0]
            suspected, cleared = logits[: len(members)], logits[len(members) :]
            loss = -0.5 * (_mean_log_sigmoid(suspected) + _mean_log_sigmoid(-cleared))
            total = tf.add_n([loss, *self._network.losses])
        weights = self._network.trainable_variables
        self._inference_optimizer.apply(tape.gradient(total, weights), weights)
        self._means["inference_loss"].update_state(loss)
        self._means["inference_accuracy"].update_state(0.5 * (_share(suspected > 0) + _share(cleared <= 0)))

    def _target_step(self, rows, penalty):
        """The target descends its cross-entropy plus what the network, which stands still, gains on the batch."""
        with tf.GradientTape() as tape:
            scores, labels = answers = self._answers(MEMBERS, rows, training=True)
            loss = tf.add_n([-tf.reduce_mean(tf.reduce_sum(labels * scores, axis=-1)), *self._target.losses])
            suspicion = self._network(answers, training=False)[:, 0]
            total = loss + penalty * self._charge(suspicion)
        weights = self._target.trainable_variables
        self._target_optimizer.apply(tape.gradient(total, weights), weights)
        self._means["loss"].update_state(loss)
        self._means["accuracy"].update_state(_share(tf.argmax(scores, axis=-1) == tf.argmax(labels, axis=-1)))
        self._means["membership_gain"].update_state(_mean_log_sigmoid(suspicion))

    def _answers(self, side, rows, *, training):
        x, y = self._sides[side]
        x = keras.tree.map_structure(lambda part: tf.gather(part, rows), x)
        scores = log_probabilities(
            call_target(self._target, x, training=training), from_logits=self._from_logits
        )
        return [scores, one_hot_labels(tf.gather(y, rows), self._classes)]

    def _count_classes(self):
        """Calls the target once, which also builds it, and checks that its answers are what the caller says."""
        x, _ = self._sides[MEMBERS]
        answers = call_target(
            self._target, keras.tree.map_structure(lambda part: part[:1], x), training=False
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=self._from_logits)
        trains_on_logits(self._target, loss)
        return count_classes(answers)


def epoch_batches(records, batch_size, *, seed):
    """Row numbers (batches, size) of an epoch's whole batches in random order; one small batch where none is whole."""
    order = np.random.default_rng(seed).permutation(records).astype(np.int32)
    size = min(batch_size, records)
    return order[: records // size * size].reshape(-1, size)


def _tensors(pair):
    x, y = pair
    return keras.tree.map_structure(to_tensor, x), tf.convert_to_tensor(y)


def _built(optimizer, model):
    optimizer = keras.optimizers.get(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def _joined(known, other):
    return [tf.concat(pair, axis=0) for pair in zip(known, other, strict=True)]


def _mean_log_sigmoid(logits):
    return tf.reduce_mean(tf.math.log_sigmoid(logits))


def _share(hits):
    return tf.reduce_mean(tf.cast(hits, tf.float32))
