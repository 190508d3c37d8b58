"""Columns of a table by name: each all numbers or all text, without missing values."""

import csv
import datetime
import io
import numbers
from collections import Counter
from pathlib import Path

import numpy as np

from mpreg.data.frames import is_frame
from mpreg.datasets.archives import most_bytes

MISSING = {"", "na", "n/a", "#n/a", "nan", "null"}  # in a file of text, in lower case
DELIMITERS = ",;\t|"


def read_csv(path):
    """Returns the columns of a `.csv` file with a header: float64 or text arrays (records,) by name.

    Fields are separated by `,`, `;`, tabs or `|`, whichever there are most of in the first row; with `;`, numbers may
    have a decimal comma. A column is of numbers where all of its fields are.

    Args:
        path: the file, in UTF-8.

    Raises:
        ValueError: another encoding, rows of unequal length, no names or names that stand twice, no rows, fields that
            are missing (they are counted by column).
        OSError: the file cannot be read.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8"
        ) from error
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as .csv: {error}") from error
    rows = [row for row in rows if row]  # empty lines
    names = [name.strip() for name in rows[0]] if rows else []
    _check_rows(path, names, rows)
    fields = zip(*rows[1:], strict=True)
    return checked(
        {name: _parsed(values, delimiter) for name, values in zip(names, fields, strict=True)}, str(path)
    )


def _check_rows(path, names, rows):
    if len(rows) < 2:
        raise ValueError(
            f"{path} must hold a row of column names and records below it. Received: {len(rows)} rows"
        )
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name]
    if unnamed and len(unnamed) < len(names) and unnamed == ["1"]:
        names[0] = "unnamed"  # the row numbers that pandas writes
    elif unnamed:
        raise ValueError(
            f"{path}: every column needs a name in the first row. None: column {', '.join(unnamed)}"
        )
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"{path}: column names must differ. More than once: {', '.join(twice)}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise ValueError(
                f"{path}: row {number} has {len(row)} fields, but the first row names {len(names)} columns"
            )


def _parsed(fields, delimiter):
    """Numbers where all fields are, text otherwise; what is missing is NaN or None."""
    fields = [field.strip() for field in fields]
    missing = np.array([field.lower() in MISSING for field in fields])
    points = [field.replace(",", ".") for field in fields] if delimiter == ";" else fields
    try:
        values = np.array(
            ["nan" if gap else field for field, gap in zip(points, missing, strict=True)], float
        )
    except ValueError:
        values = np.array(fields, object)
        values[missing] = None
    return values


def read_parquet(path):
    """Returns the columns of a `.parquet` file, as `read_csv` does.

    Raises:
        ValueError: pyarrow is not installed, no `.parquet` file, or columns that `checked` refuses.
        OSError: the file cannot be read.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError(
            f"{path}: .parquet files take pyarrow ({error}): pip install 'mpreg[parquet]'"
        ) from error
    try:
        parts = sorted(Path(path).rglob("*.parquet")) if Path(path).is_dir() else [path]
        facts = [parquet.read_metadata(part) for part in parts]
        size = sum(
            8 * fact.num_rows * fact.num_columns for fact in facts
        )  # a run of equal values takes no room
        if size > most_bytes():
            raise ValueError(f"it unpacks to {size:,} bytes, more than {most_bytes():,}")
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, ValueError) as error:
        raise ValueError(f"{path} cannot be read as .parquet: {error}") from error
    return checked(
        {name: np.array(table[name].to_pylist(), object) for name in table.column_names}, str(path)
    )


def columns_of(table):
    """Returns the columns of a DataFrame or of a dict of arrays, as `read_csv` does.

    Raises:
        ValueError: something else, or columns that `checked` refuses.
    """
    if is_frame(table):
        return checked({str(name): table[name].to_numpy(dtype=object) for name in table.columns}, "the table")
    if not isinstance(table, dict) or not table:
        raise ValueError(
            f"a table must be a DataFrame or a dict of columns by name. Received: {type(table).__name__}"
        )
    return checked({str(name): np.asarray(values) for name, values in table.items()}, "the table")


def checked(columns, source):
    """Checks columns and returns each as float64 or as text.

    Args:
        columns: arrays by name; None and NaN are missing.
        source: where they come from, for messages.

    Raises:
        ValueError: nothing in them, unequal lengths, other than one value a record, missing values, infinite ones, or
            neither numbers nor text.
    """
    found, missing = {}, {}
    for name, values in columns.items():
        if values.ndim != 1:
            raise ValueError(
                f"{source}: column {name!r} must hold one value a record. Received: shape {values.shape}"
            )
        found[name], gaps = _typed(name, values, source)
        if gaps:
            missing[name] = gaps
    lengths = {name: len(values) for name, values in found.items()}
    if not lengths or len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"{source}: columns must be of one length, above 0. Received: {lengths}")
    if missing:
        counted = ", ".join(f"{name} {gaps:,}" for name, gaps in missing.items())
        raise ValueError(
            f"{source}: {sum(missing.values()):,} of the values in {next(iter(lengths.values())):,} rows are missing: "
            f"{counted}. Fill them in, leave out those rows, or leave out the column (--drop COLUMN, drop=)"
        )
    return found


def _typed(name, values, source):
    """The column as float64 or text, and how many of its values are missing."""
    if values.dtype.kind in "OSUT":
        kept = [value for value in values.tolist() if not _is_missing(value)]
        gaps = len(values) - len(kept)
        if all(isinstance(value, str) for value in kept):
            return values.astype(object), gaps
        if not all(isinstance(value, numbers.Real | np.bool_) for value in kept):
            other = next(value for value in kept if not isinstance(value, numbers.Real | np.bool_))
            hint = ". Give a number, such as days since a date" if isinstance(other, datetime.date) else ""
            raise ValueError(
                f"{source}: column {name!r} must be all numbers or all text. Received: {other!r}{hint}"
            )
        values = np.array([np.nan if _is_missing(value) else float(value) for value in values.tolist()])
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"{source}: column {name!r} must hold numbers or text. Received: type {values.dtype}"
        )
    values = values.astype(np.float64)
    if np.isinf(values).any():
        raise ValueError(f"{source}: column {name!r} holds {int(np.isinf(values).sum()):,} infinite values")
    return values, int(np.isnan(values).sum())


def _is_missing(value):
    """None, NaN, and what pandas has for them, which is not equal to itself or has no truth."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, numbers.Real) and value != value
