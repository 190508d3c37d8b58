"""Saved models load in a process that has imported keras and mpreg, in either order, and nothing more.

Keras finds a saved class only where its module was imported before, and `import mpreg` alone must not import Keras.
So these modules are imported as soon as both are there.
"""

import importlib
import importlib.abc
import sys

SAVED = ("mpreg.outputs", "mpreg.training", "mpreg.private")


def when_keras_is_there():
    """Imports the modules of classes that are saved, now or right after Keras."""
    if "keras" in sys.modules:
        _import_saved()
    else:
        sys.meta_path.insert(0, _Waiting())


def _import_saved():
    for name in SAVED:
        importlib.import_module(name)


class _Waiting(importlib.abc.MetaPathFinder):
    """Finds nothing itself; where Keras is found by others, has its loader import the modules afterwards."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        others = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, others), None)
        if spec is not None:
            spec.loader = _Then(spec.loader, self)
        return spec


class _Then(importlib.abc.Loader):
    """A loader that imports the modules once its own is whole."""

    def __init__(self, loader, waiting):
        self._loader, self._waiting = loader, waiting

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        # Not before: whoever only asks whether Keras is installed finds it too.
        sys.meta_path.remove(self._waiting)
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _import_saved()
