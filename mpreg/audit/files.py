"""The files of `mpreg audit`: records and predictions read without pickles, results written whole or not at all."""

import hashlib
import re
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mpreg.data import check_labels
from mpreg.data.records import check_pair
from mpreg.datasets.archives import most_bytes, read_npz

HASHED_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True)
class Source:
    """A file that a report rests on.

    Attributes:
        role: what it was used as, such as "members".
        file: its path as it was given.
        sha256: of its bytes.
        bytes: their number.
        records: rows in it; None for a model.
    """

    role: str
    file: str
    sha256: str
    bytes: int
    records: int | None = None

    def to_dict(self):
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class RecordFile:
    """Records `(x, y)` or `(predictions, labels)` of one role, and the file they come from."""

    pair: tuple = field(repr=False)
    source: Source


def source(role, path, records=None):
    """The `Source` of a file."""
    path = Path(path)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(HASHED_AT_ONCE):
            digest.update(block)
            size += len(block)
    return Source(role, str(path), digest.hexdigest(), size, records)


def read_inputs(path, role):
    """The `RecordFile` of an `.npz` with `x` and `y`; several inputs are `x0`, `x1`, ... or `x_<name>`.

    Args:
        path: the file; nothing in it is unpickled.
        role: whose records these are, for errors: "members", "nonmembers" or "reference".

    Raises:
        ValueError: no `.npz`, a broken or encrypted one, or one that unpacks to more than half of the memory; arrays
            that are missing, hold Python objects, differ in length, are empty, or hold NaN; labels that are not class
            indices or one-hot.
        OSError: the file cannot be read.

    Example:
    ```python
    np.savez("members.npz", x=x_train, y=y_train)
    x, y = read_inputs("members.npz", "members").pair
    ```
    """
    arrays = _arrays(path, role)
    if "y" not in arrays or not _input_names(arrays):
        raise ValueError(_lacking(path, role, arrays, "x and y", "predictions and labels"))
    return RecordFile(check_pair((_inputs(arrays), arrays["y"]), role), source(role, path, len(arrays["y"])))


def read_predictions(path, role):
    """The `RecordFile` of an `.npz` with `predictions` (probabilities or logits) and `labels`.

    Args, Raises: as for `read_inputs`.
    """
    arrays = _arrays(path, role)
    if not {"predictions", "labels"} <= set(arrays):
        raise ValueError(_lacking(path, role, arrays, "predictions and labels", "x and y"))
    predictions, labels = arrays["predictions"], check_labels(arrays["labels"], role)
    if predictions.ndim == 0 or len(predictions) != len(labels):
        raise ValueError(
            f"{role}: there must be a prediction for each label. "
            f"Received: predictions of shape {predictions.shape} and labels of shape {labels.shape}"
        )
    return RecordFile((predictions, labels), source(role, path, len(labels)))


def read_class_names(path):
    """Class names from a text file, one a line, class 0 first.

    Raises:
        ValueError: an empty file, or one that is not UTF-8.
    """
    try:
        names = [line.strip() for line in Path(path).read_text("utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"class names must be UTF-8 text, one a line. {path}: {error}") from error
    if not any(names):
        raise ValueError(f"class names must be text, one a line. {path} holds none")
    return names


def _arrays(path, role):
    if not zipfile.is_zipfile(path):  # a missing file is an OSError below, not this
        with Path(path).open("rb"):
            raise ValueError(f"{role}: {path} is no .npz file. Write one with numpy.savez(file, x=x, y=y)")
    try:
        return read_npz(path, max_bytes=most_bytes())
    except ValueError as error:
        raise ValueError(
            f"{role}: {error}. Arrays must hold numbers or text, because Python objects are "
            "never unpickled: convert them, for instance with numpy.asarray(x, 'float32')"
        ) from error


def _lacking(path, role, arrays, needed, other):
    hint = ""
    if set(other.split(" and ")) <= set(arrays):
        way = (
            "give MODEL, --members"
            if needed.startswith("pred")
            else "leave MODEL out, give --member-predictions"
        )
        hint = f". For a file with {other}, {way} and the like"
    return f"{role}: {path} must hold the arrays {needed}. Received: {', '.join(arrays) or 'none'}{hint}"


def _input_names(arrays):
    numbered = sorted(
        (name for name in arrays if re.fullmatch(r"x\d+", name)), key=lambda name: int(name[1:])
    )
    named = [name for name in arrays if name.startswith("x_")]
    return ["x"] if "x" in arrays else numbered or named


def _inputs(arrays):
    names = _input_names(arrays)
    if names == ["x"]:
        return arrays["x"]
    if names[0].startswith("x_"):
        return {name[2:]: arrays[name] for name in names}
    return [arrays[name] for name in names]
