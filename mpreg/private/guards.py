"""Checks that refuse models that cannot be trained privately, with a remedy."""

import math

import keras

from mpreg._validate import check_number
from mpreg.gradients.leaves import all_layers
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.replicas import replicas

MIXING = (keras.layers.BatchNormalization, keras.layers.SpectralNormalization)


def check_target(target):
    """Raises a `ValueError` for a target whose layers show that clipping cannot make it private."""
    if not isinstance(target, keras.Model):
        raise ValueError(f"target must be a keras.Model. Received: {target!r}")
    if isinstance(target, TrainingDefence):
        reasons = "; ".join(f"{type(part).__name__} {part.private_reason}" for part in target.parts)
        raise ValueError(
            "DPSGD clips the gradient of each record by itself, which the parts of a training defence do not allow: "
            f"{reasons}. Give it the target alone, {type(target).__name__}.target_model"
        )
    for name in ("train_step", "compute_loss"):
        own = getattr(getattr(target, name), "__func__", None)  # of its class, or its own
        if own is not getattr(keras.Model, name):
            raise ValueError(
                f"the target has a {name} of its own, which DPSGD would silently replace. "
                f"Received: {type(target).__name__}.{name}"
            )
    for layer in all_layers(target):
        _check_layer(layer)


def _check_layer(layer):
    frozen = not layer.trainable and not isinstance(layer, keras.layers.SpectralNormalization)
    if isinstance(layer, MIXING) and not frozen:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) mixes the records of a batch or keeps statistics of them, "
            "so no gradient belongs to one record alone. Use keras.layers.GroupNormalization or LayerNormalization "
            "instead, or freeze it with layer.trainable = False"
        )
    if getattr(layer, "activity_regularizer", None) is not None:
        raise ValueError(
            f"layer {layer.name!r} has an activity regularizer, a loss of the records that would not be clipped. "
            "Remove it; regularizers of weights are welcome"
        )
    if layer.compute_dtype == "float16":
        raise ValueError(
            f"layer {layer.name!r} computes in float16, whose gradients underflow without a scale that follows the "
            "data. Use mixed_bfloat16 or float32"
        )


def check_augment(augment):
    """Raises a `ValueError` for a Keras augmentation that mixes records."""
    mixing = tuple(getattr(keras.layers, name) for name in ("MixUp", "CutMix") if hasattr(keras.layers, name))
    for layer in all_layers(augment) if isinstance(augment, keras.layers.Layer) else ():
        if isinstance(layer, mixing):
            raise ValueError(
                f"augment mixes records, so no gradient belongs to one of them alone. Received: {type(layer).__name__}"
            )


def check_compiled(model):
    """Raises a `ValueError` for a compiled loss or optimizer that the mechanism does not cover."""
    if replicas() > 1:
        _check_replicas(model)
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "a LossScaleOptimizer scales by what the gradients hold. Use mixed_bfloat16 or float32 instead of float16"
        )


def _check_replicas(model):
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for name in ("clipnorm", "clipvalue", "global_clipnorm"):
        if getattr(inner, name, None) is not None:
            raise ValueError(
                f"where several devices share a batch, Keras applies {name} to the part of each, of which the first "
                "alone has noise, and not to their sum. Leave it out: DPSGD clips anyway. "
                f"Received: {name}={getattr(inner, name)!r}"
            )
    if model.observer is not None:
        raise ValueError(
            "an audit watches the noisy gradients of one device. Build the model outside of the strategy. "
            f"Received: {replicas()} devices"
        )


def check_mask(answers):
    """Raises a `ValueError` for masked predictions: Keras averages their loss over the whole batch."""
    if any(getattr(answer, "_keras_mask", None) is not None for answer in keras.tree.flatten(answers)):
        raise ValueError(
            "the target's answers carry a mask, by which Keras averages the loss over the whole batch, so that no "
            "record counts by itself. Pool over the steps, or end in a layer that takes no mask"
        )


def check_added(target):
    """Raises a `ValueError` for losses added by the target's layers, which would be ignored."""
    for layer in all_layers(target):
        if layer._losses:
            raise ValueError(
                f"layer {layer.name!r} calls add_loss with a loss of the records, which would not be clipped. "
                "Put it into the compiled loss"
            )


def check_options(noise_multiplier, l2_norm_clip):
    """Raises a `ValueError` that quotes the first option out of range."""
    what = "a finite number, at least 0 (0 is no privacy)"
    check_number("noise_multiplier", noise_multiplier, least=0, what=what)
    if l2_norm_clip != math.inf:  # which clips nothing
        check_number("l2_norm_clip", l2_norm_clip, above=0, what="a number above 0")
    elif noise_multiplier > 0:
        raise ValueError(
            "noise is a multiple of the clip norm, so l2_norm_clip must be finite where noise_multiplier is above 0. "
            f"Received: l2_norm_clip={l2_norm_clip!r}, noise_multiplier={noise_multiplier!r}"
        )
