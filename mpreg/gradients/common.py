"""What the rules of several families share: which weights they know, and the gradients of a bias."""

from mpreg.gradients.pieces import Rows
from mpreg.gradients.shapes import exact, fold_rows, sum_outside


def named(*names):
    """Returns a function of a layer that returns its weights of these names."""
    return lambda layer: [getattr(layer, name, None) for name in names]


def if_trained(variable, make):
    """Returns `[make(variable)]`, or an empty list if there is no such variable or it is frozen."""
    return [] if variable is None or not variable.trainable else [make(variable)]


def bias_pieces(bias, gradients, copies):
    """Returns the piece of a bias: output gradients summed over the axes that it was broadcast over."""

    def rows(gradient):
        gradient = exact(gradient)
        shape = [1] * (gradient.shape.rank - 1 - len(bias.shape)) + list(bias.shape)
        kept = {
            axis
            for axis, (have, size) in enumerate(zip(gradient.shape[1:], shape, strict=True), 1)
            if size != 1 or have == 1
        }
        return sum_outside(gradient, kept)

    return if_trained(
        bias, lambda bias: Rows(bias, fold_rows([rows(g) for g in gradients], copies, bias.shape))
    )
