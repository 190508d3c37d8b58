"""All benchmarks, or some, to figures with intervals: `benchmarks/results.json`, `RESULTS.md` and charts.

    python -m benchmarks.run                    # about half an hour on two cores
    python -m benchmarks.run min-max dp-sgd     # some of them; the others keep their figures
    python -m benchmarks.run --peers            # 10 minutes more; peers are installed into `.benchmarks/` first
    python -m benchmarks.run --quick            # 5 minutes, to see that they run: nothing is published
    python -m benchmarks.check                  # ends with 1 where a figure falls behind its bar

What is measured stands in `benchmarks/config.toml`. Figures of a busy machine are not published: before each benchmark
starts, other work must take little of the processors' time; what it took meanwhile is published with the figures.
"""

import argparse
import dataclasses
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import environments, figures, quiet
from benchmarks.text import write_results

ROOT = figures.FOLDER.parent


def main(argv=None):
    """Runs the benchmarks; returns 0, or 1 where one fails or the machine is too busy to publish."""
    config = figures.read_config()
    parser = _parser(config)
    options = parser.parse_args(argv)
    names = [each["name"] for each in config["benchmark"]]
    for name in options.names:
        if name not in names:
            parser.error(f"no benchmark is named {name!r}. Names: {', '.join(names)}")
    chosen = [each for each in config["benchmark"] if not options.names or each["name"] in options.names]
    asked = {name for each in chosen for name in each.get("peers", [])}
    peers = open_peers({name: config["peer"][name] for name in sorted(asked)}) if options.peers else {}
    published, failed = {} if options.quick else _kept(), []
    for benchmark in chosen:
        before = None if options.quick else quiet.wait_until_quiet(config["machine"]["most_others"])
        if not options.quick and not is_quiet(before, config["machine"]["most_others"], benchmark["name"]):
            return 1
        print(f"== {benchmark['name']}", flush=True)
        meanwhile = quiet.Others()
        result = run_script(benchmark, options, peers)
        if result is None:
            failed.append(benchmark["name"])
            continue
        published[benchmark["name"]] = {
            "machine": {**result["machine"], "others_before": before, "others_meanwhile": meanwhile.share()},
            "commit": commit(),
            "date": datetime.date.today().isoformat(),
            "peers": said_of_peers(benchmark, result, peers),
            "areas": result.get("areas", {}),
            "curves": result.get("curves", []),
            "figures": [dataclasses.asdict(each) for each in figures.figures_of(benchmark, result)],
        }
        if not options.quick:  # after each, so that a run that ends early leaves what it has
            in_order = {name: published[name] for name in names if name in published}
            figures.RESULTS.write_text(json.dumps(in_order, indent=2) + "\n", encoding="utf-8")
            write_results(in_order, figures.TEXT, figures.CHART, figures.GROWTH)
            print(f"written: {figures.TEXT}", flush=True)
    if failed:
        print(f"failed, and nothing of them is published: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def is_quiet(share, most, name):
    """Whether others take little enough of the processors' time; says so where they do not."""
    if share is None:
        print(f"this system does not tell how busy it is: {name} is not published from it", file=sys.stderr)
    elif share > most:
        print(
            f"other work takes {share:.0%} of the processors' time, above the {most:.0%} of benchmarks/config.toml: "
            f"{name} is not measured on a busy machine",
            file=sys.stderr,
        )
    return share is not None and share <= most


def open_peers(asked):
    """By name of a peer, the path of its interpreter, or the `NoPeerError` that says why there is none."""
    found = {}
    for name, peer in asked.items():
        try:
            found[name] = environments.python_of(name, peer["packages"])
        except environments.NoPeerError as error:
            print(f"{name} cannot be installed: {error}", file=sys.stderr)
            found[name] = error
    return found


def said_of_peers(benchmark, result, peers):
    """By name of each of a benchmark's peers, a sentence: its versions, or why it was not timed."""
    said = {}
    for name in benchmark.get("peers", []):
        facts = result.get("peers", {}).get(name)
        if name not in peers:
            said[name] = "was not timed: the run was without --peers"
        elif isinstance(peers[name], environments.NoPeerError):
            said[name] = f"cannot be installed: {peers[name]}"
        elif facts["failed"]:
            said[name] = f"cannot be run: {facts['failed']}"
        else:
            said[name] = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
    return said


def run_script(benchmark, options, peers):
    """The JSON that a benchmark writes, or None where it fails."""
    given = list(benchmark["quick"] if options.quick else benchmark["full"])
    for name in benchmark.get("peers", []):
        if isinstance(peers.get(name), Path):
            given += ["--peer", f"{name}={peers[name]}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, str(figures.FOLDER / benchmark["script"]), *given, "--json", str(path)]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            print(f"{benchmark['script']} ended with {code}", file=sys.stderr)
            return None
        return json.loads(path.read_text("utf-8"))


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
    parser = argparse.ArgumentParser(
        description=f"{__doc__.partition(chr(10))[0]} All take half an hour on two cores, 10 minutes more with peers."
    )
    names = ", ".join(benchmark["name"] for benchmark in config["benchmark"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names} (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="5 minutes, to see that they run; nothing is published"
    )
    parser.add_argument("--peers", action="store_true", help="time peers too, installed into .benchmarks/")
    return parser


if __name__ == "__main__":
    sys.exit(main())
