"""Peak memory and processor time of the heaviest attacks on predictions: 100,000 records of 100 classes.

    python benchmarks/memory.py --json memory.json

Each work is a process of its own, half of the records members. Its peak is the most memory that was resident since the
interpreter was started (Linux's `VmHWM`), random answers and libraries included; seconds are those of the attack alone.
"""

import json
import subprocess
import sys
from pathlib import Path

from rounds import CLOCKS, machine, open_console, open_parser, open_table, print_setting, timed, write_json

RECORDS, CLASSES = 100_000, 100
STATUS = Path("/proc/self/status")
WORKS = {  # the attacks, and whether shadow models answer too
    "answers alone": (None, False),
    "fast suite": ("fast", False),
    "standard suite": ("standard", False),
    "answers alone, 16 shadow models": (None, True),
    "likelihood ratio, 16 shadow models": (["likelihood_ratio"], True),
    "combined attack, 16 shadow models": (["combined"], True),
}


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    parser = open_parser(__doc__, quick="2,000 records of 10 classes")
    parser.add_argument("--only", choices=WORKS, help="this work, in this process, as a line of JSON")
    options = parser.parse_args(argv)
    size = (2_000, 10) if options.quick else (RECORDS, CLASSES)
    if options.only:
        print(json.dumps(work(*WORKS[options.only], *size)))
        return 0
    result = {
        "machine": machine("numpy"),
        "size": size,
        "seconds": {},
        "gibibytes": {},
    }
    for name in WORKS:
        command = [sys.executable, __file__, "--only", name, *(["--quick"] if options.quick else [])]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        result["seconds"][name] = said["seconds"]
        result["gibibytes"][name] = {"peak": said["peak"]}
    print_result(result)
    write_json(options.json, result)
    return 0


def work(attacks, shadows, records, classes):
    """Seconds by clock of attacks on random answers, and this process's peak memory in GiB until their end."""
    from answers import judge, random_shadows, random_sides  # they import what is measured

    sides = random_sides(records // 2, classes)
    options = {"shadows": random_shadows(records, classes)} if shadows else {}
    _, seconds = timed(lambda: attacks and judge(sides, attacks, **options))
    return {"seconds": seconds, "peak": peak()}


def peak():
    """The most memory that this process has had resident, in GiB.

    Not `ru_maxrss`: a process starts with what its parent had.
    """
    (line,) = (line for line in STATUS.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**20


def print_result(result):
    """The table and the machine, on standard output."""
    console = open_console()
    table = open_table(console, "", "GiB at most", "seconds", "processor time")
    for name, seconds in result["seconds"].items():
        took = (f"{seconds[clock]:.1f}" for clock in CLOCKS)
        table.add_row(name, f"{result['gibibytes'][name]['peak']:.2f}", *took)
    console.print(table)
    records, classes = result["size"]
    print_setting(console, f"{records:,} records of {classes} classes.", result["machine"])


if __name__ == "__main__":
    sys.exit(main())
