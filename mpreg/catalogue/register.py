"""Adding to the catalogue."""

from mpreg._validate import brief
from mpreg.catalogue.defence import Defence
from mpreg.catalogue.networks import Network
from mpreg.catalogue.registries import DEFENCES, NETWORKS, SETTINGS
from mpreg.catalogue.setting import Setting

_KINDS = {Defence: DEFENCES, Network: NETWORKS, Setting: SETTINGS}


def register(entry, *, replace=False):
    """Adds a defence, a network or a setting, which commands then know by its name; returns it.

    Args:
        entry: a `Defence`, `Network` or `Setting`.
        replace: whether it may take the place of one of the same name.

    Raises:
        ValueError: the name is taken, or is none.
        TypeError: something else.

    Example:
    ```python
    mpreg.catalogue.register(Defence(name="mine", build=train_mine, source="us"))
    ```
    """
    for kind, registry in _KINDS.items():
        if isinstance(entry, kind):
            return registry.register(entry.name, entry, replace=replace)
    known = ", ".join(kind.__name__ for kind in _KINDS)
    raise TypeError(f"entry must be one of {known}. Received: {brief(entry)}")
