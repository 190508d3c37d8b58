"""`kill -9` at random moments: what starts again ends as if nothing had happened, and no file is half written.

Slow, as each is a process of its own. `tests/callbacks/test_backup.py` kills at every file operation of a backup.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def killed(case, kills, folder):
    """What `support/kills.py` tells."""
    done = subprocess.run(
        [sys.executable, TESTS / "support" / "kills.py", case, str(kills), "0", folder / case],
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(found, kills):
    assert found["kills"] == kills
    assert found["half_written"] == []
    assert found["same"]
    if "noted" in found:
        whole, *others = found["noted"]
        at = {line["epoch"]: line for line in whole}
        for line in itertools.chain(
            *others
        ):  # whatever was killed, no epoch is entered with less than it has cost
            assert line["steps"] == at[line["epoch"]]["steps"]
            assert line["epsilon"] >= at[line["epoch"]]["epsilon"]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["game", "private", "table", "protect"])
def test_twenty_kills(case, tmp_path):
    check(killed(case, 20, tmp_path), 20)
