"""Time to write what an evaluation found: JSON, Markdown and the HTML page.

    python benchmarks/reports.py
    python benchmarks/reports.py --quick --json reports.json

Reports of the standard suite on random answers. The way to a report is timed beside them, for how much writing adds.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from answers import judge, random_sides
from rounds import (
    machine,
    open_console,
    open_parser,
    open_table,
    positive,
    print_setting,
    take_turns,
    timed,
    write_json,
)


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    parser = open_parser(__doc__, quick="2 rounds of 1,000 records", rounds=5)
    parser.add_argument(
        "--records", type=positive, default=20_000, help="half of them members (default: 20,000)"
    )
    options = parser.parse_args(argv)
    records = 1_000 if options.quick else options.records
    rounds = options.rounds or (2 if options.quick else 5)
    with tempfile.TemporaryDirectory() as folder:
        seconds = take_turns(lambda: open_ways(records, Path(folder)), rounds, opening="evaluating")
    result = {"machine": machine("numpy"), "records": records, "seconds": seconds}
    console = open_console()
    table = open_table(console, "", "seconds", "range", "processor time")
    for name, clocks in seconds.items():
        wall, processor = clocks["wall"], np.median(clocks["processor"])
        table.add_row(
            name, f"{np.median(wall):.2f}", f"{min(wall):.2f} to {max(wall):.2f}", f"{processor:.2f}"
        )
    console.print(table)
    print_setting(console, f"{records:,} records of 10 classes, {rounds} rounds.", result["machine"])
    write_json(options.json, result)
    return 0


def open_ways(records, folder):
    """By name, a function without arguments that writes once and returns its seconds by clock, warm."""
    sides = random_sides(records // 2, 10)
    report = judge(sides, "standard")
    works = {
        "evaluation, standard suite": lambda: judge(sides, "standard"),
        "JSON": lambda: report.to_json(folder / "report.json"),
        "Markdown": report.to_markdown,
        "HTML": lambda: report.to_html(folder / "report.html"),
    }
    for work in works.values():
        work()
    return {name: lambda work=work: timed(work)[1] for name, work in works.items()}


if __name__ == "__main__":
    sys.exit(main())
