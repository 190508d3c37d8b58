"""How replicas of a training defence are trained in a fleet."""

import keras

from mpreg.fleet.step import Step
from mpreg.training.core.fitting import Members


class DefenceStep(Step):
    """The training step of a `TrainingDefence`: with the target, a replica has the state of all parts.

    Args:
        model: the compiled defence.

    Raises:
        ValueError: a part that cannot be trained in a fleet, or a subclass with a training step of its own.
    """

    def __init__(self, model):
        super().__init__(model)
        for part in model.parts:
            if part.fleet_reason:
                raise ValueError(
                    f"a fleet cannot train {type(part).__name__}, which {part.fleet_reason}. Train its replicas one by "
                    "one, as mpreg.ShadowTraining does"
                )
        self.target = model.target_model
        self.optimizers = [optimizer for part in model.parts for optimizer in part.optimizers]
        self.steered = [variable for part in model.parts for variable in part.replica_variables]
        self.trainable = self.target.trainable_variables
        self.others = [*self.target.non_trainable_variables, *self.steered]
        self.steers_target = any(part.steers_target for part in model.parts)
        sources = [part.reference for part in model.parts if part.consumes_reference]
        self.records = keras.tree.flatten([source.records for source in sources])

    def loss(self, x, y, weights):
        return self.model.batch_loss(x, y, weights)

    def controls(self, x, y, batch_size):
        members = Members(x, y, batch_size=batch_size)
        controls = [part.control(members) for part in self.model.parts]
        return [control for control in controls if control is not None]
