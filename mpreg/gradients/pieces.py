"""Per-example gradients of one variable, in forms with cheap norms and weighted sums.

Each piece answers two questions: `squared_norms()`, (n,), and `weighted_sum(factors)`, the sum over examples of factor
times gradient, shaped as the variable; in float32, or in float64 where the gradients are. `cleaned(keep)` is the piece
without the examples that `keep` leaves out, `written()` its gradients in full, (n, *variable.shape).

A norm is never below that of what the example adds to a weighted sum by more than `rounding.BOUND` (1e-3) of it, as far
as the example's own numbers go, however its positions cancel. It may be above where they do. Gradients that are written
out are summed as they are measured; the others are not, and `rounding` says what is done. Norms above 1e19 are beyond
float32's squares: they are infinite, and the example counts as one without a gradient.

Source: Goodfellow, "Efficient Per-Example Gradient Computations", 2015 (norms of outer products); Bu et al., "Scalable
and Efficient Training of Large Convolutional Neural Networks with Differential Privacy", NeurIPS 2022, section 3 (Gram
matrices or gradients, whichever is smaller); Bu et al., "Differentially Private Optimization on Large Model at Small
Cost", ICML 2023, section 3 (book-keeping: one backward pass).
"""

import tensorflow as tf

from mpreg.gradients.rounding import raised, squared_norms_of_products, sums_of_squares, unit
from mpreg.gradients.shapes import exact


class Rows:
    """Holds gradients as rows, for small variables.

    Args:
        variable: of the gradients.
        values: tensor (n, *variable.shape).
    """

    def __init__(self, variable, values):
        self.variable, self.values = variable, exact(values)

    def squared_norms(self):
        return sums_of_squares(self.values)

    def weighted_sum(self, factors):
        return tf.reshape(_weighted_rows(self.values, factors), self.variable.shape)

    def cleaned(self, keep):
        return Rows(self.variable, _keep(self.values, keep))

    def written(self):
        return self.values


class OuterProducts:
    """Holds gradients as sums of outer products of layer inputs and output gradients.

    The gradient of an example is the matrix `inputs` (n, positions, d) transposed times `outputs` (n, positions, p).
    Norms come from Gram matrices over positions, sums from one product over examples and positions.

    Args:
        variable: of the gradients.
        inputs: tensor (n, positions, d).
        outputs: tensor (n, positions, p).
        restore: makes the variable's shape of a matrix (d, p); None reshapes.
    """

    def __init__(self, variable, inputs, outputs, restore=None):
        self.variable, self.restore = variable, restore
        self.inputs, self.outputs = _alike(inputs, outputs)

    def squared_norms(self):
        if self.outputs.shape[1] == 1:
            return sums_of_squares(self.inputs) * sums_of_squares(self.outputs)
        return squared_norms_of_products(self.inputs, self.outputs)

    def weighted_sum(self, factors):
        scaled = self.outputs * tf.cast(factors, self.outputs.dtype)[:, None, None]
        inputs, scaled = (tf.reshape(part, (-1, part.shape[-1])) for part in (self.inputs, scaled))
        return _restored(self, tf.matmul(inputs, scaled, transpose_a=True))

    def cleaned(self, keep):
        parts = (_keep(part, keep) for part in (self.inputs, self.outputs))
        return OuterProducts(self.variable, *parts, self.restore)

    def written(self):
        return _written(self, tf.matmul(self.inputs, self.outputs, transpose_a=True))


class WrittenProducts:
    """Holds products summed over positions, (n, d, p), where that is smaller than their Gram matrices."""

    def __init__(self, variable, products, restore=None):
        self.variable, self.products, self.restore = variable, products, restore

    def squared_norms(self):
        return sums_of_squares(self.products)

    def weighted_sum(self, factors):
        return _restored(self, tf.reshape(_weighted_rows(self.products, factors), self.products.shape[1:]))

    def cleaned(self, keep):
        return WrittenProducts(self.variable, _keep(self.products, keep), self.restore)

    def written(self):
        return _written(self, self.products)


