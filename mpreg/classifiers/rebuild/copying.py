"""Copies a Keras model layer by layer, so that a rebuild can change a layer or insert one before it."""

import tempfile
import warnings

import keras

from mpreg._validate import short_repr


class Copier:
    """Copies Sequential and functional models, nested ones too, with their weights, names and compile state.

    A layer used in several places is copied once. The original is not changed.
    """

    def __init__(self):
        self._copies = {}  # id of a layer: the layer, its copy. Pairs in the order of completion, inner first

    def rebuild(self, model):
        """The copy of a whole model, compiled with a new optimizer if the model is compiled.

        Raises:
            ValueError: the model, or a layer of it, cannot be rebuilt.
        """
        check_model(model)
        copy = self.copy(model)
        for old, new in reversed(self._copies.values()):  # a model sets its layers' flag too, so models first
            if getattr(old, "trainable", None) != getattr(new, "trainable", None):
                new.trainable = old.trainable
        for old, new in self._copies.values():
            if isinstance(old, keras.Layer) and not isinstance(old, keras.Model):
                copy_state(old, new)
        if len(copy.weights) != len(model.weights):
            raise ValueError(
                "layers that share a variable cannot be rebuilt: each copy would get a variable of its own. Share "
                f"the whole layer instead. Received: {model.name!r} with {len(model.weights)} variables, of which "
                f"{len(copy.weights)} would be made"
            )
        if model.compiled:
            compile_alike(copy, model)
        return copy

    def copy(self, layer):
        """The one copy of a layer, an operation or a nested model."""
        if id(layer) not in self._copies:
            is_model = isinstance(layer, keras.Model)
            copy = self.copy_model(layer) if is_model else copy_layer(layer, self.edit)
            self._copies[id(layer)] = (layer, copy)
        return self._copies[id(layer)][1]

    def copy_model(self, model):
        check_model(model)
        if isinstance(model, keras.Sequential):
            inputs = keras.tree.map_structure(new_input, model.inputs)
            return keras.Sequential([*inputs, *self.chain(model)], name=model.name)
        # A view that was never compiled: clone_model would compile its copy, which compile_alike does with more care.
        view = keras.Model(model.input, model.output, name=model.name)
        return keras.models.clone_model(
            view,
            input_tensors=keras.tree.map_structure(new_input, model.input),
            clone_function=lambda layer: layer,  # copied at its call, where its inputs are known
            call_function=self.call,
        )

    def chain(self, model):
        """The copies that take the place of a Sequential model's layers."""
        return [self.copy(layer) for layer in model.layers]

    def call(self, layer, *args, **kwargs):
        """Calls the copy of a layer in a functional model."""
        return self.copy(layer)(*args, **kwargs)

    def edit(self, layer, config):
        """The configuration of a layer's copy."""
        return config


def check_model(model):
    """Raises a `ValueError` unless Keras knows a model's graph, and nothing but the graph makes the model."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model. Received: {short_repr(model)}")
    kind = type(model)
    if not (kind.__module__.startswith("keras.") and kind.__name__ in ("Sequential", "Functional")):
        inner = " Rebuild its target_model, then wrap the result." if hasattr(model, "target_model") else ""
        raise ValueError(
            "only Sequential and functional models can be rebuilt: what the methods of a subclass do cannot be "
            f"copied.{inner} Received: {model.name!r} of class {kind.__name__}"
        )
    if not (model.built and getattr(model, "inputs", None)):
        raise ValueError(
            "the model is not built, so it has no weights to keep: let it begin with keras.Input(shape). "
            f"Received: {model.name!r}"
        )


def new_input(tensor):
    """A new `keras.Input` like the one that a model's symbolic input comes from."""
    layer = tensor._keras_history.operation
    return type(layer).from_config(layer.get_config()).output


def copy_layer(layer, edit):
    """A new layer from a layer's configuration as `edit(layer, config)` leaves it.

    Raises:
        ValueError: it is a Lambda, or its configuration does not make a layer.
    """
    if isinstance(layer, keras.layers.Lambda):
        raise ValueError(
            "a Lambda layer cannot be rebuilt: its function is not part of a configuration. Make it a registered "
            f"keras.layers.Layer. Received: {layer.name!r}"
        )
    try:
        config = layer.get_config()
    except NotImplementedError as error:
        raise _unbuildable(layer, error) from error
    config = edit(layer, config)
    try:
        return type(layer).from_config(config)
    except Exception as error:
        raise _unbuildable(layer, error) from error


def copy_state(old, new):
    """Copies the weights, the random states and the vocabulary of a layer into its copy."""
    if [weight.shape for weight in new.weights] != [weight.shape for weight in old.weights]:
        raise _unbuildable(old, "its copy has other weights, so get_config leaves something out")
    # A Dropout whose rate was set to 0 has a random state; one made with a rate of 0 has none.
    whole = len(new.variables) == len(old.variables)
    mine, others = (new.variables, old.variables) if whole else (new.weights, old.weights)
    for variable, other in zip(mine, others, strict=True):
        variable.assign(other)
    if hasattr(old, "save_assets"):  # such as a vocabulary
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)
    if hasattr(new, "finalize_state"):  # Normalization computes with a cached mean
        new.finalize_state()


def compile_alike(copy, model):
    """Compiles a model as another one is, with an optimizer that has not taken a step."""
    try:
        copy.compile_from_config(model.get_compile_config())
    except Exception as error:
        warnings.warn(
            "the rebuilt model is not compiled: what the model was compiled with cannot be copied, because "
            f"{short_repr(str(error))} Compile the rebuilt model before training it.",
            stacklevel=4,
        )


def _unbuildable(layer, why):
    return ValueError(
        f"layer {layer.name!r} of class {type(layer).__name__} cannot be rebuilt from its configuration: {why}"
    )
