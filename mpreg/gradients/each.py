"""Full gradients of single records in inference mode, as an attacker with the model computes them."""

import functools

import keras
import tensorflow as tf

from mpreg.classifiers.calling import call_target
from mpreg.gradients.mapped import answer_specs, grouped, model_rows
from mpreg.gradients.plan import ClippingPlan, steps_of, structural_reason, whole_plan
from mpreg.gradients.shapes import exact_dtype, total
from mpreg.gradients.trial import by_layers, make_up, one_by_one, try_out


class EachGradient:
    """Computes the loss gradient of each record in some weights of a model, by one backward pass for all.

    The rules of private training write the gradients of most layers out; a layer without one runs again on each
    record. The model runs in inference mode: dropout is off, batch normalization uses its moving averages. On
    made-up records the gradients are compared with those of one plain backward pass a record, at once.

    Args:
        model: a Keras model.
        spec: nested `tf.TensorSpec` of a batch of its inputs.
        variables: the weights, of its trainable ones.
        measured: weights whose gradients' norms are told alone, which takes no room.

    Raises:
        ValueError: no way was found that gives the gradients of plain backward passes; inputs that are text.

    Example:
    ```python
    each = EachGradient(model, tf.TensorSpec((None, 446), "float32"), model.layers[-1].trainable_variables)
    losses, gradients, _ = each(x, y, keras.losses.sparse_categorical_crossentropy)
    ```
    """

    def __init__(self, model, spec, variables, *, measured=()):
        self.model, self.variables, self.measured = model, list(variables), list(measured)
        plan = _plan(model, make_up(spec))
        wanted = {id(variable) for variable in (*self.variables, *self.measured)}
        steps = [
            step
            for step in plan.steps
            if any(id(variable) in wanted for variable in step.layer.trainable_variables)
        ]
        self.plan = ClippingPlan(model, steps, whole=plan.whole, why=plan.why)

    def __call__(self, x, labels, loss):
        """Returns losses (n,), gradients (n, *shape) by weight, and norms (n, measured) of the measured weights.

        Norms are upper bounds, at most a thousandth too high, as private training has them.

        Args:
            x: tensors of records, nested as the model takes them.
            labels: tensor with a row for each record.
            loss: function `(labels, answers)` that returns a loss for each record.
        """
        losses, pieces = (self._by_model if self.plan.whole else self._by_layers)(x, labels, loss)
        by_variable = {}
        for piece in pieces:
            by_variable.setdefault(id(piece.variable), []).append(piece)
        records = tf.shape(losses)[0]
        gradients, squares = [], []
        for variable in self.variables:
            parts = [piece.written() for piece in by_variable.get(id(variable), [])]
            dtype = exact_dtype(variable)
            gradients.append(total(parts) if parts else tf.zeros((records, *variable.shape), dtype))
        for variable in self.measured:
            # Pieces of one weight are of different columns of it.
            parts = [
                tf.cast(piece.squared_norms(), tf.float32) for piece in by_variable.get(id(variable), [])
            ]
            squares.append(total(parts) if parts else tf.zeros((records,)))
        norms = tf.sqrt(tf.stack(squares, axis=1)) if squares else tf.zeros((records, 0))
        return losses, gradients, norms

    def _by_layers(self, x, labels, loss):
        kept = []

        def run():
            with keras.StatelessScope():
                answers = call_target(self.model, x, training=False)
                kept.append(loss(labels, answers))
            return answers, tf.reduce_sum(kept[0])

        _, _, pieces = self.plan.backward(run, 1)
        return kept[0], pieces

    def _by_model(self, x, labels, loss):
        def forward(element):
            record, label = element
            answers = call_target(self.model, record, training=False)
            return answers, tf.reduce_sum(loss(label, answers))

        elements = keras.tree.map_structure(lambda tensor: grouped(tensor, 1), (x, labels))
        specs = answer_specs(self.model, x, 1)
        variables = list({id(v): v for v in (*self.variables, *self.measured)}.values())
        pieces, answers = model_rows(variables, forward, elements, [], specs, self.plan.whole)
        # An answer a record, of a batch of one.
        return loss(labels, keras.tree.map_structure(lambda tensor: tf.squeeze(tensor, 1), answers)), pieces


def _plan(model, x):
    """As `make_plan`, in inference mode: nothing is drawn, and what training would change stays as it is."""
    truth = one_by_one(model, x, training=False)
    steps = steps_of(model)
    plan = ClippingPlan(model, steps)
    reason = structural_reason(model, steps) or try_out(
        functools.partial(by_layers, plan, training=False), model, x, truth
    )
    if reason is None:
        return plan
    return whole_plan(model, x, truth, training=False, why=reason)
