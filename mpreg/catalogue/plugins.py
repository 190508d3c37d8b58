"""Modules of others that register what they add."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path

from mpreg.catalogue.stranger import OwnData

_loaded: dict[str, object] = {}  # module by the name or path it was loaded by


def load_plugin(name):
    """Imports a module that registers defences, networks, settings, data sets or attacks, once a process; returns it.

    Args:
        name: a module as Python imports it, such as `"lab.defences"`, or the path of a `.py` file. An `OwnData`
            registers itself.

    Raises:
        ValueError: there is no such module or file.

    Example:
    ```python
    mpreg.catalogue.load_plugin("my_defences.py")
    ```
    """
    if isinstance(name, OwnData):
        _loaded[name] = _loaded.get(name) or name.register()
        return _loaded[name]
    path = Path(name)
    if path.suffix == ".py":
        name = str(path.resolve())
    if name not in _loaded:
        _loaded[name] = _run_file(Path(name)) if path.suffix == ".py" else _import(name)
    return _loaded[name]


def loaded_plugins():
    """The names of all that were loaded, in order: what a worker process has to load too."""
    return tuple(_loaded)


def _run_file(path):
    if not path.is_file():
        raise ValueError(
            f"a plugin must be a module or the path of a .py file. There is no file {str(path)!r}"
        )
    # Other files may have the same name.
    name = f"mpreg_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _import(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the plugin imports is missing
        raise ValueError(
            f"a plugin must be a module that Python finds, or the path of a .py file. Received: {name!r}"
        ) from error
