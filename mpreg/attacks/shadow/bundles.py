"""Bundles of shadow models and attack models with the interface of the `mia` library.

Scripts written for `mia.estimators` run with the import changed. The shadow models may be Keras or scikit-learn
models, and so may the attack models; class labels may be integers or one-hot.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mpreg import signals
from mpreg._validate import check_count, short_repr
from mpreg.attacks.shadow.network import member_probability
from mpreg.data import check_labels, count_labels, label_indices, map_arrays


class ShadowModelBundle(BaseEstimator):
    """Trains shadow models on random records and predicts these and as many others.

    They are trained one after another by their own `fit`; `mpreg.ShadowFleet` trains Keras models in one
    program, and `mpreg.evaluate` attacks with either.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section V-B.

    Args:
        model_fn: function without arguments that returns a fresh model, compiled if it is a Keras model.
        shadow_dataset_size: records that each is trained on; as many others are its non-members.
        num_models: number of shadow models.
        seed: of the draws of records.

    Raises:
        ValueError: `shadow_dataset_size` or `num_models` below 1, or `model_fn` is no function.

    Example:
    ```python
    shadow_models = ShadowModelBundle(build, shadow_dataset_size=4000, num_models=3)
    attack_x, attack_y = shadow_models.fit_transform(x, y, fit_kwargs=dict(epochs=12))
    attack_models = AttackModelBundle(build_attack, num_classes=10)
    attack_models.fit(attack_x, attack_y, fit_kwargs=dict(epochs=12))
    judged, membership = prepare_attack_data(target, (members_x, members_y), (others_x, others_y))
    np.mean(attack_models.predict(judged) == membership)
    ```
    """

    def __init__(self, model_fn, shadow_dataset_size, num_models=20, seed=42):
        _check_function(model_fn)
        check_count("shadow_dataset_size", shadow_dataset_size, 1)
        check_count("num_models", num_models, 1)
        self.model_fn = model_fn
        self.shadow_dataset_size = shadow_dataset_size
        self.num_models = num_models
        self.seed = seed

    def fit_transform(self, X, y, *, fit_kwargs=None):
        """Trains the shadow models and returns training data for the attack models.

        Args:
            X, y: the attacker's records and their labels, integers or one-hot.
            fit_kwargs: options for the shadow models' `fit`.

        Raises:
            ValueError: fewer records than twice `shadow_dataset_size`.
        """
        y = check_labels(y)
        size, classes = self.shadow_dataset_size, count_labels(y)
        if 2 * size > len(y):
            raise ValueError(
                f"a shadow model needs {size} records to train on and as many others. Received: {len(y)} records"
            )
        rng = np.random.default_rng(self.seed)
        self.shadow_models_, parts = [], []
        for _ in range(self.num_models):
            drawn = rng.choice(len(y), 2 * size, replace=False)
            data_in, data_out = (_rows(X, y, rows) for rows in (drawn[:size], drawn[size:]))
            self.shadow_models_.append(_fitted(self.model_fn(), *data_in, fit_kwargs))
            parts.append(_attack_data(self.shadow_models_[-1], data_in, data_out, classes))
        features, membership = zip(*parts, strict=True)
        return np.concatenate(features).astype(np.float32), np.concatenate(membership).astype(np.float32)


class AttackModelBundle(BaseEstimator):
    """Trains one attack model for each class.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section V-D.

    Args:
        model_fn: function without arguments that returns a fresh binary classifier: a scikit-learn one with
            `predict_proba`, or a compiled Keras network that ends in a sigmoid unit or a softmax of two.
        num_classes: number of classes of the attacked models.
        class_one_hot_coded: whether attack data holds one-hot labels. None tells by the number of columns.

    Raises:
        ValueError: `num_classes` below 2, or `model_fn` is no function.

    Example: see `ShadowModelBundle`.
    """

    def __init__(self, model_fn, num_classes, *, class_one_hot_coded=None):
        _check_function(model_fn)
        check_count("num_classes", num_classes, 2)
        self.model_fn = model_fn
        self.num_classes = num_classes
        self.class_one_hot_coded = class_one_hot_coded

    def fit(self, X, y, *, fit_kwargs=None):
        """Trains the attack models on the output of `ShadowModelBundle.fit_transform`; returns self.

        Raises:
            ValueError: columns that fit neither form, or a class without members or without non-members.
        """
        predictions, labels = self._read(X)
        y = np.asarray(y)
        present = [set(np.unique(y[labels == label])) for label in range(self.num_classes)]
        lacking = [label for label, sides in enumerate(present) if sides != {0, 1}]
        if lacking:
            raise ValueError(
                "the attack data must hold members (1) and non-members (0) of every class. Classes "
                f"{short_repr(lacking)} lack one of them: give the shadow models more records, or use "
                "mpreg.attacks.ShadowAttack, which judges such classes by all others"
            )
        self.attack_models_ = [
            _fitted(self.model_fn(), predictions[labels == label], y[labels == label], fit_kwargs)
            for label in range(self.num_classes)
        ]
        return self

    def predict_proba(self, X):
        """Returns membership probabilities, float (n,)."""
        check_is_fitted(self, "attack_models_")
        predictions, labels = self._read(X)
        found = np.empty(len(labels))
        for label in np.unique(labels):
            rows = labels == label
            found[rows] = member_probability(self.attack_models_[label], predictions[rows])
        return found

    def predict(self, X):
        """Returns 1 where the membership probability is at least one half, else 0: int (n,)."""
        return (self.predict_proba(X) >= 0.5).astype(np.int64)

    def _read(self, X):
        """Predictions and class indices."""
        X = np.asarray(X)
        forms = {2 * self.num_classes: True, self.num_classes + 1: False}
        one_hot = forms.get(X.shape[1]) if X.ndim == 2 else None
        if one_hot is None or self.class_one_hot_coded not in (None, one_hot):
            raise ValueError(
                f"attack data must hold {self.num_classes} predictions and the class, one-hot in as many columns or "
                f"as an integer in one. Received: shape {X.shape}, class_one_hot_coded={self.class_one_hot_coded}"
            )
        labels = label_indices(check_labels(X[:, self.num_classes :]), classes=self.num_classes)
        return X[:, : self.num_classes], labels


def prepare_attack_data(model, data_in, data_out):
    """Returns predictions with classes, and membership, as training or test data for attack models.

    Args:
        model: a Keras model, or anything with `predict_proba`.
        data_in, data_out: pairs `(x, y)` of records that the model was and was not trained on; labels integers or
            one-hot.

    Returns:
        `(data, membership)`: (n, classes + label columns) and float (n,) of 1 and 0, members first.

    Example: see `ShadowModelBundle`.
    """
    return _attack_data(model, data_in, data_out, max(count_labels(y) for _, y in (data_in, data_out)))


def _attack_data(model, data_in, data_out, classes):
    sides = [
        np.column_stack([_predictions(model, x, classes), check_labels(y)]) for x, y in (data_in, data_out)
    ]
    return np.concatenate(sides), np.repeat([1.0, 0.0], [len(side) for side in sides])


def _predictions(model, x, classes):
    predictions = np.asarray(signals.predict(model, x, classes=classes))
    if predictions.shape[1:] == (1,):  # one sigmoid unit for two classes
        predictions = np.concatenate([1 - predictions, predictions], axis=1)
    return predictions


def _fitted(model, x, y, fit_kwargs):
    if not hasattr(model, "predict_on_batch"):  # to scikit-learn, one-hot labels are several tasks
        y = label_indices(y)
    model.fit(x, y, **(fit_kwargs or {}))
    return model


def _rows(x, y, rows):
    return map_arrays(lambda array: np.asarray(array)[rows], x), y[rows]


def _check_function(model_fn):
    if not callable(model_fn) or hasattr(model_fn, "predict_on_batch"):
        raise ValueError(
            f"model_fn must be a function that returns a fresh model. Received: {short_repr(model_fn)}"
        )
