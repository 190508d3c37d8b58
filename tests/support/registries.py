"""What tests register is forgotten after them."""

import contextlib

from mpreg import datasets
from mpreg.attacks.suites import ATTACKS
from mpreg.catalogue import DEFENCES, NETWORKS, SETTINGS
from mpreg.catalogue.plugins import _loaded

REGISTRIES = (DEFENCES, NETWORKS, SETTINGS, ATTACKS, datasets.LOADERS)


@contextlib.contextmanager
def forgetting():
    """Puts all registries, and the list of loaded plugins, back as they were."""
    everything = (*REGISTRIES, _loaded)
    before = [dict(registry) for registry in everything]
    yield
    for registry, entries in zip(everything, before, strict=True):
        registry.clear()
        registry.update(entries)
