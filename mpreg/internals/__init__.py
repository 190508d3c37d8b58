"""What goes on inside a model with single records, as somebody reads it who has the model: activations, gradients."""

from mpreg.internals.reading import Choice as Choice
from mpreg.internals.reading import Reading as Reading
from mpreg.internals.reading import read_signals as read_signals
from mpreg.internals.snapshots import Snapshots as Snapshots
