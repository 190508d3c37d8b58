"""The layers of a model that own its weights."""

import keras

# They run their sublayers inside a loop, or on a batch of another shape: nothing inside them can be tapped.
CLOSED = (keras.layers.RNN, keras.layers.Wrapper)


def weight_owners(model):
    """Returns the outermost layers that own trainable weights or must be taken whole, in order, each once."""
    found, seen = [], set()

    def visit(layer):
        if id(layer) in seen or not layer.trainable_variables:
            return
        seen.add(id(layer))
        if _closed(layer) or own_weights(layer):
            found.append(layer)
            return
        for child in sublayers(layer):
            visit(child)

    visit(model)
    return found


def _closed(layer):
    # A bidirectional one calls each of its two layers once, on the whole batch.
    return isinstance(layer, CLOSED) and type(layer).call is not keras.layers.Bidirectional.call


def own_weights(layer):
    """Returns a layer's trainable variables that no layer inside it owns."""
    inside = {id(variable) for child in sublayers(layer) for variable in child.variables}
    return [variable for variable in layer.trainable_variables if id(variable) not in inside]


def sublayers(layer):
    """Returns the layers directly inside a layer."""
    return list(layer.layers) if isinstance(layer, keras.Model) else list(layer._layers)


def all_layers(layer):
    """Returns a layer and all layers inside it, each once."""
    found, pending = {}, [layer]
    while pending:
        current = pending.pop()
        if id(current) not in found:
            found[id(current)] = current
            pending.extend(reversed(sublayers(current)))
    return list(found.values())


def twice_owned(owners):
    """Returns the name of the first layer that shares a variable with an earlier one, or None."""
    seen = set()
    for layer in owners:
        ids = {id(variable) for variable in layer.trainable_variables}
        if ids & seen:
            return layer.name
        seen |= ids
    return None
