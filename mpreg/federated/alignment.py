"""The gradient-alignment attack: a participant's update points along the gradients of its own records."""

import copy

import numpy as np
import tensorflow as tf

from mpreg import signals
from mpreg.attacks.base import PreparedAttack
from mpreg.classifiers.tensors import log_probabilities
from mpreg.data import map_arrays
from mpreg.gradients.each import EachGradient

MEASURES = ("cosine", "difference")
AT_ONCE = 64  # records whose gradients are written out


class AlignmentAttack(PreparedAttack):
    """Scores records by how far their gradient points along one participant's update rather than the others'.

    Gradients of different records are nearly orthogonal in many dimensions, so that an update, a sum of gradients,
    has a part along that of a record only if it is among them. For the gradient g of a record in the weights that the
    participant was given, and its update D (weights given minus weights returned), the score of a round is the cosine
    of both, or |D|^2 - |D - g|^2, minus the mean over the other participants, and divided by their deviation where
    there are three or more; a record's score is the mean over rounds. Few rounds, late in training, do.

    Source: Li, Li and Ribeiro, "Effective Passive Membership Inference Attacks in Federated Learning against
    Overparameterized Models", ICLR 2023, section 4.

    Args:
        watch: a `Watch` that has kept updates.
        participant: number of the one whose records are sought.
        measure: `"cosine"` or `"difference"`.

    Raises:
        ValueError: no updates were kept, no such participant, or an unknown measure.

    Example:
    ```python
    watch = Watch(rounds=range(20, 31), updates=True)
    federation.run(30, server=watch)
    mpreg.evaluate(federation.model, split, attacks=[AlignmentAttack(watch, participant=0)])
    ```
    """

    needs = frozenset({"records", "numbers", "weights"})

    def __init__(self, watch, *, participant, measure="cosine"):
        if measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}. Received: {measure!r}")
        if not watch.rounds_kept:
            raise ValueError(
                "no updates were kept: use Watch(updates=True), and run the federation with it first"
            )
        count = len(watch.rounds_kept[0].returned)
        if participant not in range(count):
            raise ValueError(f"participant must be a number from 0 to {count - 1}. Received: {participant!r}")
        self.rounds, self.participant, self.measure = watch.rounds_kept, participant, measure
        self.name = f"gradient alignment, {measure}"
        self.key = f"gradient_alignment_{measure}"
        self.threat_model = "is the server of a federation, and knows who was a member among other records"

    def __deepcopy__(self, memo):
        copied = copy.copy(self)
        memo[id(self)] = copied  # what was kept is large, and nobody changes it
        return copied

    def score_all(self, access):
        return self.by_round(access).mean(axis=0)

    def by_round(self, access):
        """Returns the scores of each round, float64 (rounds, records)."""
        model = access.model
        own = model.get_weights()
        try:
            products = _Products(model, access.records, from_logits=_from_logits(model, access.records))
            return np.stack([self._round(done, model, products, access) for done in self.rounds])
        finally:
            model.set_weights(own)

    def _round(self, done, model, products, access):
        updates = []
        for given, returned in zip(done.sent, done.returned, strict=True):
            difference = []
            for weights in (given, returned):
                model.set_weights(weights)
                difference.append(np.concatenate([v.numpy().reshape(-1) for v in model.trainable_variables]))
            updates.append(difference[0] - difference[1])
        model.set_weights(done.sent[self.participant])
        found, squares = products(access.records, access.labels, np.stack(updates, axis=1))
        lengths = np.linalg.norm(updates, axis=1)
        if self.measure == "cosine":
            scores = found / np.maximum(np.sqrt(squares)[:, None] * lengths, 1e-30)
        else:
            scores = 2 * found - squares[:, None]
        rest = np.delete(scores, self.participant, axis=1)
        if rest.shape[1] == 0:
            return scores[:, self.participant]
        centred = scores[:, self.participant] - rest.mean(axis=1)
        return centred / np.maximum(rest.std(axis=1), 1e-12) if rest.shape[1] > 1 else centred


class _Products:
    """Inner products of the gradient of each record with some directions, and its square."""

    def __init__(self, model, x, *, from_logits):
        spec = map_arrays(lambda a: tf.TensorSpec((None, *a.shape[1:]), tf.convert_to_tensor(a[:1]).dtype), x)
        self.each = EachGradient(model, spec, model.trainable_variables)

        def loss(labels, answers):
            logs = log_probabilities(answers, from_logits=from_logits)
            return -tf.gather(logs, tf.cast(labels, tf.int32), axis=1, batch_dims=1)

        def run(x, labels, directions):
            _, gradients, _ = self.each(x, labels, loss)
            flat = tf.concat([tf.reshape(g, (tf.shape(labels)[0], -1)) for g in gradients], axis=1)
            flat = tf.cast(flat, tf.float32)
            return tf.matmul(flat, directions), tf.reduce_sum(tf.square(flat), axis=1)

        self.run = tf.function(run, reduce_retracing=True)

    def __call__(self, x, labels, directions):
        directions = tf.constant(directions, tf.float32)
        parts = []
        for start in range(0, len(labels), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            parts.append(self.run(map_arrays(lambda a, at=some: a[at], x), labels[some], directions))
        found = [np.concatenate([part[place].numpy() for part in parts]) for place in (0, 1)]
        return [values.astype(np.float64) for values in found]


def _from_logits(model, x):
    from mpreg.classifiers.kind import logits_by_last_layer

    told = logits_by_last_layer(model)
    return signals.are_logits([signals.predict(model, x)]) if told is None else told
