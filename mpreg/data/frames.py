"""DataFrames: their columns by name, and models that want them so."""

import numpy as np


def is_frame(x):
    """Whether something is a DataFrame."""
    return hasattr(x, "columns") and hasattr(x, "dtypes") and hasattr(x, "iloc")


def names_of(x):
    """Column names of a DataFrame, or of a dict with one value a record under each name; None for anything else."""
    if is_frame(x):
        return tuple(x.columns)
    if isinstance(x, dict) and x and all(np.ndim(values) == 1 for values in x.values()):
        return tuple(x)
    return None


def refuse_text(x, role):
    """Raises a `ValueError` for a DataFrame with columns that are no numbers; it names them, and says what to do."""
    if not is_frame(x):
        return
    kinds = {name: np.asarray(x[name]).dtype.kind for name in x.columns}
    other = [str(name) for name, kind in kinds.items() if kind not in "biuf"]
    if other:
        raise ValueError(
            f"{role}: the columns {', '.join(other)} of the table hold text or other things that are no numbers. "
            "Encode the table: x, y = mpreg.datasets.encode(table, label='column'). For a model that takes "
            "columns by name, such as a pipeline of scikit-learn, pass x=dict(table)"
        )


def to_frame(x, names):
    """Arrays of records as a DataFrame with these column names."""
    import pandas  # it is there where a DataFrame was

    return pandas.DataFrame(x, columns=list(names))


def wants_frames(model, names, x):
    """Whether a model is asked with DataFrames: scikit-learn's that was trained on one, or all of columns apart."""
    if names is None or not hasattr(model, "predict_proba"):
        return False
    return isinstance(x, dict) or hasattr(model, "feature_names_in_")


class TakesFrames:
    """A model with `predict_proba` that is asked with DataFrames, as it was trained.

    Args:
        model: the model.
        names: of the columns, in order.
    """

    def __init__(self, model, names):
        self._model, self._names = model, names
        if hasattr(model, "classes_"):
            self.classes_ = model.classes_

    def predict_proba(self, x):
        """The model's answers to records in arrays."""
        return self._model.predict_proba(to_frame(x, self._names))
