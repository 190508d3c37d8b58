"""Adding to the catalogue."""

from typing import Any

from mpreg import attacks, datasets
from mpreg._validate import short_repr
from mpreg.catalogue.defence import Defence
from mpreg.catalogue.networks import Network
from mpreg.catalogue.registries import DEFENCES, NETWORKS, SETTINGS
from mpreg.catalogue.setting import Setting


def register(entry: Any, *, replace: bool = False):
    """Adds a defence, a network, a setting, a data set or an attack, which commands then know by name; returns it.

    Args:
        entry: a `Defence`, a `Network`, a `Setting`, an `mpreg.datasets.Loader`, or an `mpreg.attacks.Attack` with a
            key (or its class, where that is made without arguments; so `register` can decorate it).
        replace: whether it may take the place of one of the same name.

    Raises:
        ValueError: the name is taken, or is none.
        TypeError: something else.

    Example:
    ```python
    mpreg.catalogue.register(Defence(name="mine", build=train_mine, source="us"))
    ```
    """
    for kind, registry in ((Defence, DEFENCES), (Network, NETWORKS), (Setting, SETTINGS)):
        if isinstance(entry, kind):
            return registry.register(entry.name, entry, replace=replace)
    if isinstance(entry, datasets.Loader):
        return datasets.register(entry, replace=replace)
    if isinstance(entry, attacks.Attack) or (isinstance(entry, type) and issubclass(entry, attacks.Attack)):
        return attacks.register(entry, replace=replace)
    raise TypeError(
        f"entry must be a Defence, Network, Setting, datasets.Loader or Attack. Received: {short_repr(entry)}"
    )
