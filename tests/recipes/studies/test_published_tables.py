"""The tables of defences in README and tour are what the recipe printed, as kept in `docs/defence-tables.json`."""

import json
from pathlib import Path

import pytest

from mpreg.recipes.studies.defence_table import as_text

ROOT = Path(__file__).parents[3]
RUNS = json.loads((ROOT / "docs" / "defence-tables.json").read_text("utf-8"))


def tables_of(page):
    """Lists of rows, dicts by column, of the tables whose first two columns are the defence and its test accuracy."""
    tables = []
    for block in (ROOT / page).read_text("utf-8").split("\n\n"):
        lines = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in block.strip().splitlines()]
        if lines[0][:2] == ["defence", "test"]:
            tables.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return tables


def printed(rows):
    """What the recipe prints of the rows, dicts by column, by defence; `cost` is without that of the wall."""
    header, lines = as_text(rows)
    named = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    return {name: {**line, "cost": line["cost (wall)"].partition(" ")[0]} for name, line in named.items()}


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/tour.md", 2)])
def test_every_row_is_of_one_run(page, count):
    tables = tables_of(page)
    assert len(tables) == count
    runs = [printed(rows) for rows in RUNS.values()]
    for table in tables:
        assert any(
            all(row["defence"] in run and row.items() <= run[row["defence"]].items() for row in table)
            for run in runs
        ), table


def test_the_adaptive_attack_is_nowhere_below_the_standard_one():
    for rows in RUNS.values():
        for row in rows:
            assert row["adaptive_attack_accuracy"]["mean"] >= row["attack_accuracy"]["mean"] - 1e-9
