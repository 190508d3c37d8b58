"""Members of a stack: Keras or scikit-learn classifiers, each trained on records of its own."""

import keras
import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier

from mpreg import signals
from mpreg._validate import short_repr
from mpreg.classifiers.arrays import class_probabilities
from mpreg.classifiers.declared import check_declared
from mpreg.classifiers.kind import trains_on_logits
from mpreg.data import flatten, label_indices
from mpreg.datasets.archives import most_bytes
from mpreg.fleet.job import build

# Types of scikit-learn that skops does not trust unasked. All are made of numbers; none runs what it is given.
TRUSTED = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)


class KerasPart:
    """Wraps a Keras classifier, with logits or probabilities, defended or not.

    Args:
        model: compiled, where it is to be trained.
        from_logits: whether it answers with logits; None reads it from its last layer and its loss.
    """

    suffix = ".keras"

    def __init__(self, model, *, from_logits=None):
        self.model, self._from_logits = model, from_logits

    def width(self, x):
        """Returns the number of classes, found by predicting one record before training."""
        if not self.model.compiled:
            raise ValueError(
                "a Keras model must be compiled: call model.compile(optimizer, loss) before you give it. "
                f"Received: {short_repr(self.model)}"
            )
        if self._from_logits is None:
            self._from_logits = trains_on_logits(clean(self.model), self.model.loss)
        return self.answers(x).shape[1]

    def fit(self, x, y, **options):
        self.model.fit(x, y, **options)

    def answers(self, x):
        """Returns class probabilities, float32 (n, classes)."""
        predictions = signals.predict(self.model, x)
        return class_probabilities(predictions, from_logits=self._from_logits).astype(np.float32)

    @property
    def consumes_reference(self):
        """Whether a defence around it learns from reference records."""
        return getattr(self.model, "consumes_reference", False)

    def write(self, path):
        clean(self.model).save(path)

    def facts(self):
        """Returns what `read` needs beside the file."""
        return {"from_logits": self._from_logits}

    @classmethod
    def read(cls, path, *, from_logits):
        check_declared(path, most_bytes())
        return cls(keras.saving.load_model(path), from_logits=from_logits)


class SklearnPart:
    """Wraps a scikit-learn classifier; records are flattened to rows."""

    suffix = ".skops"
    consumes_reference = False

    def __init__(self, model):
        self.model = model

    def width(self, x):
        """Returns None: the number of classes is unknown before training."""
        if len(flatten(x)) != 1 or isinstance(x, dict | list | tuple):
            raise ValueError(
                f"scikit-learn takes one array of records, not several inputs. Give {type(self.model).__name__} a "
                "pipeline of its own, or use Keras models only"
            )
        return 0

    def fit(self, x, y, **_):
        self.model.fit(_rows(x), label_indices(y))

    def answers(self, x):
        """Returns class probabilities, float32 (n, classes)."""
        return signals.predict(self.model, _rows(x)).astype(np.float32)

    def write(self, path):
        skops = _skops()
        blob = skops.dumps(self.model)
        _refuse_untrusted(skops, blob, self.model)
        path.write_bytes(blob)

    def facts(self):
        """Returns what `read` needs beside the file."""
        return {}

    @classmethod
    def read(cls, path):
        skops = _skops()
        blob = path.read_bytes()
        _refuse_untrusted(skops, blob, path.name)
        return cls(skops.loads(blob, trusted=list(TRUSTED)))


def open_part(model, *, seed):
    """Returns a trainable part for a model or a function that builds one; scikit-learn models are cloned.

    Args:
        model: Keras model, scikit-learn classifier, or function without arguments that returns one.
        seed: of what a function builds, and of a scikit-learn classifier's random states that say nothing else.
    """
    if not _is_model(model):
        model = build(model, seed)
        if not _is_model(model):
            raise TypeError(
                f"a function must return a Keras or scikit-learn classifier. Received: {short_repr(model)}"
            )
    if isinstance(model, keras.Model):
        return KerasPart(model)
    model = clone(model)
    states = {name: seed for name, value in model.get_params().items() if value is None and _is_state(name)}
    return SklearnPart(model.set_params(**states))


def check_part(model):
    """Raises a `TypeError` for models that `open_part` does not support."""
    if not _is_model(model) and (isinstance(model, type | BaseEstimator) or not callable(model)):
        raise TypeError(
            "a part must be a Keras model, a scikit-learn classifier with predict_proba, or a function that builds "
            f"one. Received: {short_repr(model)}"
        )


def clean(model):
    """Returns the trained Keras model without the defences around it."""
    return getattr(model, "target_model", model)


def _is_model(model):
    if isinstance(model, keras.Model):
        return True
    return isinstance(model, BaseEstimator) and is_classifier(model) and hasattr(model, "predict_proba")


def _is_state(name):
    return name.rpartition("__")[2] == "random_state"


def _rows(x):
    return x.reshape(len(x), -1)


def _skops():
    try:
        import skops.io  # optional: only to save and load scikit-learn's models, which has no way without pickle
    except ImportError as error:
        raise ImportError(
            "scikit-learn models are saved without pickle by skops, which is not installed: pip install skops"
        ) from error
    return skops.io


def _refuse_untrusted(skops, blob, what):
    other = sorted({*skops.get_untrusted_types(data=blob)} - {*TRUSTED})
    if other:
        raise ValueError(
            f"{short_repr(what)} cannot be saved or loaded without trusting code: it holds {', '.join(other)}. "
            "Use scikit-learn's own classifiers, or a Keras model"
        )
