"""Adversarial regularization: a classifier trained against an inline membership-inference network."""

import inspect

import keras

from mpreg.training.answers import count_classes
from mpreg.training.control import GameControl
from mpreg.training.game import MembershipGame
from mpreg.training.reference import open_reference


@keras.saving.register_keras_serializable("mpreg")
class AdversarialRegularization(keras.Model):
    def __init__(self, target, reference=None, *, game=None, name="adversarial_regularization", **options):
        super().__init__(name=name)
        self.target_model = target
        first = open_reference(reference, 1).first()
        self.game = MembershipGame(classes=count_classes(target(first)), **options)
        self.game.set_reference(reference)
        self.built = True

    @property
    def trainable_variables(self):
        return self.target_model.trainable_variables
    @property
    def trainable_weights(self):
        return self.target_model.trainable_weights
    @property
    def losses(self):
        return self.target_model.losses

    def call(self, inputs, training=None):
        return self.target_model(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if training:
            loss += self.game.penalize(self.target_model, self.loss, y, y_pred, sample_weight)
        return loss

    def fit(self, *args, **kwargs):
        bound = inspect.signature(super().fit).bind(*args, **kwargs)
        callbacks = bound.arguments.get("callbacks") or []
        bound.arguments["callbacks"] = [GameControl(self.game), *callbacks]
        return super().fit(*bound.args, **bound.kwargs)
