"""Reads from a fitted Keras model how it was trained, for shadow models like it."""

import tempfile
import weakref
from collections.abc import Callable
from typing import NamedTuple

UNREAD = (
    "Shadow models were trained as the target tells that it was: {epochs} epochs in batches of {batch_size}, {rate}. "
    "It does not tell of callbacks that stopped it or chose among its weights, of sample and class weights, of records "
    "altered on their way into it, or of weights that it started from where they went on learning: if there were any, "
    "pass shadows=, because the attacks are weaker than they could be."
)
RECOMPILED = (
    "The target was compiled anew after its last training: shadow models were trained with the optimizer and loss "
    "that it has now. If those of its training were others, pass shadows=, because the attacks are weaker than they "
    "could be."
)

_CHANGED_IN_FIT: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # models, and by which callback


class Recipe(NamedTuple):
    """Holds the arguments of `mpreg.ShadowFleet`, and notes on what could not be read."""

    build_fn: Callable
    epochs: int
    batch_size: int
    notes: tuple


def changed_in_fit(model, callback):
    """Notes that a callback, by its name, changed how a model is trained, which the model itself does not tell."""
    _CHANGED_IN_FIT[model] = callback


def read_recipe(model, members):
    """Returns the `Recipe` of a Keras model that was compiled and fitted in this process.

    Epochs, batch size and the rates of the epochs, where a callback of Keras has changed them, are those of its last
    `fit`; fits before it, since it was compiled, are counted by the optimizer's steps.

    Args:
        model: the target.
        members: number of records it was fitted on.

    Raises:
        ValueError: the model does not tell how it was trained, was trained with a defence among its callbacks, or
            cannot be cloned.
    """
    if model in _CHANGED_IN_FIT:
        raise ValueError(
            f"the model was trained with {_CHANGED_IN_FIT[model]} among its callbacks: shadow models without it would "
            "make the attacks weak. Pass shadows=mpreg.ShadowTraining(train), with the function that trains it"
        )
    history = getattr(model, "history", None)
    last = len(getattr(history, "epoch", None) or ())
    steps = (getattr(history, "params", None) or {}).get("steps")
    if not last or not steps or not getattr(model, "compiled", False):
        raise ValueError(
            'attacks="strong" trains shadow models like the target, and this model does not tell how it was '
            "trained (only a Keras model fitted in this process does). Pass "
            "shadows=mpreg.ShadowFleet(build_fn, epochs=..., batch_size=...), or "
            "shadows=mpreg.ShadowTraining(train) with your own training function"
        )
    done = int(model.optimizer.iterations)
    epochs = max(last, round(done / steps))
    rates = [float(rate) for rate in history.history.get("learning_rate", ())]
    schedule = None
    if len(set(rates)) > 1 or (rates and epochs > last):
        rates = rates[:1] * (epochs - len(rates)) + rates
        schedule = _piecewise(rates, steps)
    batch_size = -(-members // steps)
    note = UNREAD.format(
        epochs=epochs, batch_size=batch_size, rate=_described(model, rates if schedule else None)
    )
    notes = (note,) if done else (note, RECOMPILED)
    return Recipe(clones_of(model, schedule=schedule), epochs, batch_size, notes)


def clones_of(model, *, schedule=None):
    """Returns a function that builds compiled models like a Keras model, each with new initial weights.

    What training has not changed is copied: the weights of layers that were frozen in it, and adapted ones' state.

    Args:
        model: a Sequential or functional model.
        schedule: function without arguments that returns the learning rate schedule to compile with; None takes the
            model's.

    Raises:
        ValueError: the model is of another kind, or nothing in it can be trained.
    """
    import keras

    if not _can_be_cloned(model):
        raise ValueError(
            f"a {type(model).__name__} cannot be cloned for shadow models. Pass shadows=mpreg.ShadowTraining(train) "
            "to mpreg.evaluate, with the function that trains it, so that the attacker trains with the same defence"
        )
    config = model.get_compile_config()
    trained = {id(weight) for weight in getattr(model.optimizer, "_trainable_variables", ())}
    learns = [_learns(layer, trained) for layer in _layers(model)]
    if not any(learns):
        raise ValueError(
            "shadow models are trained like the model, all of whose layers are frozen. Set model.trainable = True, or "
            "that of the layers that were trained, and compile it"
        )

    def clone():
        fresh = keras.models.clone_model(model, clone_function=_with_other_draws)
        _thaw(fresh)
        for old, new, own in zip(_layers(model), _layers(fresh), learns, strict=True):
            new.trainable = own or (old.trainable and not old.trainable_variables)  # such as dropout
            if not own:
                _copy_state(old, new)
        fresh.compile(**keras.saving.deserialize_keras_object(config))
        if schedule is not None:
            fresh.optimizer.learning_rate = schedule()
        return fresh

    return clone


def _learns(layer, trained):
    """Whether training changed a layer, as the optimizer knows, whatever was frozen or thawed since.

    Args:
        layer: the layer.
        trained: ids of the weights that the optimizer trained; none before the first step.
    """
    if not trained:
        return bool(layer.trainable_variables)
    return any(id(weight) in trained for weight in layer.variables)


def thawed(model):
    """Returns a model with gradients: of one that is frozen as a whole a copy that is not, if it can be cloned.

    Freezing is no defence: whoever holds a model can undo it.
    """
    import keras

    if model.trainable_variables or not _can_be_cloned(model):
        return model
    try:
        fresh = keras.models.clone_model(model)
    except (TypeError, NotImplementedError):
        return model  # a layer of somebody's own does not tell how to make another
    for old, new in zip(_layers(model), _layers(fresh), strict=True):
        _copy_state(old, new)
    _thaw(fresh)
    return fresh


def _thaw(model):
    # One by one: a model that says it is not frozen may hold layers that are.
    for layer in model._flatten_layers():
        layer.trainable = True


def _can_be_cloned(model):
    import keras

    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _layers(model):
    """All layers of a model that hold no others, in order."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _copy_state(old, new):
    new.set_weights(old.get_weights())  # of layers within it too
    store = {}
    old.save_own_variables(store)
    if store:
        new.load_own_variables(store)
    if hasattr(old, "save_assets") and getattr(old, "is_adapted", True):  # a vocabulary
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)


def _piecewise(rates, steps):
    """A function that returns the schedule with one rate an epoch."""
    import keras

    ends = [epoch for epoch in range(1, len(rates)) if rates[epoch] != rates[epoch - 1]]
    boundaries, values = [end * steps - 1 for end in ends], [rates[at] for at in (0, *ends)]
    return lambda: keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def _described(model, rates):
    if rates is not None:
        return f"at the learning rates of its epochs, {rates[0]:.3g} at first and {rates[-1]:.3g} at last"
    # Behind the one that scales the loss, where there is one.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    config = optimizer.get_config()["learning_rate"]
    if isinstance(config, dict):
        return f"with the learning rate schedule {config['class_name']}"
    return f"at the learning rate that it has now, {float(config):.3g}, which may not be its first one"


def _with_other_draws(layer):
    """A layer of the same configuration but for its seeds: an attacker does not know the target's first weights."""
    return type(layer).from_config(_without_seeds(layer.get_config()))


def _without_seeds(config):
    if isinstance(config, dict):
        return {key: None if key == "seed" else _without_seeds(value) for key, value in config.items()}
    return [_without_seeds(value) for value in config] if isinstance(config, list) else config
