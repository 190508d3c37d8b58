"""Members of a package that load on first use: what only they need is not imported with the package."""

import importlib
import sys


def load_on_use(package, homes, *, otherwise=None):
    """Returns a package's `__getattr__` and `__dir__`, which know members that are not imported yet.

    Args:
        package: its `__name__`.
        homes: the module that defines each member by the member's name; that of a submodule is the submodule.
        otherwise: `__getattr__` for other names. None raises an `AttributeError` that lists the members.

    Example:
    ```python
    __getattr__, __dir__ = load_on_use(__name__, {"Bundle": "mpreg.attacks.shadow.bundles"})
    ```
    """

    def load(name):
        if name not in homes:
            if otherwise is not None:
                return otherwise(name)
            known = ", ".join(sorted(homes))
            raise AttributeError(f"module {package!r} has no attribute {name!r}. Public names: {known}")
        value = importlib.import_module(homes[name])
        if homes[name] != f"{package}.{name}":
            value = getattr(value, name)
        setattr(sys.modules[package], name, value)
        return value

    def names():
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
