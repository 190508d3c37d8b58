"""Gradients of single records: their norms and clipped sums from one backward pass.

Each family of layers has a file of rules; `rule` registers one for a layer of your own, of these parts.
"""

from mpreg.gradients import convolution, dense, einsum, embedding, normalization, recurrent  # noqa: F401, their rules
from mpreg.gradients.pieces import Lookups as Lookups
from mpreg.gradients.pieces import Rows as Rows
from mpreg.gradients.pieces import outer_products as outer_products
from mpreg.gradients.registry import rule as rule
from mpreg.gradients.shapes import exact as exact
from mpreg.gradients.shapes import fold_rows as fold_rows
from mpreg.gradients.shapes import positions as positions
