"""The federation: participants train one model on their own records, and a server averages the updates."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mpreg._text import html_table, percent
from mpreg._validate import check_count
from mpreg.classifiers.calling import call_target
from mpreg.data import check_pair, take

ALGORITHMS = ("fedavg", "fedsgd")


@dataclass(frozen=True, eq=False)
class Round:
    """Holds the messages of a round; weights are lists of arrays.

    Attributes:
        number: from 1.
        start, end: the server's weights ahead of the round and after it.
        sent: weights that each participant was given.
        returned: weights that each participant sent back.
    """

    number: int
    start: list
    sent: list
    returned: list
    end: list


class Server:
    """Defines what a server may do in a round; an honest one changes nothing, attackers override methods."""

    def give(self, number, participant, weights, model):
        """Returns the weights to send to a participant; an honest server's are its own."""
        return weights

    def receive(self, number, participant, weights, model):
        """Returns the participant's weights to use in the average; an honest server uses those it was sent."""
        return weights

    def after(self, done, model):
        """Is called with each finished `Round`."""


class Federation:
    """Simulates federated learning of a Keras model, one participant after the other.

    Federated averaging: each participant trains the server's weights on its own records, with a fresh state of the
    optimizer, and the server averages what comes back, weighing participants by their records. Federated SGD: each
    participant sends the gradient of its mean loss on all its records, and the server takes one step of the optimizer
    along their average: a step of ordinary training on all records at once, up to rounding, where no layer looks at
    more than one record (as batch normalization does) or draws random numbers. Weights that no gradient changes, such
    as moving averages, are averaged too.

    Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
    algorithm 1, all participants in each round.

    Args:
        model: a compiled Keras model; its weights are the server's, and change as rounds go by.
        participants: pairs `(x, y)`, one for each participant.
        algorithm: `"fedavg"` or `"fedsgd"`.
        local_epochs, batch_size: of a participant's training in a round, by federated averaging.
        seed: of the order of each participant's records.

    Raises:
        ValueError: an unknown algorithm, no participants, records that are none, or a model that is not compiled.

    Example:
    ```python
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    federation = Federation(model, [(x[:500], y[:500]), (x[500:900], y[500:900])], local_epochs=2)
    watch = Watch(participant=0)
    federation.run(30, server=watch)
    mpreg.evaluate(model, split, attacks=[mpreg.attacks.WhiteBoxAttack(snapshots=watch.snapshots[10, 20, 30])])
    ```
    """

    def __init__(self, model, participants, *, algorithm="fedavg", local_epochs=1, batch_size=32, seed=0):
        if algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}. Received: {algorithm!r}")
        if not getattr(model, "compiled", False):
            raise ValueError("the model must be compiled: participants train it with its optimizer and loss")
        self.participants = [check_pair(pair, f"participant {n}") for n, pair in enumerate(participants)]
        if not self.participants:
            raise ValueError("a federation needs at least one participant. Received: none")
        self.model, self.algorithm = model, algorithm
        self.local_epochs = check_count("local_epochs", local_epochs, 1)
        self.batch_size = check_count("batch_size", batch_size, 1)
        self.seed, self.rounds = check_count("seed", seed, 0), 0
        model.optimizer.build(model.trainable_variables)
        self._fresh = [variable.numpy() for variable in model.optimizer.variables]
        self._gradient = tf.function(self._mean_gradient, reduce_retracing=True)
        sizes = np.array([len(y) for _, y in self.participants], np.float64)
        self.shares = sizes / sizes.sum()

    def _repr_html_(self):
        rows = [
            [number, f"{len(y):,}", percent(share)]
            for number, ((_, y), share) in enumerate(zip(self.participants, self.shares, strict=True))
        ]
        done = f"{self.algorithm}, {self.rounds} rounds done, {self.local_epochs} local epochs"
        return f"<p>{done}</p>{html_table(['participant', 'records', 'weight'], rows)}"

    def run(self, rounds, *, server=None):
        """Runs further rounds; returns the model with the server's weights.

        Args:
            rounds: their number.
            server: a `Server`, such as an attack, or a list of servers, each of which acts on what the one before did.
        """
        check_count("rounds", rounds, 1)
        servers = [] if server is None else server if isinstance(server, list | tuple) else [server]
        for _ in range(rounds):
            self.rounds += 1
            done = (self._average if self.algorithm == "fedavg" else self._step)(self.rounds, servers)
            self.finish(done, servers)
        return self.model

    def finish(self, done, servers):
        """Passes a finished `Round` to the servers; the model then has the server's weights."""
        for one in servers:
            self.model.set_weights(done.end)
            one.after(done, self.model)
        self.model.set_weights(done.end)

    def _given(self, number, servers, start):
        """Yields each participant's number and the weights that it is given; the model has them."""
        for participant in range(len(self.participants)):
            weights = start
            for one in servers:
                self.model.set_weights(weights)
                weights = one.give(number, participant, weights, self.model)
            self.model.set_weights(weights)
            yield participant, weights

    def received(self, number, participant, servers, weights):
        """Returns the weights that count for a participant, after the servers have seen them."""
        for one in servers:
            self.model.set_weights(weights)
            weights = one.receive(number, participant, weights, self.model)
        return weights

    def _average(self, number, servers):
        start, sent, returned, counted = self.model.get_weights(), [], [], []
        for participant, weights in self._given(number, servers, start):
            self.train(number, participant)
            sent.append(weights)
            returned.append(self.model.get_weights())
            counted.append(self.received(number, participant, servers, returned[-1]))
        return Round(number, start, sent, returned, self._mean(counted))

    def _step(self, number, servers):
        """A participant's answer is shown as what a step of plain SGD at rate 1 would make of its weights."""
        model, start = self.model, self.model.get_weights()
        sent, returned, counted, gradients = [], [], [], []
        for participant, weights in self._given(number, servers, start):
            x, y = self.participants[participant]
            gradient = [part.numpy() for part in self._gradient(x, y)]
            for variable, part in zip(model.trainable_variables, gradient, strict=True):
                variable.assign_sub(part)
            sent.append(weights)
            returned.append(model.get_weights())
            gradients.append(gradient)
            counted.append(self.received(number, participant, servers, returned[-1]))
        if any(one is not other for one, other in zip(counted, returned, strict=True)):
            gradients = [self._as_gradient(one, given) for one, given in zip(counted, sent, strict=True)]
        # What no gradient changes; then the optimizer's step from where the round began.
        model.set_weights(self._mean(counted))
        held = [variable.numpy() for variable in model.non_trainable_variables]
        model.set_weights(start)
        for variable, value in zip(model.non_trainable_variables, held, strict=True):
            variable.assign(value)
        mean = self._mean(gradients)
        model.optimizer.apply([tf.convert_to_tensor(part) for part in mean], model.trainable_variables)
        return Round(number, start, sent, returned, model.get_weights())

    def _as_gradient(self, weights, given):
        """The gradient that a participant's counted weights stand for."""
        found = []
        for values in (given, weights):
            self.model.set_weights(values)
            found.append([variable.numpy() for variable in self.model.trainable_variables])
        return [before - after for before, after in zip(*found, strict=True)]

    def train(self, number, participant):
        """Trains the model in its current state on a participant's records, as in a round."""
        for variable, value in zip(self.model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        records = self.participants[participant]
        rng = np.random.default_rng((self.seed, number, participant))
        for _ in range(self.local_epochs):
            x, y = take(records, rng.permutation(len(records[1])))
            for first in range(
                0, len(y), self.batch_size
            ):  # `fit` takes longer to begin than a round to train
                self.model.train_on_batch(*take((x, y), slice(first, first + self.batch_size)))

    def _mean_gradient(self, x, y):
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            answers = call_target(self.model, x, training=True)
            loss = self.model.compute_loss(x=x, y=y, y_pred=answers)
        return [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]

    def _mean(self, lists):
        """The average over participants of lists of arrays, each participant weighing as its records; in float64."""
        return [
            np.tensordot(self.shares, np.stack(parts).astype(np.float64), axes=1).astype(parts[0].dtype)
            for parts in zip(*lists, strict=True)
        ]
