"""The interface of a part of a training defence: it changes batches, labels or the loss."""

import math

import keras

# Parts act in this order, and in that of wrapping where they share a stage.
UNPACK, RELABEL, MIX, REPLACE, ADD = range(5)

# What only one part can decide.
LABELS = "the labels that the target is trained towards"
MIXTURES = "whether a record is a mixture of others"


class DefencePart(keras.layers.Layer):
    """Base class of one component of a training defence; every method is optional.

    Attributes:
        stage: when it acts in a step, one of `UNPACK, RELABEL, MIX, REPLACE, ADD`.
        decides: what it decides that no other part may: of `LABELS`, `MIXTURES`.
        consumes_reference: whether it learns from reference records, which then leak too.
        private_reason: why it cannot be trained with differential privacy for each record, as the end of a sentence.
        fleet_reason: why replicas cannot be trained in one program, as the end of a sentence; empty if they can.
        steers_target: whether its control reads or changes the target or its optimizer.
        draws: the `Seed` of its random draws, or None.
        strength: variable of how strongly it acts, which may change during training; None where nothing can be turned.
        strongest: strength that is not to be passed without being asked to.
    """

    stage = ADD
    decides: frozenset[str] = frozenset()
    consumes_reference = False
    private_reason = "acts in a training step of its own, which DPSGD would replace"
    fleet_reason = ""
    steers_target = False
    draws = None
    strength = None
    strongest = math.inf

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self._reference = None
        self.built = True

    def attach(self, target):
        """Is called once the target is known, which may not be built yet."""

    def prepare(self, batch):
        """Changes a batch before the forward pass: `batch.inputs`, `weights` or `judged`, or unpacks `batch.y`."""

    def relabel(self, batch):
        """Changes `batch.labels` after the forward pass."""

    def penalize(self, batch, loss):
        """Returns the loss of the batch with this part's penalty, without regularizers of weights."""
        return loss

    def true_labels(self, y, model, answers):
        """Returns the labels to evaluate on, given the labels passed to fit; they may be plain already."""
        return y

    def control(self, members):
        """Returns a Keras callback that fit adds for this part, or None.

        Args:
            members: the `Members` given to fit.
        """
        return None

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
        """Sets the reference records, which are never saved."""

    def check(self, parts):
        """Raises a `ValueError` if this part cannot be combined with `parts`."""
        for other in parts:
            if type(other) is type(self):
                raise ValueError(
                    f"the target has a {type(self).__name__} already: leave out one of the wrappers"
                )
            both = self.decides & other.decides
            if both:
                raise ValueError(
                    f"{type(self).__name__} and {type(other).__name__} cannot be combined, as both decide "
                    f"{' and '.join(sorted(both))}: leave out one of the wrappers"
                )

    @property
    def optimizers(self):
        """Keras optimizers of networks of its own."""
        return ()

    @property
    def replica_variables(self):
        """What a step or the control changes, and the seed: all variables but those of trackers."""
        logged = {id(variable) for tracker in self.trackers for variable in tracker.variables}
        own = [variable for variable in self.variables if id(variable) not in logged]
        seeds = [] if self.draws is None else [self.draws.variable]
        return [*own, *seeds, *(slot for optimizer in self.optimizers for slot in optimizer.variables)]

    @property
    def trackers(self):
        """Keras metrics to add to the logs."""
        return ()

    @property
    def metrics(self):
        """The trackers alone: the `loss` of a network inside that came compiled is not the target's."""
        return list(self.trackers)

    def load_own_variables(self, store):
        """Loads saved state; what files of older versions lack keeps its initial value."""
        for index, variable in enumerate([*self._trainable_variables, *self._non_trainable_variables]):
            if str(index) in store:
                variable.assign(store[str(index)])

    def state(self, name, value, dtype="float32", shape=()):
        """Creates a variable, scalar or array, that is saved with the part and changed by its step."""
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
