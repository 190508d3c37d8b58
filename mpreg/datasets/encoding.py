"""Encoding of a table's numeric and text columns as network inputs, kept as JSON beside the model."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mpreg._files import write_json
from mpreg._text import listed
from mpreg._validate import short_repr
from mpreg.datasets.columns import columns_of

SCHEMA = "mpreg.encoding/1"
MAX_VALUES = 100  # of a column of text: each becomes a column of bits
MAX_CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class Column:
    """Describes how one column is encoded.

    Attributes:
        name: in the table.
        mean, scale: of a column of numbers, which becomes `(value - mean) / scale`.
        values: of a column of text, which becomes a bit for each; () for numbers.
    """

    name: str
    mean: float = 0.0
    scale: float = 1.0
    values: tuple = ()

    @property
    def names(self):
        """Names of the resulting features."""
        return tuple(f"{self.name}={value}" for value in self.values) or (self.name,)


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Encodes rows of a table as features and class indices; fitted once, then applied to new rows.

    Numbers are centred and scaled by the mean and the standard deviation of the table; text becomes a bit for each
    of its values, and none for a value that the table did not have. Labels become indices, in the order of their
    values. It holds no record, but it does tell which values of text there are.

    Attributes:
        columns: `Column`s, in the order of the features.
        label: name of the column of labels.
        classes: its values, text or whole numbers, by class index.

    Example:
    ```python
    data = mpreg.datasets.load("patients.csv", label="outcome")
    data.encoding.to_json("encoding.json")
    encoding = mpreg.datasets.Encoding.from_json("encoding.json")
    model.predict(encoding.features(new_patients))
    ```
    """

    columns: tuple
    label: str
    classes: tuple

    @classmethod
    def of(cls, table, *, label, drop=()):
        """Fits the encoding to a table.

        Args:
            table: a DataFrame, or a dict of columns by name.
            label: name of the column of labels.
            drop: names of columns to leave out.

        Raises:
            ValueError: a name that no column has, a column of text with more than 100 values, labels that are no
                classes, no column left, or as for the reading of columns.
        """
        table = columns_of(table)
        for name in (label, *drop):
            if name not in table:
                raise ValueError(f"there is no column {name!r}. There are: {listed(table)}")
        names = [name for name in table if name != label and name not in drop]
        if not names:
            raise ValueError(f"there is no column but the label {label!r}: there must be features")
        return cls(
            columns=tuple(_column(name, table[name]) for name in names),
            label=label,
            classes=_classes(label, table[label]),
        )

    @property
    def names(self):
        """Names of the features in order: `"age"`, `"city=Rome"`."""
        return tuple(name for column in self.columns for name in column.names)

    def features(self, table):
        """Returns rows of a table as float32 (records, features); unknown columns are ignored.

        Raises:
            ValueError: a column is missing, or holds text in place of numbers or the reverse.
        """
        wanted = [column.name for column in self.columns]
        table = _among(table, wanted)
        parts = []
        for column in self.columns:
            values = table[column.name]
            is_text = values.dtype == object
            if is_text and not column.values:
                raise ValueError(
                    f"column {column.name!r} must hold numbers, as when it was encoded. Received: text"
                )
            if column.values:
                values = (
                    values if is_text else np.array([str(_plain(value)) for value in values.tolist()], object)
                )
                parts.append(values[:, None] == np.array(column.values, object))
            else:
                parts.append((values[:, None] - column.mean) / column.scale)
        return np.concatenate([part.astype(np.float32) for part in parts], axis=1)

    def labels(self, table):
        """Returns the class indices of a table's rows, int64 (records,).

        Raises:
            ValueError: there is no column of labels, or it holds a value that is no class.
        """
        values = _among(table, [self.label])[self.label]
        index = {value: at for at, value in enumerate(self.classes)}
        plain = [_plain(value) for value in values.tolist()]
        other = sorted({str(value) for value in plain if value not in index})
        if other:
            known = listed(self.classes[:10]) + (", ..." if len(index) > 10 else "")
            raise ValueError(
                f"column {self.label!r} holds labels that are none of its {len(index)} classes: "
                f"{listed(other[:5])}. Classes: {known}"
            )
        return np.array([index[value] for value in plain], np.int64)

    def to_json(self, path=None):
        """Returns JSON text, and writes it to `path` if given."""
        return write_json({"schema": SCHEMA, **asdict(self)}, path)

    @classmethod
    def from_json(cls, path):
        """Loads the encoding from a file.

        Raises:
            ValueError: no file of `to_json`.
            OSError: the file cannot be read.
        """
        try:
            content = json.loads(Path(path).read_text("utf-8"))
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema={content['schema']!r}")
            columns = tuple(map(_read_column, content["columns"]))
            if not columns:
                raise ValueError("there is no column")
            label = _of_kind(content["label"], str, "label")
            classes = tuple(_of_kind(value, str | int, "classes") for value in content["classes"])
            if len(set(classes)) < max(2, len(classes)):
                raise ValueError(f"classes must be two at least, and differ. Received: {short_repr(classes)}")
            return cls(columns=columns, label=label, classes=classes)
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is no encoding as mpreg keeps it ({SCHEMA}): {error}") from error


