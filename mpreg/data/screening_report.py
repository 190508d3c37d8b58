"""Whom screening leaves out, and at what cost, as text, Markdown or HTML."""

import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mpreg._text import html_table, markdown_table, percent, plain_markdown
from mpreg._validate import short_repr

MAX_VALUES = 200  # of a column: beyond, each stands for a few records and the table tells nothing


@dataclass(frozen=True)
class ScreeningReport:
    """Reports whom screening leaves out, by group.

    Attributes:
        records: how many were screened.
        left_out: how many of them are left out.
        rows: a dict for each value of each column: `column`, `value`, `records`, `left_out`, `share`, `capped` (whether
            the bound of a class held more back) and, where test answers were given, `tested` and `accuracy`, by name.
            Within a column those of the highest share come first.

    Example:
    ```python
    print(screening.report(columns={"sex": sex}))
    ```
    """

    records: int
    left_out: int
    rows: list = field(repr=False)

    @classmethod
    def of(cls, left_out: Any, columns: Any, *, correct: Any = None, test: Any = None, capped: Any = ()):
        """From which records are left out, bool (n,), columns of them, and those of test records.

        Raises:
            ValueError: not one value a record, or a column of more than 200 different values.
        """
        correct = {
            name: _check_column(name, right, None).astype(bool) for name, right in (correct or {}).items()
        }
        rows = []
        for name, column in columns.items():
            column, tested = _check_column(name, column, len(left_out)), None
            if correct and name in test:
                tested = _check_column(name, test[name], len(next(iter(correct.values()))))
            found = [
                _row(name, value, left_out[column == value], tested, correct, capped)
                for value in _values(name, column)
            ]
            rows += sorted(found, key=lambda row: -row["share"])
        return cls(len(left_out), int(left_out.sum()), rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values."""
        return {"records": self.records, "left_out": self.left_out, "rows": self.rows}

    def to_markdown(self) -> str:
        """Returns a summary sentence and a table."""
        header, *rows = ([plain_markdown(cell) for cell in row] for row in self._table())
        return f"{plain_markdown(self._sentence())}\n\n{markdown_table(header, rows)}"

    def to_html(self) -> str:
        """Returns a summary sentence and a table as HTML."""
        header, *rows = self._table()
        return f"<p>{html.escape(self._sentence())}</p>{html_table(header, rows)}"

    _repr_html_ = to_html

    def __str__(self):
        lines = self._table()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
        return "\n".join([self._sentence(), *aligned])

    def _sentence(self):
        share = percent(self.left_out / self.records)
        whole = f"Screening leaves out {self.left_out:,} of {self.records:,} records ({share})"
        most = max(self.rows, key=lambda row: row["share"])
        text = f"{whole}, most of {most['column']} {most['value']}: {percent(most['share'])}."
        capped = [row["value"] for row in self.rows if row["capped"]]
        if capped:
            text += f" The bound of a class kept more of it in {len(capped)} classes: {', '.join(capped[:5])}"
            text += ", ..." if len(capped) > 5 else "."
        return text

    def _table(self):
        models = list(next((row["accuracy"] for row in self.rows if row["accuracy"]), {}))
        yield_of = [f"test accuracy, {name}" for name in models]
        lines = [["column", "value", "records", "left out", "share", *yield_of]]
        for row in self.rows:
            accuracies = [percent(row["accuracy"][name]) if row["accuracy"] else "-" for name in models]
            counts = [f"{row['records']:,}", f"{row['left_out']:,}", percent(row["share"])]
            lines.append([row["column"], row["value"], *counts, *accuracies])
        return lines


def _row(name, value, left_out, tested, correct, capped):
    own = None if tested is None else tested == value
    known = own is not None and own.any()
    return {
        "column": str(name),
        "value": str(value),
        "records": len(left_out),
        "left_out": int(left_out.sum()),
        "share": float(left_out.mean()),
        "capped": name == "class" and int(value) in capped,
        "tested": int(own.sum()) if known else 0,
        "accuracy": {model: float(right[own].mean()) for model, right in correct.items()} if known else {},
    }


def _values(name, column):
    values = np.unique(column)
    if len(values) > MAX_VALUES:
        raise ValueError(
            f"a column must have at most {MAX_VALUES} different values, so that each is a group: bin numbers first. "
            f"Received: {name} with {len(values):,}"
        )
    return values


def _check_column(name, column, records):
    column = np.asarray(column)
    if column.ndim != 1 or (records is not None and len(column) != records):
        raise ValueError(
            f"{name}: a column holds one value for each record{'' if records is None else f', {records:,}'}. "
            f"Received: shape {column.shape}, {short_repr(column)}"
        )
    return column
