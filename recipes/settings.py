"""Settings that recipes share beside those of the catalogue."""

import functools

from mpreg.catalogue import table
from mpreg.catalogue.networks import small_mlp
from mpreg.catalogue.settings import LOCATION30

# Small enough to try anything on; its network has dropout, so that it does not know its members wholly by heart.
LOCATION30_WITH_DROPOUT = LOCATION30.replace(
    network=table(functools.partial(small_mlp, dropout=0.5)), learning_rate=5e-4, epochs=100, penalty=3.0
)
