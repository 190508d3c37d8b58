"""A model's activations and gradients on single records, as a white-box attacker reads them."""

from mpreg.internals.reading import Choice as Choice
from mpreg.internals.reading import Reading as Reading
from mpreg.internals.reading import read_signals as read_signals
from mpreg.internals.snapshots import Snapshots as Snapshots