class Lookups:
    """Holds gradients of an embedding: values (n, positions, p) for the rows `ids` (n, positions)."""

    def __init__(self, variable, ids, outputs):
        self.variable, self.ids, self.outputs = variable, ids, exact(outputs)

    def squared_norms(self):
        if self.ids.shape[1] == 1:
            return sums_of_squares(self.outputs)
        # Add up what came back for the same row: sort each example's ids, and number the runs of equal ones.
        order = tf.argsort(self.ids, axis=1)
        ids = tf.gather(self.ids, order, batch_dims=1)
        outputs = tf.gather(self.outputs, order, batch_dims=1)
        n, positions = tf.unstack(tf.shape(ids))
        new = tf.cast(ids[:, 1:] != ids[:, :-1], tf.int32)
        run = tf.pad(tf.cumsum(new, axis=1), ((0, 0), (1, 0))) + positions * tf.range(n)[:, None]

        def by_run(values):
            flat = tf.reshape(values, (-1, values.shape[-1]))
            sums = tf.math.unsorted_segment_sum(flat, tf.reshape(run, (-1,)), n * positions)
            return tf.reshape(sums, (n, positions, values.shape[-1]))

        squares = tf.reduce_sum(tf.square(by_run(outputs)), axis=(1, 2))
        # Each addition to a row rounds, in the norm and in a weighted sum.
        sizes = tf.norm(outputs, axis=-1)
        size, count = tf.unstack(by_run(tf.stack([sizes, tf.ones_like(sizes)], axis=-1)), axis=-1)
        return raised(squares, 2 * unit(outputs.dtype) * tf.norm(size * count, axis=1))

    def weighted_sum(self, factors):
        scaled = self.outputs * tf.cast(factors, self.outputs.dtype)[:, None, None]
        flat = tf.reshape(scaled, (-1, scaled.shape[-1]))
        return tf.math.unsorted_segment_sum(flat, tf.reshape(self.ids, (-1,)), self.variable.shape[0])

    def cleaned(self, keep):
        return Lookups(self.variable, self.ids, _keep(self.outputs, keep))

    def written(self):
        n, positions = tf.unstack(tf.shape(self.ids))
        rows = self.variable.shape[0]
        flat = tf.reshape(self.outputs, (n * positions, self.outputs.shape[-1]))
        at = tf.reshape(self.ids + rows * tf.range(n)[:, None], (-1,))
        return tf.reshape(tf.math.unsorted_segment_sum(flat, at, n * rows), (-1, *self.variable.shape))


def outer_products(variable, inputs, outputs, restore=None):
    """Returns the cheaper of `OuterProducts` and `WrittenProducts`."""
    inputs, outputs = _alike(inputs, outputs)
    positions = outputs.shape[1]
    size = inputs.shape[-1] * outputs.shape[-1]
    if positions == 1 or (positions or 64) ** 2 * 2 < size:
        return OuterProducts(variable, inputs, outputs, restore)
    return WrittenProducts(variable, tf.matmul(inputs, outputs, transpose_a=True), restore)


def _alike(*tensors):
    """Tensors in `exact` precision, the same for all."""
    tensors = [exact(tensor) for tensor in tensors]
    widest = tf.float64 if any(tensor.dtype == tf.float64 for tensor in tensors) else tf.float32
    return [tf.cast(tensor, widest) for tensor in tensors]


def _restored(piece, matrix):
    return piece.restore(matrix) if piece.restore else tf.reshape(matrix, piece.variable.shape)


def _written(piece, matrices):
    if piece.restore:
        return tf.map_fn(piece.restore, matrices, fn_output_signature=matrices.dtype)
    return tf.reshape(matrices, (-1, *piece.variable.shape))


def _weighted_rows(values, factors):
    flat = tf.reshape(values, (-1, values.shape[1:].num_elements()))
    return tf.linalg.matvec(flat, tf.cast(factors, flat.dtype), transpose_a=True)


def _keep(values, keep):
    """Values with 0 in the rows left out: a product with 0 would keep their NaN."""
    keep = tf.reshape(keep, (-1, *[1] * (values.shape.rank - 1)))
    return tf.where(keep, values, tf.zeros_like(values))
