"""Input files of `mpreg audit`: records and predictions, read without pickles."""

import re
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mpreg.data import check_labels, take
from mpreg.data.labels import ONE, check_several
from mpreg.data.records import check_pair
from mpreg.datasets import Encoding, OwnFile
from mpreg.datasets.archives import most_bytes, read_npz
from mpreg.datasets.own import TABLES, digest_of_file
from mpreg.datasets.rows import read_rows


@dataclass(frozen=True)
class Source:
    """Describes a file that a report is based on.

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
        """Returns plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class RecordFile:
    """Holds records `(x, y)` or `(predictions, labels)` of one role, and the file they come from."""

    pair: tuple = field(repr=False)
    source: Source


def source(role, path, records=None):
    """Returns the `Source` of a file, or of all files in a folder."""
    path = Path(path)
    parts = [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
    size = sum(part.stat().st_size for part in parts)
    return Source(role, str(path), digest_of_file(path), size, records)


def read_inputs(path, role, decisions=ONE, **own):
    """Reads a `RecordFile` from an `.npz` with `x` and `y`; several inputs are `x0`, `x1`, ... or `x_<name>`.

    Args:
        path: the file; nothing in it is unpickled. A table, an `.npy` file or a folder is read as by
            `mpreg.datasets.load`.
        role: whose records these are, for errors: "members", "nonmembers" or "reference".
        decisions: what a record holds, as in `MembershipSplit`; several are read from `.npz` files alone.
        **own: of a file other than `.npz`, options of `mpreg.datasets.OwnFile`.

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
    if Path(path).suffix in (*TABLES, ".npy") or Path(path).is_dir():
        if decisions != ONE:
            raise ValueError(
                f"{role}: several decisions a record are read from .npz with x and y. Received: {path}"
            )
        data = OwnFile(path=str(path), **_fitting(path, own)).read()
        return RecordFile(check_pair(tuple(data), role), source(role, path, len(data.labels)))
    arrays = _arrays(path, role)
    if "y" not in arrays or not _input_names(arrays):
        raise ValueError(_lacking(path, role, arrays, "x and y", "predictions and labels"))
    pair = check_pair((_inputs(arrays), arrays["y"]), role, decisions)
    return RecordFile(pair, source(role, path, len(arrays["y"])))


def read_split(data, rows, **own):
    """Reads `RecordFile`s by role from one data file and the `split.npz` with the rows of each role.

    Args:
        data: the data file, as `mpreg.datasets.load` takes it.
        rows: the `split.npz` that `mpreg protect` and `mpreg compare` write.
        **own: options of `mpreg.datasets.OwnFile`.

    Returns:
        The pairs `(x, y)` by role, and the `Source`s.

    Raises:
        ValueError: a split of another data file, or files that do not hold what they must.
        OSError: a file cannot be read.
    """
    file = OwnFile(path=str(data), **_fitting(data, own))
    found = file.read()
    roles = read_rows(rows, digest=file.digest, records=len(found.labels))
    pairs = {role: check_pair(take(tuple(found), part), role) for role, part in roles.items()}
    return pairs, [source("data", data, len(found.labels)), source("split", rows)]


def encoding_of(model, given=None):
    """Returns the `Encoding` of a given file, or of `encoding.json` beside a model, and its path; None for neither.

    Raises:
        ValueError: a file that holds no encoding.
        OSError: it cannot be read.
    """
    beside = Path(model).parent / "encoding.json"
    path = given or (beside if beside.is_file() else None)
    return (None, None) if path is None else (Encoding.from_json(path), path)


def _fitting(path, own):
    """The options that go with a file: an encoding is for tables alone, and a table without one stays as it is."""
    table = Path(path).suffix in TABLES
    return {**own, "encoding": (own.get("encoding") or "none") if table else None}


def read_predictions(path, role, decisions=ONE):
    """Reads a `RecordFile` from an `.npz` with `predictions` (probabilities or logits) and `labels`.

    Args, Raises: as for `read_inputs`.
    """
    arrays = _arrays(path, role)
    if not {"predictions", "labels"} <= set(arrays):
        raise ValueError(_lacking(path, role, arrays, "predictions and labels", "x and y"))
    predictions, labels = arrays["predictions"], arrays["labels"]
    labels = check_labels(labels, role) if decisions == ONE else check_several(labels, decisions, role)
    if predictions.ndim == 0 or len(predictions) != len(labels):
        raise ValueError(
            f"{role}: there must be a prediction for each label. "
            f"Received: predictions of shape {predictions.shape} and labels of shape {labels.shape}"
        )
    return RecordFile((predictions, labels), source(role, path, len(labels)))


def read_class_names(path):
    """Reads class names from a text file, one on each line, class 0 first.

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
