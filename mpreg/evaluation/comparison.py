"""`compare`: reports side by side, the table that people decide by."""

from dataclasses import dataclass

from mpreg._text import markdown_table, percent, percent_with_interval
from mpreg._validate import brief
from mpreg.evaluation.report import PrivacyReport, write_json

SCHEMA = "mpreg.comparison/1"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Reports of several models by name, the first being the one to compare with.

    Attributes:
        reports: `PrivacyReport` by name.
    """

    reports: dict

    def __getitem__(self, name):
        return self.reports[name]

    def rows(self):
        """Header and rows of the table, as text."""
        header = [
            "model",
            "training accuracy",
            "test accuracy",
            "attack accuracy",
            "strongest attack",
            "gap bound",
        ]
        if any(report.reference is not None for report in self.reports.values()):
            header.append("attack on reference")
        rows = [
            [
                name,
                percent_with_interval(report.train_accuracy),
                percent_with_interval(report.test_accuracy),
                percent_with_interval(report.attack_accuracy),
                report.strongest_attack,
                percent(report.gap_bound),
                "-" if report.reference is None else percent_with_interval(report.reference.attack_accuracy),
            ][: len(header)]
            for name, report in self.reports.items()
        ]
        return header, rows

    def to_markdown(self):
        """The table "training / test / attack accuracy, without / with defence" as Markdown."""
        sizes = sorted({(report.members, report.nonmembers) for report in self.reports.values()})
        records = "; ".join(
            f"{members:,} members and {nonmembers:,} non-members" for members, nonmembers in sizes
        )
        text = f"{markdown_table(*self.rows())}\n\nMeasured on {records}; 95 % intervals. Guessing: 50.0 %.\n"
        if len({frozenset(report.attacks) for report in self.reports.values()}) > 1:
            text += "\nThe models were not attacked alike: more attacks find more.\n"
        return text

    def to_html(self, path, **options):
        """Writes the comparison as one self-contained page; options as for `mpreg.reports.html.render_html`."""
        from mpreg.reports.html import write_html

        write_html(self, path, **options)

    def to_dict(self):
        """JSON-ready figures of all reports."""
        return {
            "schema": SCHEMA,
            "reports": {name: report.to_dict() for name, report in self.reports.items()},
        }

    def to_json(self, path=None):
        """The comparison as JSON text, also written to `path` if given."""
        return write_json(self.to_dict(), path)

    def __str__(self):
        return self.to_markdown()


def compare(reports):
    """Puts reports side by side.

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
        raise ValueError(f"compare needs a dict of at least one report by name. Received: {brief(reports)}")
    for name, report in reports.items():
        if not isinstance(report, PrivacyReport):
            raise ValueError(f"compare needs PrivacyReport values. Received: {brief(report)} for {name!r}")
    return Comparison(dict(reports))
