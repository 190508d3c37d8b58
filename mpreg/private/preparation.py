"""The clipping plan, checks and traced programs of a private step, renewed when the model changes."""

import keras
import tensorflow as tf

from mpreg.gradients.leaves import all_layers
from mpreg.gradients.mapped import answer_specs
from mpreg.gradients.plan import make_plan
from mpreg.private import guards, losses
from mpreg.private.augmentations import try_augment
from mpreg.private.loss_check import LossCheck
from mpreg.training.core.eager import eagerly


class Preparation:
    """Holds the clipping plan, checks and traced steps of a `DPSGD`.

    A model may change at any time: layers are frozen, unfrozen or added, low-rank adaptation is switched on, another
    loss is compiled. Plan and guards hold for the model that they have seen, and that is compared ahead of each `fit`,
    of each `train_on_batch` and of each trace.

    Args:
        model: the `DPSGD`; its guards have just passed.
    """

    def __init__(self, model):
        self.plan, self.loss_check = None, LossCheck()
        self._seen = _structure(model)
        self._checked = None
        self._traces = {}

    def follow(self, model):
        """Repeats the checks if the model has changed, and drops what is outdated; returns whether it has.

        Raises:
            ValueError: the model has become one that cannot be trained privately.
        """
        now = _structure(model)
        if _same(now, self._seen):
            return False
        guards.check_target(model.target_model)
        guards.check_augment(model.augment)
        self._seen, self.plan, self._checked = now, None, None
        self._traces.clear()
        return True

    def forget(self):
        """Drops the traced step and the result of the loss trial."""
        self._checked = None
        self._traces.clear()

    def check_again(self):
        """Checks on the next batch that layers and loss do not mix records."""
        self.loss_check.check_again()
        if self.plan is not None:
            self.plan.check_again()

    def trace(self, key, make):
        """Returns the train function under a key, made by `make` if there is none."""
        if key not in self._traces:
            self._traces[key] = make()
        return self._traces[key]

    def plan_for(self, model, x):
        """Returns the `ClippingPlan` for records like `x`; None stands for the target's inputs.

        Raises:
            ValueError: the target does not know its inputs, or no plan was found.
        """
        self.follow(model)
        if self.plan is None:
            plan = eagerly(make_plan, model.target_model, _batch_spec(model.target_model, x))
            # The plan may have built the target. That is no change to what is being traced.
            traces = dict(self._traces)
            self.follow(model)
            self.plan, self._traces = plan, traces
        return self.plan

    def ready(self, model, x, y):
        """Returns the plan for a step on records and labels, after trying out the loss if needed.

        Raises:
            ValueError: something in the model, its loss or its optimizer cannot be trained privately.
        """
        guards.check_compiled(model)
        plan = self.plan_for(model, x)
        # Labels of another shape may be broadcast, and so mix records under the same loss.
        tried = model.loss, [(part.dtype, part.shape[1:]) for part in keras.tree.flatten(y)]
        if self._checked is None or self._checked[0] is not tried[0] or self._checked[1] != tried[1]:
            eagerly(losses.check_loss, model, y, answer_specs(model.target_model, x, 3))
            self.loss_check.check_again()
            if model.augment is not None:
                eagerly(try_augment, model.augment, _batch_spec(model.target_model, x))
            self._checked = tried
        return plan


def _structure(model):
    """What plan and guards rest on. The things themselves: the address of one that is gone may be given anew."""
    parts = [model.augment, *model.trainable_variables]
    for layer in all_layers(model.target_model):
        regularizer = getattr(layer, "activity_regularizer", None)
        parts += [layer, bool(layer.trainable), layer.compute_dtype, layer.variable_dtype, regularizer]
    return parts


def _same(parts, others):
    return len(parts) == len(others) and all(
        part is other or (isinstance(part, str) and part == other)
        for part, other in zip(parts, others, strict=True)
    )


def _batch_spec(target, x):
    if x is None:
        inputs = getattr(target, "inputs", None)
        if inputs is None:
            raise ValueError(
                "the target does not know its inputs yet: call clipping_plan(x) with some records"
            )
        x = inputs[0] if len(inputs) == 1 else inputs
    return keras.tree.map_structure(
        lambda part: tf.TensorSpec((None, *part.shape[1:]), tf.as_dtype(part.dtype)), x
    )
