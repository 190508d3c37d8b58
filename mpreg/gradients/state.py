"""Detects state that a training pass changes in a target, other than weights."""

import keras

from mpreg.classifiers.calling import call_target
from mpreg.gradients.leaves import all_layers


def check_state(target, x):
    """Raises a `ValueError` if a training pass on `x` changes what the target keeps, or adds losses of the records."""
    for layer in all_layers(target):
        if isinstance(layer, keras.layers.RNN) and layer.stateful:
            raise ValueError(
                f"layer {layer.name!r} ({type(layer).__name__}) is stateful: what the records of one batch leave in it "
                "reaches those of the next, so no gradient belongs to one record alone. Build it with stateful=False"
            )
    # Metrics of layers too: checkpoints hold them.
    kept = [
        each
        for layer in all_layers(target)
        for each in (*layer.non_trainable_weights, *layer.metrics_variables)
    ]
    with keras.StatelessScope(collect_losses=True) as scope:
        call_target(target, x, training=True)
    for weight in kept:
        if scope.get_current_value(weight) is not None:
            raise ValueError(
                f"training changes the weight {weight.path!r} by more than its gradient: what a layer keeps of the "
                "records is published without noise. Freeze that layer or replace it"
            )
    if scope.losses:
        raise ValueError(
            "a layer of the target calls add_loss with a loss of the records, which would not be clipped. "
            "Put it into the compiled loss"
        )
