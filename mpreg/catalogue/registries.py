"""Where defences, networks and settings are kept by name. `mpreg.catalogue` fills them."""

from mpreg._registry import Registry

DEFENCES = Registry("defence")
NETWORKS = Registry("network")
SETTINGS = Registry("setting")
