"""DataFrames: column names, and models that need them."""

import numpy as np

from mpreg._text import listed


def is_frame(x):
    """Returns whether a value is a DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "dtypes") and hasattr(x, "iloc")


def names_of(x):
    """Returns the column names of a DataFrame, or of a dict of columns; None for anything else."""
    if is_frame(x):
        return tuple(x.columns)
    if isinstance(x, dict) and x and all(np.ndim(values) == 1 for values in x.values()):
        return tuple(x)
    return None


def refuse_text(x, role):
    """Raises a `ValueError` that names the columns of a DataFrame that are not numbers, with a remedy."""
    if not is_frame(x):
        return
    kinds = {name: np.asarray(x[name]).dtype.kind for name in x.columns}
    other = [str(name) for name, kind in kinds.items() if kind not in "biuf"]
    if other:
        raise ValueError(
            f"{role}: the columns {listed(other)} of the table hold text or other things that are no numbers. "
            "Encode the table: x, y = mpreg.datasets.encode(table, label='column'). For a model that takes "
            "columns by name, such as a pipeline of scikit-learn, pass x=dict(table)"
        )


def to_frame(x, names):
    """Returns arrays of records as a DataFrame with the given column names."""
    import pandas  # it is there where a DataFrame was

    return pandas.DataFrame(x, columns=list(names))


def wants_frames(model, names, x):
    """Returns whether a model needs DataFrames: a scikit-learn one that was trained on one."""
    if names is None or not hasattr(model, "predict_proba"):
        return False
    return isinstance(x, dict) or hasattr(model, "feature_names_in_")


class TakesFrames:
    """Wraps a model with `predict_proba` so that it receives DataFrames, as in its training.

    Args:
        model: the model.
        names: of the columns, in order.
    """

    def __init__(self, model, names):
        self._model, self._names = model, names
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_

    def predict_proba(self, x):
        """Returns the model's predictions for records in arrays."""
        return self._model.predict_proba(to_frame(x, self._names))
