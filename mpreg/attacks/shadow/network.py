"""A Keras network as a membership classifier; it imports scikit-learn, which other attacks do without."""

import numpy as np
from sklearn.base import BaseEstimator

from mpreg import signals
from mpreg._deprecated import renamed_arguments
from mpreg._validate import check_count, short_repr


class NetworkClassifier(BaseEstimator):
    """Wraps a Keras network as a membership classifier with scikit-learn's interface.

    Args:
        build_fn: function without arguments that returns a fresh compiled network whose last layer is a sigmoid
            unit, or a softmax of two with members second.
        epochs, batch_size: of its training.

    Raises:
        ValueError: `build_fn` is no function, `epochs` or `batch_size` below 1; at `predict_proba`, a network
            that answers otherwise.

    Example:
    ```python
    def build():
        network = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(1, "sigmoid")])
        network.compile("adam", "binary_crossentropy")
        return network

    ShadowAttack(NetworkClassifier(build, epochs=20))
    ```
    """

    @renamed_arguments(model_fn="build_fn")
    def __init__(self, build_fn, *, epochs=50, batch_size=64):
        if not callable(build_fn) or isinstance(build_fn, type) or hasattr(build_fn, "predict_on_batch"):
            raise ValueError(
                f"build_fn must be a function that returns a compiled network. Received: {short_repr(build_fn)}"
            )
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        self.build_fn, self.epochs, self.batch_size = build_fn, epochs, batch_size

    def fit(self, features, membership):
        self.network_ = self.build_fn()
        options = {"epochs": self.epochs, "batch_size": self.batch_size, "verbose": 0}
        self.network_.fit(np.asarray(features, np.float32), np.asarray(membership, np.float32), **options)
        return self

    def predict_proba(self, features):
        """Returns the probabilities of non-members and of members, (n, 2)."""
        members = member_probability(self.network_, np.asarray(features, np.float32))
        return np.column_stack([1 - members, members])


def member_probability(model, features):
    """Returns the membership probabilities of a scikit-learn or Keras classifier, float64 (n,).

    Raises:
        ValueError: answers that are no probabilities, or of more than two classes.
    """
    answers = np.asarray(signals.predict(model, features, classes=2), np.float64)
    answers = answers.reshape(len(features), -1)
    if answers.shape[1] not in (1, 2) or not ((answers >= 0) & (answers <= 1)).all():
        raise ValueError(
            "an attack model must answer with the probability of membership, from one sigmoid unit or a softmax "
            f"of two. Received: shape {answers.shape}, values from {answers.min():.4g} to {answers.max():.4g}"
        )
    return answers[:, -1]
