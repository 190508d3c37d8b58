"""A digest of code and options, by which kept figures are known to be of today's defence."""

import dataclasses
import functools
import hashlib
import inspect
import sys
import types
from pathlib import Path

import numpy as np

from mpreg._registry import Registry

# Libraries are not read, nor is code of mpreg below the catalogue: the version stands for it.
_LIBRARIES = {*sys.stdlib_module_names, "keras", "mpreg", "numpy", "scipy", "sklearn", "tensorflow"}
_READ_OF_MPREG = ("mpreg.catalogue", "mpreg.recipes")
_PLAIN = (str, bytes, bool, int, float, complex, type(None), type(...))
_OPTIONS = (*_PLAIN, tuple, list, dict, set, frozenset, functools.partial)  # that a class may hold


def digest_of(*things):
    """Sixteen hexadecimal digits, others where the things are others, or the code behind them.

    Of functions and classes the compiled code counts, so comments do not, with default and enclosed values; so does
    what they use by name, unless it comes from an installed library. The digits of another Python differ, because it
    compiles otherwise.

    Args:
        things: functions, classes, objects and plain values.

    Example:
    ```python
    digest_of(train_mine, 0.5, setting)
    ```
    """
    reader = _Reader(_packages(things))
    reader.read(things)
    return hashlib.sha256("\n".join(reader.lines).encode("utf-8")).hexdigest()[:16]


class _Reader:
    """Writes down what things are, line by line, and each piece of code once.

    Args:
        packages: those that are read though they are installed.
    """

    def __init__(self, packages):
        self.lines = []
        self._packages = packages
        self._seen = {}  # by id, with the things themselves, lest another takes the id

    def read(self, thing):
        """Writes down one thing and all that it holds."""
        thing = inspect.unwrap(thing) if callable(thing) else thing
        if isinstance(thing, _PLAIN):
            self.lines.append(repr(thing))
        elif isinstance(thing, np.ndarray | np.generic):
            content = hashlib.sha256(np.asarray(thing).tobytes()).hexdigest()
            self.lines.append(f"array {thing.dtype} {np.shape(thing)} {content}")
        elif isinstance(thing, tuple):
            self._all(f"tuple of {len(thing)}", *thing)
        elif isinstance(thing, frozenset):
            self._all("frozenset", *sorted(thing, key=repr))
        elif id(thing) in self._seen:
            self.lines.append("as before")
        else:
            self._seen[id(thing)] = thing
            self._read_once(thing)

    def _read_once(self, thing):
        kind = type(thing)
        if isinstance(thing, types.FunctionType):
            self._function(thing)
        elif isinstance(thing, type):
            self._class(thing)
        elif isinstance(thing, types.MethodType):
            self._all("method", thing.__self__, thing.__func__)
        elif isinstance(thing, functools.partial):
            self._all("partial", thing.func, thing.args, thing.keywords)
        elif isinstance(thing, dict) and not isinstance(thing, Registry):
            self._all(kind.__name__, *(part for item in thing.items() for part in item))
        elif isinstance(thing, list):
            self._all(f"list of {len(thing)}", *thing)
        elif isinstance(thing, set):
            self._all("set", *sorted(thing, key=repr))
        elif dataclasses.is_dataclass(thing):
            self._all("dataclass", kind, *_fields(thing))
        elif self._is_own(kind):
            self._all("object", kind, *getattr(thing, "__dict__", {}).items())
        else:
            self.lines.append(f"{kind.__module__}.{kind.__qualname__} {getattr(thing, '__name__', '')}")

    def _all(self, head, *parts):
        self.lines.append(head)
        for part in parts:
            self.read(part)

    def _function(self, function):
        enclosed = [cell.cell_contents for cell in function.__closure__ or () if cell != types.CellType()]
        head = f"function {function.__module__}.{function.__qualname__}"
        self._all(head, function.__defaults__, function.__kwdefaults__, enclosed)
        if self._is_own(function):
            self._code(function.__code__, function.__globals__)

    def _class(self, kind):
        self.lines.append(f"class {kind.__module__}.{kind.__qualname__}")
        if not self._is_own(kind):
            return
        self._all("bases", *kind.__bases__)
        for name, value in vars(kind).items():
            value = getattr(value, "__func__", value)  # of class methods and static ones
            value = getattr(value, "fget", value)  # of properties
            if isinstance(value, types.FunctionType) or (isinstance(value, _OPTIONS) and name[:2] != "__"):
                self._all(name, value)

    def _code(self, code, known):
        """Compiled code, and what it uses of the names that its module knows."""
        self.lines.append(f"{code.co_code.hex()} {code.co_names}")
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant, known)
            else:
                self.read(constant)
        self._used(code.co_names, known)

    def _used(self, names, known):
        for name in names:
            if name not in known:
                continue
            value = known[name]
            if isinstance(value, types.ModuleType):
                if self._is_read(value.__name__) and id(value) not in self._seen:
                    self._used([other for other in names if other != name], vars(value))
            else:
                self._all(name, value)

    def _is_own(self, thing):
        return self._is_read(thing.__module__ or "")

    def _is_read(self, module):
        top = module.partition(".")[0]
        if top in _LIBRARIES:
            return module.startswith(_READ_OF_MPREG)
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        return top in self._packages or not {"site-packages", "dist-packages"} & {*Path(file).parts}


def _packages(thing):
    """The packages of things that are handed over, and of what these hold."""
    if isinstance(thing, functools.partial):
        held = (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, types.FunctionType):
        held = [cell.cell_contents for cell in thing.__closure__ or () if cell != types.CellType()]
    elif dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        held = [value for _, value in _fields(thing)]
    else:
        held = thing if isinstance(thing, tuple) else ()
    own = thing if isinstance(thing, types.FunctionType | type) else type(thing)
    return {(own.__module__ or "").partition(".")[0]}.union(*map(_packages, held))


def _fields(thing):
    return [(field.name, getattr(thing, field.name)) for field in dataclasses.fields(thing)]
