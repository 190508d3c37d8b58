"""What a defence answers that ends in one plain classifier."""


class ServedByTarget:
    """Hands questions on to `target_model`, a plain Keras classifier that a subclass has trained."""

    def predict(self, x, **options):
        """As `predict` of `target_model`."""
        return self.target_model.predict(x, **options)

    def predict_on_batch(self, x):
        """As `predict_on_batch` of `target_model`."""
        return self.target_model.predict_on_batch(x)

    def evaluate(self, x, y, **options):
        """As `evaluate` of `target_model`."""
        return self.target_model.evaluate(x, y, **options)
