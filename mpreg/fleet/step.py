"""What of a compiled model a fleet trains: its variables, its loss, and what happens between two epochs."""

import inspect

import keras


def step_of(model):
    """Returns the `Step` of a compiled model: its own, if it has a `fleet_step`.

    Raises:
        ValueError: the model's own says that it cannot be trained in a fleet.
    """
    own = getattr(model, "fleet_step", None)
    return Step(model) if own is None else own()


class Step:
    """The training step of a model as a function of the state of a replica.

    Args:
        model: a compiled model.

    Attributes:
        model: what is trained.
        target: what answers; `model`, unless that is a defence around it.
        trainable, others: variables that the compiled optimizer trains, and those that change otherwise.
        optimizers: further Keras optimizers, whose variables are of `others`.
        steered: variables that change between epochs; those of the optimizer may too where `steers_target`.
        steers_target: whether what happens between epochs reads or changes the target or the optimizer.
        records: records that it learns from beside a replica's own, a nest of arrays.
    """

    optimizers = ()
    steered = ()
    steers_target = False
    records = ()

    def __init__(self, model):
        self.model = self.target = model
        self.trainable, self.others = model.trainable_variables, model.non_trainable_variables

    @property
    def layers(self):
        """All layers that take part in it."""
        return self.model._flatten_layers()

    def loss(self, x, y, weights):
        """Returns the loss of a batch, in training mode.

        Args:
            x, y: records and labels.
            weights: of the records, float32 (n,), or None.
        """
        return self.model.compute_loss(x=x, y=y, y_pred=self.answers(x, training=True), sample_weight=weights)

    def answers(self, x, *, training):
        """Returns the target's answers."""
        takes_mode = "training" in inspect.signature(self.target.call).parameters
        return self.target(x, training=training) if takes_mode else self.target(x)

    def controls(self, x, y, batch_size):
        """Returns the Keras callbacks that `fit` adds on the model's own account.

        Args:
            x, y: the records of a replica.
            batch_size: of its steps.
        """
        return []


def refuse_own_steps(model, base=keras.Model):
    """Raises a `ValueError` for a model with a training step of its own, not of `base`: a fleet would leave it out."""
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name) is not getattr(base, name):
            raise ValueError(
                f"a fleet cannot train a {type(model).__name__}, which has a {name} of its own. Train its replicas "
                "one by one, as mpreg.ShadowTraining does"
            )
