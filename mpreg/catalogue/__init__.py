"""Every defence, network and setting by name; it declares them and runs nothing.

The usual strengths are the papers' own or common ones, but where a comment beside them says otherwise:
`mpreg recipe frontier --validation` is there to choose them by, on one half of the reference records.
"""

from mpreg.catalogue import (
    distilled,
    game,
    losses,
    mixing,
    networks,
    plain,
    private,
    regularized,
    screened,
    served,
    settings,
    stacked,
)
from mpreg.catalogue.defence import ANY as ANY
from mpreg.catalogue.defence import Defence as Defence
from mpreg.catalogue.defence import Task as Task
from mpreg.catalogue.defence import chosen as chosen
from mpreg.catalogue.defence import defence_of as defence_of
from mpreg.catalogue.digest import digest_of as digest_of
from mpreg.catalogue.networks import Network as Network
from mpreg.catalogue.networks import images as images
from mpreg.catalogue.networks import table as table
from mpreg.catalogue.plugins import load_plugin as load_plugin
from mpreg.catalogue.plugins import loaded_plugins as loaded_plugins
from mpreg.catalogue.register import register as register
from mpreg.catalogue.registries import DEFENCES as DEFENCES
from mpreg.catalogue.registries import NETWORKS as NETWORKS
from mpreg.catalogue.registries import SETTINGS as SETTINGS
from mpreg.catalogue.setting import Setting as Setting
from mpreg.catalogue.setting import setting_of as setting_of
from mpreg.catalogue.stranger import OwnData as OwnData

_FAMILIES = (
    networks,
    settings,
    plain,
    regularized,
    game,
    screened,
    mixing,
    losses,
    distilled,
    stacked,
    private,
    served,
)

for _family in _FAMILIES:
    for _entry in _family.FAMILY:
        register(_entry)
