"""A Keras model as the scorer of a screening: one replica for each fold, in one program where possible."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mpreg import signals
from mpreg._deprecated import renamed_arguments
from mpreg._validate import check_count
from mpreg.classifiers.kind import trains_on_logits
from mpreg.data import label_indices
from mpreg.fleet.fleet import Fleet


class FleetScorer:
    """Scores the plausibility of labels by cross-fitting a Keras model in a fleet.

    For data that a logistic regression cannot read, such as images. Few epochs are enough: what a model learns early is
    what records have in common. Each of the `folds` models of the screening sees the records of the others.

    Args:
        build_fn: as for `mpreg.Fleet`: function without arguments that builds and compiles a classifier.
        epochs: how often each model sees its records.
        batch_size: records of a step.
        seed: of weights and batches.

    Raises:
        ValueError: an option out of range; when called, what `mpreg.Fleet` refuses.

    Example:
    ```python
    screening = mpreg.Screening(scorer=mpreg.FleetScorer(build_and_compile, epochs=5), share=0.1, folds=3)
    ```
    """

    @renamed_arguments(model_fn="build_fn")
    def __init__(self, build_fn: Callable[..., Any], *, epochs: int, batch_size: int = 128, seed: int = 0):
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        self._fleet = lambda count: Fleet(build_fn, count, seed=seed)
        self._options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "verbose": 0}

    def __call__(self, x: Any, y: Any, folds: Any):
        """Returns the probability of each record's label, (n,), by a model trained on the other folds."""
        membership = folds != np.unique(folds)[:, None]
        fleet = self._fleet(len(membership)).fit(x, y, membership=membership, **self._options)
        model, labels = fleet.model(0), label_indices(y)
        logits = trains_on_logits(model, model.loss)
        answers = fleet.predict(x, asked=~membership)[(~membership).argmax(axis=0), np.arange(len(labels))]
        read = signals.read_answers(answers, labels, from_logits=logits)
        return read.probabilities[np.arange(len(labels)), labels]
