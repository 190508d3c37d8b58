"""A compiled model's configuration as text, equal for two builds of the same model."""

import json
import re
import warnings

ADDRESS = re.compile(r"0x[0-9a-f]+")


def configuration(model):
    """Returns layers, optimizer, loss and metrics of a compiled model as one line of text.

    Names that Keras counts up within a process (`dense_3`, `adam_1`) are left out: they differ between two builds.
    What cannot be serialized stands as its `repr`.
    """
    parts = {
        "model": _described(model.get_config, model),
        "compiled": _described(model.get_compile_config, model),
    }
    names = {name: f"#{at}" for at, name in enumerate(_names(parts))}
    return ADDRESS.sub("", json.dumps(_renamed(parts, names), sort_keys=True, default=repr))


def _described(get, model):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a loss that is a lambda: nothing is loaded again here
            return get()
    except NotImplementedError:  # a layer of the user's own that does not tell its options
        return [type(layer).__name__ for layer in model._flatten_layers()]


def _names(part):
    """The names of all objects in a serialized structure, in order, once each."""
    found = {}
    if isinstance(part, dict):
        if part.get("class_name") == "DTypePolicy":  # its name is what it is
            return []
        if isinstance(part.get("name"), str):
            found[part["name"]] = None
        for value in part.values():
            found |= dict.fromkeys(_names(value))
    elif isinstance(part, list | tuple):
        for value in part:
            found |= dict.fromkeys(_names(value))
    return list(found)


def _renamed(part, names):
    if isinstance(part, dict):
        return {key: _renamed(value, names) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_renamed(value, names) for value in part]
    return names.get(part, part) if isinstance(part, str) else part
