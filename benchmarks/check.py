"""Whether the published figures keep the bars of `benchmarks/config.toml`: ends with 1 where one falls behind.

    python -m benchmarks.check

A figure falls behind when even the better end of its interval misses its bar.
"""

import json
import sys

from benchmarks import figures


def main(path=figures.RESULTS):
    """Prints the figures that have a bar; returns 1 where one falls behind, 2 where nothing was published."""
    if not path.exists():
        print(f"{path} is not there: run python -m benchmarks.run", file=sys.stderr)
        return 2
    published = json.loads(path.read_text("utf-8"))
    found = [figures.Figure(**each) for one in published.values() for each in one["figures"]]
    barred = [each for each in found if each.bar != "-"]
    for each in barred:
        said = "BEHIND" if each.behind else "kept"
        print(f"{said:7} {each.value:.3g} [{each.low:.3g}, {each.high:.3g}] {each.bar}: {each.title}")
    return int(any(each.behind for each in barred))


if __name__ == "__main__":
    sys.exit(main())
