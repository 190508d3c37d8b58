"""Per-example gradients of one variable, held in the form that makes their norms and weighted sums cheap.

Each piece answers two questions: `squared_norms()`, float32 (n,), and `weighted_sum(factors)`, the sum over examples of
factor times gradient, shaped as the variable. `cleaned(keep)` is the piece without the examples that `keep` leaves out.

Source: Goodfellow, "Efficient Per-Example Gradient Computations", 2015 (norms of outer products); Bu et al., "Scalable
and Efficient Training of Large Convolutional Neural Networks with Differential Privacy", NeurIPS 2022, section 3 (Gram
matrices or gradients, whichever is smaller); Bu et al., "Differentially Private Optimization on Large Model at Small
Cost", ICML 2023, section 3 (book-keeping: one backward pass).
"""

import math

import tensorflow as tf


class Rows:
    """Gradients written out, one a row: right where a variable is small."""

    def __init__(self, variable, values):
        self.variable = variable
        self.values = values  # (n, *variable.shape)

    def squared_norms(self):
        return _squared_norms(self.values)

    def weighted_sum(self, factors):
        total = tf.linalg.matvec(_flat(self.values), factors, transpose_a=True)
        return tf.reshape(total, self.variable.shape)

    def cleaned(self, keep):
        return Rows(self.variable, _keep(self.values, keep))


class OuterProducts:
    """Gradients that are sums of outer products of what went into a layer and what came back.

    The gradient of an example is the matrix `inputs` (n, positions, d) transposed times `outputs` (n, positions, p).
    Norms come from Gram matrices over positions, sums from one product over examples and positions.

    Args:
        inputs: tensor (n, positions, d).
        outputs: tensor (n, positions, p).
        restore: makes the variable's shape of a matrix (d, p); None reshapes.
    """

    def __init__(self, variable, inputs, outputs, restore=None):
        self.variable, self.inputs, self.outputs, self.restore = variable, inputs, outputs, restore

    def squared_norms(self):
        if self.outputs.shape[1] == 1:
            sizes = (tf.reduce_sum(tf.square(part), axis=(1, 2)) for part in (self.inputs, self.outputs))
            return tf.multiply(*sizes)
        grams = (tf.matmul(part, part, transpose_b=True) for part in (self.inputs, self.outputs))
        return tf.maximum(tf.reduce_sum(tf.multiply(*grams), axis=(1, 2)), 0.0)

    def weighted_sum(self, factors):
        scaled = self.outputs * factors[:, None, None]
        inputs, scaled = (tf.reshape(part, (-1, part.shape[-1])) for part in (self.inputs, scaled))
        return _restored(self, tf.matmul(inputs, scaled, transpose_a=True))

    def cleaned(self, keep):
        parts = (_keep(part, keep) for part in (self.inputs, self.outputs))
        return OuterProducts(self.variable, *parts, self.restore)


class WrittenProducts:
    """As `OuterProducts`, but summed over positions at once, (n, d, p): less than their Gram matrices."""

    def __init__(self, variable, products, restore=None):
        self.variable, self.products, self.restore = variable, products, restore

    def squared_norms(self):
        return _squared_norms(self.products)

    def weighted_sum(self, factors):
        total = tf.linalg.matvec(_flat(self.products), factors, transpose_a=True)
        return _restored(self, tf.reshape(total, self.products.shape[1:]))

    def cleaned(self, keep):
        return WrittenProducts(self.variable, _keep(self.products, keep), self.restore)


class Lookups:
    """Gradients of an embedding: what came back (n, positions, p) is added to the rows `ids` (n, positions)."""

    def __init__(self, variable, ids, outputs):
        self.variable, self.ids, self.outputs = variable, ids, outputs

    def squared_norms(self):
        if self.ids.shape[1] == 1:
            return tf.reduce_sum(tf.square(self.outputs), axis=(1, 2))
        # Add up what came back for the same row: sort each example's ids, and number the runs of equal ones.
        order = tf.argsort(self.ids, axis=1)
        ids = tf.gather(self.ids, order, batch_dims=1)
        outputs = tf.gather(self.outputs, order, batch_dims=1)
        n, positions = tf.unstack(tf.shape(ids))
        new = tf.cast(ids[:, 1:] != ids[:, :-1], tf.int32)
        run = tf.pad(tf.cumsum(new, axis=1), ((0, 0), (1, 0))) + positions * tf.range(n)[:, None]
        width = outputs.shape[-1]
        sums = tf.math.unsorted_segment_sum(
            tf.reshape(outputs, (-1, width)), tf.reshape(run, (-1,)), n * positions
        )
        return tf.reduce_sum(tf.reshape(tf.square(sums), (n, positions * width)), axis=1)

    def weighted_sum(self, factors):
        outputs = tf.reshape(self.outputs * factors[:, None, None], (-1, self.outputs.shape[-1]))
        return tf.math.unsorted_segment_sum(outputs, tf.reshape(self.ids, (-1,)), self.variable.shape[0])

    def cleaned(self, keep):
        return Lookups(self.variable, self.ids, _keep(self.outputs, keep))


def outer_products(variable, inputs, outputs, restore=None):
    """The cheaper of `OuterProducts` and `WrittenProducts`: two Gram matrices, or one gradient, an example."""
    positions = outputs.shape[1]
    size = inputs.shape[-1] * outputs.shape[-1]
    if positions == 1 or (positions or 64) ** 2 * 2 < size:
        return OuterProducts(variable, inputs, outputs, restore)
    return WrittenProducts(variable, tf.matmul(inputs, outputs, transpose_a=True), restore)


def _restored(piece, matrix):
    return piece.restore(matrix) if piece.restore else tf.reshape(matrix, piece.variable.shape)


def _squared_norms(values):
    flat = tf.square(_flat(values))
    return tf.linalg.matvec(flat, tf.ones((flat.shape[1],)))  # half again as fast as `reduce_sum` along rows


def _flat(values):
    return tf.reshape(values, (-1, math.prod(values.shape[1:])))


def _keep(values, keep):
    """Values with 0 in the rows left out: a product with 0 would keep their NaN."""
    keep = tf.reshape(keep, (-1, *[1] * (values.shape.rank - 1)))
    return tf.where(keep, values, tf.zeros_like(values))
