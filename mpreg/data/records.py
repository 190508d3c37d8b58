"""Records `(x, y)` from arrays, tables or datasets: reading, checking and traversing."""

import numbers

import numpy as np

from mpreg._validate import short_repr
from mpreg.data.frames import refuse_text
from mpreg.data.labels import ONE, check_labels, check_several
from mpreg.data.text import is_text

LOOK_AHEAD = 8  # elements of a dataset to look at where its shapes leave open whether it is batched


def check_pair(pair, role, decisions=ONE):
    """Checks a pair or a finite `tf.data.Dataset` and returns arrays `(x, y)`.

    Raises:
        ValueError: not a pair, no records, unequal lengths, NaN or infinite features, labels that are
            not class indices or one-hot, or not as `check_several` has them where a record holds several decisions.
    """
    if hasattr(pair, "element_spec"):
        pair = _read_dataset(pair, role)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(
            f"{role} must be a pair (x, y) or a tf.data.Dataset of (x, y). Received: {short_repr(pair)}"
        )
    refuse_sparse(pair[0], role)
    refuse_text(pair[0], role)
    try:
        x, y = as_arrays(pair[0]), np.asarray(pair[1])
    except ValueError as error:
        raise ValueError(f"{role}: all records must have one shape: {error}") from error
    arrays = flatten(x)
    if not arrays or any(array.ndim == 0 for array in arrays) or y.ndim == 0:
        raise ValueError(f"{role} must hold arrays with a record in each row. Received: {short_repr(pair)}")
    lengths = {len(array) for array in [*arrays, y]}
    if len(lengths) > 1:
        raise ValueError(
            f"{role}: features and labels must have the same number of records. "
            f"Received: {[array.shape for array in arrays]} features and {y.shape} labels"
        )
    if len(y) == 0:
        raise ValueError(f"{role} is empty: there must be at least one record")
    for array in arrays:
        _check_features(array, role)
    return x, check_labels(y, role) if decisions == ONE else check_several(y, decisions, role)


def as_arrays(x):
    """Returns a record structure with tables and nested lists as arrays."""
    return map_arrays(_to_array, x)


def refuse_sparse(x, role):
    """Raises a `ValueError` for sparse matrices and tensors, saying how to make them dense."""
    parts = flatten(x) if isinstance(x, dict | list | tuple) else [x]
    for part in parts:
        kind = type(part).__module__.split(".")[0], type(part).__name__
        if kind[0] == "scipy" or kind[1] in ("SparseTensor", "BCOO"):
            raise ValueError(
                f"{role}: features must be dense. Received: a {kind[1]}. Call .toarray() of a SciPy matrix, or "
                "tf.sparse.to_dense of a tensor; where that is too large, reduce the features first, for instance by "
                "sklearn.decomposition.TruncatedSVD"
            )


def map_arrays(function, x):
    """Applies `function` to each array in a record structure (an array, or a dict, list or tuple of arrays)."""
    if isinstance(x, dict):
        return {name: function(x[name]) for name in sorted(x)}
    if isinstance(x, tuple) or (isinstance(x, list) and x and hasattr(x[0], "shape")):
        return type(x)(function(value) for value in x)
    return function(x)


def flatten(x):
    """Returns the arrays of a record structure; those of a dict are ordered by name, as in Keras."""
    if isinstance(x, dict):
        return [x[name] for name in sorted(x)]
    return list(x) if isinstance(x, tuple | list) else [x]


def take(pair, rows):
    """Returns the records at `rows` of a pair `(x, y)`."""
    x, y = pair
    return map_arrays(lambda array: array[rows], x), y[rows]


def pool(members_x, nonmembers_x):
    """Concatenates two sets of records, members first."""
    others = iter(flatten(nonmembers_x))
    return map_arrays(lambda array: np.concatenate([array, next(others)]), members_x)


def evenly_spaced(records, count):
    """Returns at most `count` row numbers of `records`, evenly spaced from the first to the last."""
    return np.unique(np.linspace(0, records - 1, min(count, records)).astype(int))


def _to_array(x):
    """An array; one of Python objects, as tables with columns of several types give, as numbers or text."""
    array = np.asarray(x)
    if array.dtype.kind == "U":
        return array.astype(object)  # Keras takes no other strings, and a long one does not widen them all
    if array.dtype.kind == "O" and array.ndim:
        for kind, dtype in ((numbers.Number, np.float64), (bytes, np.bytes_)):
            if all(isinstance(value, kind) for value in array.flat):
                return array.astype(dtype)
    return array


def _check_features(array, role):
    if array.dtype.kind not in "biuf" and not is_text(array):
        raise ValueError(
            f"{role}: features must be numbers or text. Received: type {array.dtype}. Encode columns of other types"
        )
    if 0 in array.shape[1:]:
        raise ValueError(f"{role}: records hold no features. Received: shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        finite = np.isfinite(array)
        rows = np.flatnonzero(~finite.reshape(len(array), -1).all(axis=1))
        raise ValueError(
            f"{role}: features hold {int(np.sum(~finite))} values that are NaN or infinite, in {len(rows)} records, "
            f"the first is record {rows[0]}. Impute or drop them"
        )


def _read_dataset(dataset, role):
    """All records of a finite dataset of `(x, y)`, batched or not, as arrays."""
    if dataset.cardinality() == -1:
        raise ValueError(
            f"{role}: an infinite tf.data.Dataset has no last record. Take what you need with .take(n)"
        )
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(f"{role}: a dataset must yield pairs (x, y). Received elements: {spec}")
    join = np.concatenate if is_batched(dataset) else np.stack
    elements = list(dataset.as_numpy_iterator())
    if not elements:
        raise ValueError(f"{role} is empty: there must be at least one record")
    columns = [flatten(x) for x, _ in elements]
    arrays = iter([join(column) for column in zip(*columns, strict=True)])
    x = map_arrays(lambda _: next(arrays), elements[0][0])
    return x, join([y for _, y in elements])


def is_batched(dataset):
    """Returns whether a dataset of `(x, y)` yields batches rather than single records.

    Raises:
        ValueError: the dataset does not say how many axes its elements have.
    """
    x, y = dataset.element_spec
    first = x
    while isinstance(first, dict | tuple | list):
        first = flatten(first)[0]
    if y.shape.rank is None or first.shape.rank is None:
        raise ValueError(
            "a dataset must tell the shapes of its elements: give from_generator an output_signature, or set_shape. "
            f"Received elements: {dataset.element_spec}"
        )
    if y.shape.rank != 1:
        return y.shape.rank == 2
    # One axis: a batch of integer labels, which is as long as the batch of x, or one record's one-hot label.
    if first.shape[:1].as_list() != y.shape.as_list():
        return False
    if y.shape[0] is None:
        return True
    return not all(_is_one_hot(label) for _, label in dataset.take(LOOK_AHEAD).as_numpy_iterator())


def _is_one_hot(label):
    return len(label) > 1 and np.count_nonzero(label) == 1 and label.sum() == 1
