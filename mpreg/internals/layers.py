"""Selects the layers that a white-box attack reads, by name or ml_privacy_meter's numbers."""

import contextlib

from mpreg._validate import short_repr
from mpreg.data import flatten


def layers_to_read(model, chosen):
    """Returns layers by name or number for activations: the first of `model.layers` is 1, the last -1.

    Names may be those of layers inside of layers.

    Raises:
        ValueError: no such layer, an input, or one layer twice; it lists those there are.
    """
    numbered = list(model.layers)
    found = [_find(model, numbered, entry, "layers_to_exploit") for entry in _entries(chosen)]
    for layer in found:
        if type(layer).__name__ == "InputLayer":
            raise ValueError(
                f"layers_to_exploit names {layer.name!r}, which is the input and tells nothing of the model. "
                f"Layers: {_listed(numbered)}"
            )
    return _distinct(found, "layers_to_exploit")


def layers_with_weights(model, chosen):
    """Returns layers by name or number for gradients, counting layers with trainable weights from 1.

    Raises:
        ValueError: no such layer, one without trainable weights, or one layer twice; it lists those there are.
    """
    from mpreg.gradients.leaves import weight_owners  # it imports Keras, which other attacks do without

    numbered = [layer for layer in model.layers if layer.trainable_variables]
    if numbered == [] and model.trainable_variables:
        numbered = weight_owners(model)
    found = [_find(model, numbered, entry, "gradients_to_exploit") for entry in _entries(chosen)]
    for layer in found:
        if not layer.trainable_variables:
            raise ValueError(
                f"gradients_to_exploit names {layer.name!r}, which has no trainable weights. "
                f"Layers with weights: {_listed(numbered)}"
            )
    return _distinct(found, "gradients_to_exploit")


def _entries(chosen):
    if chosen is None:
        return []
    return list(chosen) if isinstance(chosen, list | tuple) else [chosen]


def _find(model, numbered, entry, option):
    if isinstance(entry, str):
        from mpreg.gradients.leaves import all_layers

        named = [layer for layer in all_layers(model) if layer.name == entry and layer is not model]
        if named:
            return named[0]
    elif isinstance(entry, int) and not isinstance(entry, bool) and 1 <= abs(entry) <= len(numbered):
        return numbered[entry - 1 if entry > 0 else entry]
    raise ValueError(
        f"{option} must hold names of layers, or numbers from 1 to {len(numbered)} (-1 is the last). "
        f"Received: {short_repr(entry)}. Layers: {_listed(numbered)}"
    )


def _listed(layers):
    return ", ".join(f"{number} {layer.name!r}" for number, layer in enumerate(layers, 1))


def _distinct(layers, option):
    names = [layer.name for layer in layers]
    if len({id(layer) for layer in layers}) < len(layers):
        raise ValueError(f"{option} names a layer twice. Received: {names}")
    return layers


@contextlib.contextmanager
def noted_outputs(layers):
    """Records the outputs of some layers while the model runs: yields a list for each layer."""
    notes = [[] for _ in layers]
    before = [layer.__dict__.get("call") for layer in layers]
    try:
        for layer, seen in zip(layers, notes, strict=True):
            # In the layer's own __dict__, unseen by what Keras tracks, and gone without a trace afterwards.
            layer.__dict__["call"] = _noting(layer.call, seen)
        yield notes
    finally:
        for layer, call in zip(layers, before, strict=True):
            if call is None:
                layer.__dict__.pop("call", None)
            else:
                layer.__dict__["call"] = call


def _noting(call, seen):
    def noting(*args, **options):
        outputs = call(*args, **options)
        seen.append(flatten(outputs)[0])  # a recurrent layer's answer stands ahead of its states
        return outputs

    return noting
