"""Membership-invariant training (MIST): sub-models learn parts of the members and unlearn what only they know."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mpreg._validate import check_count, check_number
from mpreg.classifiers.kind import trains_on_logits
from mpreg.classifiers.tensors import log_probabilities
from mpreg.data import join_groups
from mpreg.ensembles.served import ServedByTarget
from mpreg.ensembles.student import check_build_fn
from mpreg.fleet.checks import check_model, check_records
from mpreg.fleet.job import build
from mpreg.progress import progress_bar

ANSWERED_AT_ONCE = 4096  # records that all sub-models answer to in one go


class MembershipInvariantTraining(ServedByTarget):
    """Trains sub-models on parts of the members, brings their answers to what the others answer, and averages them.

    A round starts all sub-models from the same weights and deals the members to them anew, each to one. In its first
    phase each sub-model learns its part. In its second the cross-difference, the mean absolute difference between the
    class probabilities that a sub-model answers to its own records and the mean of those that the others answer, is
    made small, which undoes what a sub-model knows of its records and the others, who have not seen them, do not.
    The mean of all weights is where the next round starts.

    Cost: with `local_epochs` of the first phase a round and `match_epochs` of the second, about
    `(local_epochs + match_epochs + submodels / 3) / local_epochs` plain trainings. It consumes no reference records.

    Source: Li, Li and Ribeiro, "MIST: Defending Against Membership Inference Attacks Through Membership-Invariant
    Subspace Training", USENIX Security 2024. Answers of the others are those after the first phase, so that the order
    of the sub-models does not matter; optimizers start anew each round and phase.

    Args:
        build_fn: function of no arguments that builds and compiles a Keras classifier, as for `mpreg.Fleet`.
        submodels: number of sub-models and of parts, at least 2.
        local_epochs: how often a sub-model sees its part in the first phase of a round.
        match_epochs: how often in the second.
        weight: factor of the cross-difference, above 0 (lambda in the paper); it makes no difference to Adam.
        seed: non-negative integer of the parts, the weights and the batches.

    Raises:
        TypeError: `build_fn` is no function.
        ValueError: an option out of range.

    Attributes:
        target_model: the classifier, a plain Keras model, to be saved and served without mpreg.
        history: a dict of two lists, a value a round: `"loss"` of the first phase and `"cross_difference"` of the
            second.
        consumes_reference: False.

    Example:
    ```python
    model = mpreg.MembershipInvariantTraining(build_and_compile)
    model.fit(*split.members, epochs=30)
    print(mpreg.evaluate(model, split))
    model.target_model.save("classifier.keras")
    ```
    """

    consumes_reference = False

    def __init__(self, build_fn, *, submodels=5, local_epochs=5, match_epochs=5, weight=4.0, seed=0):
        check_build_fn("build_fn", build_fn)
        check_count("submodels", submodels, 2)
        check_count("local_epochs", local_epochs, 1)
        check_count("match_epochs", match_epochs, 1)
        check_number("weight", weight, above=0)
        check_count("seed", seed, 0)
        self._build_fn, self._submodels, self._weight, self._seed = build_fn, submodels, float(weight), seed
        self._local_epochs, self._match_epochs = local_epochs, match_epochs
        self._target = None

    @property
    def target_model(self):
        if self._target is None:
            raise RuntimeError("there is no classifier yet: call fit first")
        return self._target

    def fit(self, x, y, *, epochs, batch_size=128, verbose="auto", groups=None):
        """Trains from initial weights; returns this object.

        Args:
            x: records, one array or a dict, list or tuple of arrays, as the model takes them.
            y: labels, integer (records,) or one-hot (records, classes), as the model's loss takes them.
            epochs: how often each record is learnt in all: there are `epochs / local_epochs` rounds, at least one.
            batch_size: records of a step of each sub-model, at most.
            verbose: "auto" shows a progress bar where there is a terminal; 0 or False shows none.
            groups: as for `mpreg.SplitDistillation.fit`: records that belong together go to one part, and equal ones
                always do.

        Raises:
            ValueError: fewer different records than sub-models, a learning rate that follows a schedule, or what
                `mpreg.Fleet` refuses.
        """
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        x, y = check_records(x, y)
        groups = join_groups(x, groups)
        if groups.max() + 1 < self._submodels:
            raise ValueError(
                f"there must be at least as many different records as sub-models, {self._submodels}. "
                f"Received: {groups.max() + 1}"
            )
        models = [build(self._build_fn, self._seed) for _ in range(self._submodels)]
        for model in models:
            check_model(model, y)
        rounds = max(1, round(epochs / self._local_epochs))
        rng = np.random.default_rng(self._seed)
        program = _Program(models, x, y, weight=self._weight)
        target = build(self._build_fn, self._seed)
        self.history = {"loss": [], "cross_difference": []}
        tf.random.set_seed(self._seed)
        with progress_bar("rounds", rounds, hidden=verbose in (0, False)) as advance:
            for _ in range(rounds):
                parts = deal(groups, self._submodels, rng)
                _spread(target, models)
                program.start_anew()
                loss = program.learn(*_batches(parts, batch_size, self._local_epochs, rng))
                program.ask_others(parts)
                program.start_anew()
                difference = program.match(*_batches(parts, batch_size, self._match_epochs, rng))
                _average(models, target)
                self.history["loss"].append(float(loss))
                self.history["cross_difference"].append(float(difference))
                advance()
        self._target = target
        return self


class _Program:
    """The steps of all sub-models side by side, traced once.

    Args:
        models: compiled sub-models of one shape.
        x, y: all records.
        weight: of the cross-difference.
    """

    def __init__(self, models, x, y, *, weight):
        self._models, self._weight = models, weight
        self._x, self._y = keras.tree.map_structure(tf.constant, x), tf.constant(y)
        self._from_logits = trains_on_logits(models[0], models[0].loss)
        for model in models:
            if callable(getattr(model.optimizer, "_learning_rate", None)):
                raise ValueError(
                    "optimizers start anew each round, so that a learning rate that follows a schedule would never "
                    f"get far: compile with a constant one. Received: {model.optimizer._learning_rate!r}"
                )
            model.optimizer.build(model.trainable_variables)
        self._fresh = [[np.array(variable) for variable in model.optimizer.variables] for model in models]
        classes = self._answers(models[0], self._at(tf.constant([0]))).shape[1]
        self._others = tf.Variable(tf.zeros((len(y), classes)))

    def start_anew(self):
        """Puts all optimizers back to where they were."""
        for model, values in zip(self._models, self._fresh, strict=True):
            for variable, value in zip(model.optimizer.variables, values, strict=True):
                variable.assign(value)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], dtype) for dtype in ("int32", "float32")])
    def learn(self, rows, present):
        """The first phase; returns the mean loss.

        Args:
            rows: int32 (steps, sub-models, batch), records of each step.
            present: float32 of the same shape, weights of the records in their step's loss.
        """
        return self._train(rows, present, self._loss)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], dtype) for dtype in ("int32", "float32")])
    def match(self, rows, present):
        """The second phase; returns the mean cross-difference."""
        return self._train(rows, present, self._cross_difference) / self._weight

    def ask_others(self, parts):
        """Keeps, for each record, the mean of what all sub-models but its own answer."""
        for own, part in enumerate(parts):
            for start in range(0, len(part), ANSWERED_AT_ONCE):
                rows = tf.constant(part[start : start + ANSWERED_AT_ONCE])
                self._others.scatter_nd_update(rows[:, None], self._mean_of_others(rows, tf.constant(own)))

    @tf.function(input_signature=[tf.TensorSpec([None], "int32"), tf.TensorSpec([], "int32")])
    def _mean_of_others(self, rows, own):
        x = self._at(rows)
        answers = tf.stack([self._answers(model, x) for model in self._models])
        return (tf.reduce_sum(answers, axis=0) - answers[own]) / (len(self._models) - 1)

    def _train(self, rows, present, loss_of):
        total = tf.zeros(())
        for step in tf.range(tf.shape(rows)[0]):
            for at, model in enumerate(self._models):
                with tf.GradientTape() as tape:
                    loss = loss_of(model, rows[step, at], present[step, at])
                gradients = tape.gradient(loss, model.trainable_variables)
                model.optimizer.apply(gradients, model.trainable_variables)
                total += tf.cast(loss, "float32")
        return total / tf.cast(tf.size(rows[:, :, 0]), "float32")

    def _loss(self, model, rows, present):
        x, y = self._at(rows), tf.gather(self._y, rows)
        answers = model(x, training=True)
        return model.compute_loss(x=x, y=y, y_pred=answers, sample_weight=present, training=True)

    def _cross_difference(self, model, rows, present):
        answers = self._answers(model, self._at(rows), training=True)
        apart = tf.reduce_mean(tf.abs(answers - tf.gather(self._others, rows)), axis=1)
        return self._weight * tf.reduce_mean(apart * present)

    def _answers(self, model, x, training=False):
        return ops.exp(log_probabilities(model(x, training=training), from_logits=self._from_logits))

    def _at(self, rows):
        return keras.tree.map_structure(lambda array: tf.gather(array, rows), self._x)


def deal(groups, parts, rng):
    """Rows of each part, a list of int32 arrays: all rows of a group in one part, the groups shared out evenly."""
    chosen = rng.permutation(np.arange(groups.max() + 1) % parts)
    return [np.flatnonzero(chosen[groups] == part).astype(np.int32) for part in range(parts)]


def _batches(parts, batch_size, epochs, rng):
    """Rows (steps, sub-models, batch), int32, and their weights, float32, of some epochs of all parts.

    Each part is cut into as many batches as the others, all its own about equally long; a row that fills a batch up
    weighs 0 and the others more, so that the mean over the batch is that over its records.
    """
    steps = min(-(-max(map(len, parts)) // batch_size), min(map(len, parts)))
    width = -(-max(map(len, parts)) // steps)
    rows = np.zeros((epochs * steps, len(parts), width), np.int32)
    present = np.zeros(rows.shape, np.float32)
    for epoch in range(epochs):
        for at, part in enumerate(parts):
            for step, own in enumerate(np.array_split(rng.permutation(part), steps), epoch * steps):
                rows[step, at] = np.resize(own, width)
                present[step, at, : len(own)] = width / len(own)
    return tf.constant(rows), tf.constant(present)


def _spread(model, others):
    for other in others:
        for variable, source in zip(other.variables, model.variables, strict=True):
            if keras.backend.is_float_dtype(variable.dtype):
                variable.assign(source)


def _average(models, target):
    """Gives the target the mean of all weights and moving statistics; counters and seeds stay its own."""
    for variable, *values in zip(target.variables, *(model.variables for model in models), strict=True):
        if keras.backend.is_float_dtype(variable.dtype):
            variable.assign(ops.mean(ops.stack([ops.cast(value, "float32") for value in values]), axis=0))