def _read_column(content):
    """A `Column` from JSON."""
    mean, scale = (float(_of_kind(content[name], int | float, name)) for name in ("mean", "scale"))
    if not (math.isfinite(mean) and math.isfinite(scale) and scale > 0):
        raise ValueError(f"mean and scale must be finite, and scale above 0. Received: {mean} and {scale}")
    values = tuple(_of_kind(value, str, "values") for value in _of_kind(content["values"], list, "values"))
    return Column(
        **{
            **content,
            "name": _of_kind(content["name"], str, "name"),
            "mean": mean,
            "scale": scale,
            "values": values,
        }
    )


def _of_kind(value, kind, name):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name} is of another type than it must be. Received: {short_repr(value)}")
    return value


def _among(table, names):
    """The named columns of a table, each checked; others may hold anything."""
    there = [str(name) for name in (table.columns if hasattr(table, "columns") else table)]
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(f"the table lacks {listed(missing)}. It has: {listed(there)}")
    return columns_of(table[names] if hasattr(table, "columns") else {name: table[name] for name in names})


def _column(name, values):
    if values.dtype != object:
        with np.errstate(over="ignore"):
            mean, scale = float(values.mean()), float(values.std()) or 1.0
        if not math.isfinite(mean) or not math.isfinite(scale):
            raise ValueError(
                f"column {name!r} holds numbers too large to compute with: up to {abs(values).max()}"
            )
        return Column(name=name, mean=mean, scale=scale)
    found = sorted(set(values))
    if len(found) > MAX_VALUES:
        raise ValueError(
            f"column {name!r} holds {len(found):,} different texts in {len(values):,} rows, as names or free text do: "
            f"more than {MAX_VALUES} become no columns of bits. Leave it out (--drop {name}, drop={name!r}), or put "
            "them into fewer groups"
        )
    return Column(name=name, values=tuple(found))


def _classes(label, values):
    """The distinct values of a column of labels, in order; whole numbers from 0 on without a gap stay what they are."""
    if values.dtype != object and (values != np.floor(values)).any():
        raise ValueError(
            f"the label {label!r} must hold classes, text or whole numbers. Received: {values[values % 1 != 0][0]!r}. "
            "mpreg works on classifiers; for a number to predict there are no classes to attack"
        )
    found = [_plain(value) for value in sorted(set(values.tolist()))]
    if len(found) < 2:
        raise ValueError(f"the label {label!r} must hold at least two classes. Received: {found[0]!r} alone")
    if len(found) > min(MAX_CLASSES, len(values) / 2):
        raise ValueError(
            f"the label {label!r} holds {len(found):,} different values in {len(values):,} rows: is it a number to "
            "predict, or the name of a record? mpreg works on classifiers"
        )
    return tuple(found)


def _plain(value):
    return int(value) if isinstance(value, float) and value == int(value) else value
