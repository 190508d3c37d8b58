"""A part of a training defence: what it does to a batch, and what it charges for it."""

import math

import keras

# Parts act in this order, and in that of wrapping where they share a stage.
UNPACK, RELABEL, MIX, REPLACE, ADD = range(5)

# What only one part can decide.
LABELS = "the labels that the target is trained towards"
MIXTURES = "whether a record is a mixture of others"


class DefencePart(keras.layers.Layer):
    """One idea of a training defence; everything is optional.

    Attributes:
        stage: when it acts in a step, one of `UNPACK, RELABEL, MIX, REPLACE, ADD`.
        decides: what it decides that no other part may: of `LABELS`, `MIXTURES`.
        consumes_reference: whether it learns from reference records, which then leak too.
        private_reason: why it cannot be trained with differential privacy for each record, as the end of a sentence.
        strength: variable of how strongly it acts, which may change during training; None where nothing can be turned.
        strongest: strength that is not to be passed without being asked to.
    """

    stage = ADD
    decides: frozenset[str] = frozenset()
    consumes_reference = False
    private_reason = "acts in a training step of its own, which DPSGD would replace"
    strength = None
    strongest = math.inf

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self._reference = None
        self.built = True

    def attach(self, target):
        """Called once the target is known, which may not be built yet."""

    def prepare(self, batch):
        """Before the forward pass: may set `batch.inputs`, `batch.weights`, `batch.judged`; `batch.y` to unpack it."""

    def relabel(self, batch):
        """After the forward pass: may set `batch.labels`."""

    def penalize(self, batch, loss):
        """The loss that the target descends, of the batch and the loss so far, without regularizers of weights."""
        return loss

    def true_labels(self, y, model, answers):
        """Labels that are evaluated, of what fit is given as labels; they may be plain already."""
        return y

    def control(self, members):
        """A Keras callback that fit adds for this part, or None.

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
        """Takes the reference records, which are never saved."""

    def check(self, parts):
        """Raises a `ValueError` where this part cannot stand beside `parts`."""
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
    def trackers(self):
        """Keras metrics that join the logs."""
        return ()

    @property
    def metrics(self):
        """The trackers alone: the `loss` of a network inside that came compiled is not the target's."""
        return list(self.trackers)

    def load_own_variables(self, store):
        """Files of before lack the state that was added since, which stays as it is made."""
        for index, variable in enumerate([*self._trainable_variables, *self._non_trainable_variables]):
            if str(index) in store:
                variable.assign(store[str(index)])

    def state(self, name, value, dtype="float32", shape=()):
        """A number, or an array of one, that is saved with the part and that its step can change."""
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
