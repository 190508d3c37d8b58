"""Active attackers: a server that raises the loss of chosen records, and one that isolates a participant."""

import numpy as np
import tensorflow as tf

from mpreg import signals
from mpreg._validate import check_count, check_number
from mpreg.attacks.base import PreparedAttack
from mpreg.classifiers.calling import call_target
from mpreg.classifiers.tensors import log_probabilities
from mpreg.data import check_pair, label_indices
from mpreg.data.duplicates import digest_records
from mpreg.federated.alignment import _from_logits
from mpreg.federated.federation import Server

MIN_LOSS = 1e-7  # what float32 tells from none


class GradientAscent(Server):
    """Sends a participant weights in which the loss of some records was raised.

    Ahead of the participant's training it climbs the gradient of the records' mean loss. A participant that holds one
    of them takes the loss down again, at once and by much: the record's rebound. The server counts what comes back as
    it is, so that the others notice little.

    Source: Nasr, Shokri and Houmansadr, "Comprehensive Privacy Analysis of Deep Learning", S&P 2019, section III-C.

    Args:
        records: a pair `(x, y)` of the records that are sought, no more than a participant holds, about.
        participant: number of the one that is given the raised weights.
        rate: how far to climb: the step along the mean gradient, `rate` times it.
        rounds: numbers of the rounds to attack, from 1; None attacks all.

    Attributes:
        numbers: of the rounds attacked so far.
        honest, raised, lowered: for each of them the records' losses, float64 (records,): in the server's weights, in
            those given, and in those that came back.
    """

    def __init__(self, records, *, participant, rate=1.0, rounds=None):
        x, y = check_pair(records, "records")
        self.x, self.labels = x, label_indices(y)
        self.participant = check_count("participant", participant, 0)
        self.rate = check_number("rate", rate, above=0)
        self.rounds = None if rounds is None else {check_count("rounds", int(n), 1) for n in rounds}
        self.numbers, self.honest, self.raised, self.lowered = [], [], [], []
        self._climb = None

    def give(self, number, participant, weights, model):
        if participant != self.participant or (self.rounds is not None and number not in self.rounds):
            return weights
        self._climb = self._climb or _climb_of(model, _from_logits(model, self.x))
        self.honest.append(self._losses(model))
        self._climb(self.x, self.labels, self.rate)
        self.raised.append(self._losses(model))
        self.numbers.append(number)
        return model.get_weights()

    def receive(self, number, participant, weights, model):
        if participant == self.participant and self.numbers and self.numbers[-1] == number:
            self.lowered.append(self._losses(model))
        return weights

    @property
    def rebounds(self):
        """Returns the log-ratio by which each record's loss fell in the participant's training, (rounds, records)."""
        raised, lowered = (np.log(np.maximum(losses, MIN_LOSS)) for losses in (self.raised, self.lowered))
        return raised - lowered

    def curves(self, members):
        """Returns mean losses of members and of others by round, as `mpreg.reports.rounds.plot_rounds` draws them.

        Args:
            members: bool (records,).
        """
        sides = {"members": np.asarray(members, bool), "non-members": ~np.asarray(members, bool)}
        found = {"raised": self.raised, "after training": self.lowered}
        return self.numbers, {
            f"{side}, {when}": np.stack(losses)[:, rows].mean(axis=1)
            for side, rows in sides.items()
            for when, losses in found.items()
        }

    def _losses(self, model):
        return -signals.loss(signals.read_answers(signals.predict(model, self.x), self.labels))


def _climb_of(model, from_logits):
    """A function that moves the model's weights up the gradient of the mean loss of records."""

    def climb(x, labels, rate):
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            logs = log_probabilities(call_target(model, x, training=False), from_logits=from_logits)
            loss = -tf.reduce_mean(tf.gather(logs, tf.cast(labels, tf.int32), axis=1, batch_dims=1))
        for variable, part in zip(model.trainable_variables, tape.gradient(loss, variables), strict=True):
            if part is not None:
                variable.assign_add(tf.cast(rate, variable.dtype) * tf.convert_to_tensor(part))

    return tf.function(climb, reduce_retracing=True)


class Isolation(Server):
    """Sends one participant its own weights of the round before, and nothing of the others.

    Its model then remembers its own records alone, and the more of them. What it sends back counts as that of all.

    Source: Nasr, Shokri and Houmansadr, S&P 2019, section III-C.

    Args:
        participant: number of the one that is isolated.
    """

    def __init__(self, *, participant):
        self.participant, self._own = check_count("participant", participant, 0), None

    def give(self, number, participant, weights, model):
        return weights if participant != self.participant or self._own is None else self._own

    def after(self, done, model):
        self._own = done.returned[self.participant]


class ReboundAttack(PreparedAttack):
    """Calls a record a member if its raised loss fell back strongly in the participant's training.

    The score is the mean over rounds of the logarithm of the factor by which it fell: losses of others are higher ahead
    of it and after, so that their differences tell little.

    Args:
        ascent: a `GradientAscent` that has run, on all the records that are judged.

    Raises:
        ValueError: it has not run; when run, judged records on which it did not climb.

    Example:
    ```python
    ascent = GradientAscent((x, y), participant=0, rounds=range(20, 31))
    federation.run(30, server=ascent)
    mpreg.evaluate(federation.model, split, attacks=[ReboundAttack(ascent)])
    ```
    """

    name = "gradient ascent, rebound"
    key = "gradient_ascent"
    threat_model = "is the server of a federation and changes what a participant is given"
    needs = frozenset({"records"})

    def __init__(self, ascent):
        if not ascent.lowered:
            raise ValueError(
                "the ascent has not run: give it to Federation.run as server, with rounds that come"
            )
        self.scores = ascent.rebounds.mean(axis=0)
        self._digests = digest_records(ascent.x)[:, 0]

    def score_all(self, access):
        order = np.argsort(self._digests)
        wanted = digest_records(access.records)[:, 0]
        place = np.minimum(np.searchsorted(self._digests, wanted, sorter=order), len(order) - 1)
        missing = int((self._digests[order[place]] != wanted).sum())
        if missing:
            raise ValueError(
                f"{missing} of the {len(wanted):,} judged records are none that the server climbed on"
            )
        return self.scores[order[place]]
