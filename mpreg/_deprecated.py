"""Old names of arguments, attributes and module members: they work for one version, with a `DeprecationWarning`."""

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def renamed_arguments(**names: str) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorates a function so that it still takes keyword arguments by their old names.

    Args:
        names: the new name of each old one.

    Raises:
        TypeError: at a call, an argument given by both names.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        new_names = inspect.signature(function).parameters

        @functools.wraps(function)
        def renaming(*args: Any, **options: Any) -> Result:
            for old in names.keys() & options.keys():
                new = names[old]
                if new in options or list(new_names).index(new) < len(args):
                    raise TypeError(f"{new} was given twice: {old} is its old name")
                _warn(f"the argument {old}", new)
                options[new] = options.pop(old)
            return function(*args, **options)

        return renaming

    return decorate


class RenamedAttribute:
    """An attribute or method of a class that is now called something else.

    Example:
    ```python
    class Report:
        surest = RenamedAttribute("best_at_low_fpr")
    ```
    """

    def __init__(self, new: str):
        self._new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self._old = name

    def __get__(self, instance: object, owner: type) -> Any:
        _warn(f"{owner.__name__}.{self._old}", self._new)
        return getattr(owner if instance is None else instance, self._new)


def renamed_members(module: str, **names: str) -> Callable[[str], Any]:
    """Returns a module's `__getattr__` that finds its members by their old names.

    Args:
        module: its `__name__`.
        names: the new name of each old one, `name`, or `package.module.name` where it has moved.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, new = names[name].rpartition(".")
        _warn(f"{module}.{name}", names[name])
        return getattr(importlib.import_module(home or module), new)

    return find


def _warn(old: str, new: str) -> None:
    warnings.warn(
        f"{old} is now {new}; the old name goes in the next version", DeprecationWarning, stacklevel=3
    )
