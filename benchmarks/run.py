"""All benchmarks, or some, to figures with intervals: `benchmarks/results.json`, `RESULTS.md` and a chart.

    python -m benchmarks.run                    # about an hour on two cores
    python -m benchmarks.run min-max dp-sgd     # some of them; the others keep their figures
    python -m benchmarks.run --quick            # to see that they run: nothing is published
    python -m benchmarks.check                  # ends with 1 where a figure falls behind its bar

What is measured stands in `benchmarks/config.toml`. Figures of a busy machine are not published: the load average
must be low before each benchmark starts. With --peers, peers are installed into environments of their own, in
`.benchmarks/`.
"""

import argparse
import dataclasses
import datetime
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks import figures
from benchmarks.text import write_results

ROOT = figures.FOLDER.parent
PEERS = ROOT / ".benchmarks"


def main(argv=None):
    """Runs the benchmarks; returns 0, or 1 where one fails or the machine is too busy to publish."""
    config = figures.read_config()
    parser = _parser(config)
    options = parser.parse_args(argv)
    names = [each["name"] for each in config["benchmark"]]
    for name in options.names:
        if name not in names:
            parser.error(f"no benchmark is named {name!r}. Names: {', '.join(names)}")
    most_load = config["machine"]["most_load"]
    chosen = [each for each in config["benchmark"] if not options.names or each["name"] in options.names]
    published = {} if options.quick else _kept()
    for benchmark in chosen:
        load = os.getloadavg()[0]
        if not options.quick and load > most_load:
            print(
                f"the load average is {load:.1f}, above the {most_load:g} of benchmarks/config.toml: "
                f"{benchmark['name']} is not measured on a busy machine",
                file=sys.stderr,
            )
            return 1
        print(f"== {benchmark['name']} (load {load:.1f})", flush=True)
        result = run_script(benchmark, options)
        if result is None:
            return 1
        published[benchmark["name"]] = {
            "machine": {**result["machine"], "load_average": load},
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "figures": [dataclasses.asdict(each) for each in figures.figures_of(benchmark, result)],
        }
        if not options.quick:
            figures.RESULTS.write_text(json.dumps(published, indent=2) + "\n", encoding="utf-8")
    if not options.quick:
        write_results(published, figures.TEXT, figures.CHART)
        print(f"written: {figures.TEXT}, {figures.CHART}")
    return 0


def run_script(benchmark, options):
    """The JSON that a benchmark writes, or None where it fails."""
    given = benchmark["quick"] if options.quick else benchmark["full"]
    if options.peers and "peers" in benchmark:
        given = [*given, "--peer", str(peer_python(benchmark["name"], benchmark["peers"]))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, str(figures.FOLDER / benchmark["script"]), *given, "--json", str(path)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            print(f"{benchmark['script']} ended with {code}", file=sys.stderr)
            return None
        return json.loads(path.read_text("utf-8"))


def peer_python(name, packages):
    """The interpreter of an environment with these packages, made where there is none."""
    home = PEERS / name
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def commit():
    """The commit of the checkout, with a plus where files differ from it; None outside of one."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def _kept():
    return json.loads(figures.RESULTS.read_text("utf-8")) if figures.RESULTS.exists() else {}


def _parser(config):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ", ".join(benchmark["name"] for benchmark in config["benchmark"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names} (default: all)")
    parser.add_argument("--quick", action="store_true", help="see that they run; nothing is published")
    parser.add_argument("--peers", action="store_true", help="install peers and time them too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
