"""Time to start: `import mpreg`, the command and an evaluation, beside an interpreter that does nothing.

    python benchmarks/starts.py --rounds 9 --json starts.json

Each turn is a process of its own. The evaluation is of 200 + 200 records of 10 classes, whose predictions are there.
"""

import subprocess
import sys

from rounds import (
    Stopwatch,
    machine,
    open_console,
    open_parser,
    open_table,
    print_setting,
    ratios,
    take_turns,
    write_json,
)

EMPTY = "empty interpreter"
EVALUATE = """
import numpy, mpreg
predictions, labels = numpy.random.default_rng(0).dirichlet([1] * 10, 400), numpy.arange(400) % 10
half = predictions[:200], labels[:200], predictions[200:], labels[200:]
mpreg.evaluate_predictions(*half, attacks="{}")
"""
WAYS = {
    EMPTY: ["-c", "pass"],
    "import mpreg": ["-c", "import mpreg"],
    "mpreg --help": ["-m", "mpreg", "--help"],
    "mpreg audit --help": ["-m", "mpreg", "audit", "--help"],
    "evaluate_predictions, fast suite": ["-c", EVALUATE.format("fast")],
    "evaluate_predictions, standard suite": ["-c", EVALUATE.format("standard")],
}


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = open_parser(__doc__, quick="as always: it is short", rounds=9).parse_args(argv)
    rounds = options.rounds or 9
    ways = {name: lambda given=given: start(given) for name, given in WAYS.items()}
    result = {"machine": machine(), "seconds": take_turns(lambda: ways, rounds, opening="starting")}
    table = open_table(open_console(), "", "seconds", "times empty", "range")
    for name, clocks in result["seconds"].items():
        median, least, most = ratios(result["seconds"], name, to=EMPTY)
        seconds = sorted(clocks["wall"])[rounds // 2]
        table.add_row(name, f"{seconds:.3f}", f"{median:.1f}", f"{least:.1f} to {most:.1f}")
    console = open_console()
    console.print(table)
    print_setting(console, f"Medians over {rounds} rounds.", result["machine"])
    write_json(options.json, result)
    return 0


def start(given):
    """Seconds of a process, by clock; its processor time is that of a child, which this clock does not see."""
    stopwatch = Stopwatch()
    subprocess.run([sys.executable, *given], check=True, stdout=subprocess.DEVNULL)
    return stopwatch.seconds()


if __name__ == "__main__":
    sys.exit(main())
