"""Devices that share a batch, as under `tf.distribute.MirroredStrategy`: Keras sums their gradients."""

import tensorflow as tf

KNOWN = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
    tf.distribute.OneDeviceStrategy,
)


def check_strategy(strategy, wrapper):
    """Raises a `ValueError` for a strategy other than devices of one process, or none.

    Args:
        strategy: a `tf.distribute.Strategy`.
        wrapper: name of the class that trains.
    """
    if not tf.distribute.has_strategy():
        return
    name = type(strategy).__name__
    if strategy.num_replicas_in_sync > len(strategy.extended.worker_devices):
        raise ValueError(
            f"{wrapper} cannot be trained by several processes: under {name} Keras 3 itself fails in fit, as it makes "
            "one batch of those of all workers (https://github.com/keras-team/keras/issues/20585). Use "
            f"tf.distribute.MirroredStrategy. Received: {strategy.num_replicas_in_sync} replicas"
        )
    if not isinstance(strategy, KNOWN):
        raise ValueError(
            f"{wrapper} was never tried under {name}: use tf.distribute.MirroredStrategy. Received: {strategy!r}"
        )


def replicas():
    """How many there are. Each charges its share of a mean."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def summed(values):
    """Tensors, nested, summed over the devices that share the batch: the same on all of them."""
    if replicas() == 1 or not tf.nest.flatten(values):
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def gathered(rows):
    """A tensor with a row for each record of the share, for those of the whole batch."""
    if replicas() == 1:
        return rows
    return tf.distribute.get_replica_context().all_gather(rows, axis=0)


def on_first(make, otherwise):
    """What `make` gives on the first of the devices, and what `otherwise` gives on all others; nested tensors."""
    if replicas() == 1:
        return make()
    first = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
    return tf.cond(first, make, otherwise)
