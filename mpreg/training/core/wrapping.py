"""Base of all training defences: a `keras.Model` that trains a target's weights as its own."""

import keras
import tensorflow as tf

from mpreg.classifiers.calling import call_target, takes_training_argument
from mpreg.training.core.eager import eagerly
from mpreg.training.core.replicas import check_strategy


class Wrapper(keras.Model):
    """Predicts, trains and exports as its target does; `target_model` is the model to deploy.

    Args:
        target: the Keras model to train.
        name: name of the wrapper.
        dtype: dtype policy; None takes the target's.
    """

    def __init__(self, target, *, name, dtype=None):
        check_strategy(tf.distribute.get_strategy(), type(self).__name__)
        super().__init__(name=name, dtype=target.dtype_policy if dtype is None else dtype)
        self.target_model = target
        self._only_data = False
        # Keras passes a training mode to a model that takes one, and from there to all layers inside, also to
        # those of a target that takes none. Such a target must be called without one, as by itself.
        self._call_has_training_arg = takes_training_argument(target)

    @property
    def trainable_variables(self):
        """Trainable variables of the target: the compiled optimizer must not touch other weights."""
        return self.target_model.trainable_variables

    @property
    def trainable_weights(self):
        return self.target_model.trainable_weights

    @property
    def losses(self):
        """The target's own, such as its regularizers; none while the loss of the records is computed."""
        return [] if self._only_data else self.target_model.losses

    @property
    def output_names(self):
        """The target's, by which Keras finds the loss of each output and names it in the log."""
        return self.target_model.output_names

    def call(self, inputs, training=None):
        return call_target(self.target_model, inputs, training=training)

    def export(self, filepath, *args, **kwargs):
        """Exports the target alone, as `keras.Model.export` does."""
        return self.target_model.export(filepath, *args, **kwargs)

    def make_train_function(self, force=False):
        """As `keras.Model` has it; the optimizer has its variables ahead, for what makes some is traced twice."""
        optimizer = getattr(self, "optimizer", None)
        built = all(layer.built for layer in self.target_model._flatten_layers())
        if built and optimizer is not None and not optimizer.built:
            optimizer.build(self.trainable_variables)
        return super().make_train_function(force=force)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """As `keras.Model` has it; the compiled metrics have their variables ahead too."""
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        for metric in self.metrics if alone and tf.inside_function() else ():
            if not getattr(metric, "built", True):
                eagerly(metric.build, *keras.tree.map_structure(_spec, (y, y_pred)))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def data_loss(self, x, y, answers, weights=None):
        """Returns the compiled loss of some records, without regularizers."""
        self._only_data = True
        try:
            return keras.Model.compute_loss(self, x, y, answers, weights, training=True)
        finally:
            self._only_data = False


def _spec(tensor):
    return keras.KerasTensor(tensor.shape, keras.backend.standardize_dtype(tensor.dtype))
