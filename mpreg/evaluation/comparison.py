"""`compare`: shows reports of several models side by side."""

import os
from dataclasses import dataclass
from typing import Any

from mpreg._files import write_json
from mpreg._text import plain_text
from mpreg._validate import short_repr
from mpreg.evaluation.report import PrivacyReport
from mpreg.reports.markdown import comparison_rows, render_markdown
from mpreg.reports.notebook import notebook_html
from mpreg.reports.schema import COMPARISON


@dataclass(frozen=True, eq=False)
class Comparison:
    """Holds the reports of several models by name; the first is the baseline.

    Attributes:
        reports: `PrivacyReport` by name.
    """

    reports: dict

    def __getitem__(self, name: str) -> PrivacyReport:
        return self.reports[name]

    def rows(self) -> Any:
        """Returns header and rows of the table, as text."""
        return comparison_rows(self.figures())

    def to_markdown(self) -> str:
        """Returns the table of training, test and attack accuracy, a row for each model, as Markdown."""
        return render_markdown(self.figures())

    def plot_roc(self) -> Any:
        """Plots the ROC of each model's strongest attack, linear and log-log; returns a matplotlib `Figure`."""
        from mpreg.reports.figures import plot_roc  # matplotlib is not needed before

        return plot_roc(self)

    def plot_histograms(self) -> Any:
        """Plots the attack scores of members and non-members, a panel for each model; returns a `Figure`."""
        from mpreg.reports.figures import plot_histograms

        return plot_histograms(self)

    def plot_frontier(self) -> Any:
        """Plots test accuracy against attack accuracy, a point for each model, with the front of the best trade-offs.

        Example:
        ```python
        figure = comparison.plot_frontier()  # a matplotlib Figure, which a notebook shows
        figure.savefig("frontier.png")
        ```
        """
        from mpreg.reports.frontier import plot_frontier

        return plot_frontier(self)

    def to_html(self, path: str | os.PathLike[str], **options: Any) -> Any:
        """Writes the comparison as one self-contained page; options as for `mpreg.reports.html.render_html`."""
        from mpreg.reports.html import write_html  # its templates are not needed before

        write_html(self, path, **options)

    def figures(self) -> dict[str, Any]:
        """Returns the figures of `to_dict` alone, without the details that only pages show."""
        first, *others = self.reports
        return {
            "schema": COMPARISON,
            "differences": {name: self._difference(name, first) for name in others},
            "reports": {name: report.figures() for name, report in self.reports.items()},
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the comparison as plain values, as `docs/report-schema.md` describes them."""
        return {
            **self.figures(),
            "reports": {name: report.to_dict() for name, report in self.reports.items()},
        }

    def _difference(self, name, first):
        return {
            rate: float(getattr(self[name], rate)) - float(getattr(self[first], rate))
            for rate in ("test_accuracy", "attack_accuracy")
        }

    def to_json(self, path: str | os.PathLike[str] | None = None) -> None:
        """Returns the comparison as JSON text, and writes it to `path` if given."""
        return write_json(self.to_dict(), path)

    def _repr_html_(self):
        return notebook_html(self.figures())

    def __str__(self):
        return plain_text(self.to_markdown())


def compare(reports: dict[str, PrivacyReport]) -> Comparison:
    """Compares reports of several models.

    Args:
        reports: dict from name to `PrivacyReport`, such as `{"undefended": ..., "defended": ...}`.

    Raises:
        ValueError: no reports, or a value that is not a report.

    Example:
    ```python
    print(mpreg.compare({"undefended": before, "defended": after}))
    ```
    """
    if not isinstance(reports, dict) or not reports:
        raise ValueError(
            f"compare needs a dict of at least one report by name. Received: {short_repr(reports)}"
        )
    for name, report in reports.items():
        if not isinstance(report, PrivacyReport):
            raise ValueError(
                f"compare needs PrivacyReport values. Received: {short_repr(report)} for {name!r}"
            )
    return Comparison(dict(reports))
