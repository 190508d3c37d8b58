"""Per-example gradients of `keras.layers.Embedding`: output gradients added to the rows looked up."""

import keras
import tensorflow as tf

from mpreg.gradients.common import if_trained, named
from mpreg.gradients.pieces import Lookups
from mpreg.gradients.registry import rule
from mpreg.gradients.shapes import positions


@rule(keras.layers.Embedding, weights=named("embeddings"))
def embedding(layer, calls, copies):
    """Returns the output gradients of each row, once for each lookup."""
    ids = positions([tf.cast(call.inputs, tf.int32)[..., None] for call in calls], copies, tf.int32)[..., 0]
    ids = tf.where(ids < 0, ids + layer.input_dim, ids)  # Keras counts negative ones from the end
    outputs = positions([call.gradient for call in calls], copies)
    return if_trained(layer.embeddings, lambda table: Lookups(table, ids, outputs))
