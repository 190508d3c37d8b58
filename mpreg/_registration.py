"""Saved models load in a process that has imported keras and mpreg, in either order, and nothing more.

Keras finds a saved class by the name that it was registered under, such as `mpreg>TopK`, and in no other way: the
module that a file names is imported only where it is one of Keras' own, so that a file cannot have code run. So every
name is registered beforehand. To import the classes for that would import TensorFlow with `import mpreg`, and in a
circle where it is one of their modules that imports Keras first. Hence something stands for each that imports it when a
file asks for it.
"""

import importlib

import wrapt


def when_keras_is_there(saved):
    """Registers saved classes, now or as soon as Keras is imported.

    Args:
        saved: module by class name.
    """

    def register(keras):
        known = keras.saving.get_custom_objects()
        for name, module in saved.items():
            known.setdefault(f"mpreg>{name}", Later(module, name))

    wrapt.register_post_import_hook(register, "keras")


class Later:
    """Stands for a saved class until its module is imported, which registers the class itself.

    Args:
        module: where the class is defined.
        name: its name there.
    """

    def __init__(self, module, name):
        self._module, self._name = module, name

    def from_config(self, config):
        """An object of the class, as Keras asks a registered class for it."""
        return getattr(importlib.import_module(self._module), self._name).from_config(config)
