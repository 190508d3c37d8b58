"""How busy other work keeps the machine: figures of a busy one are not published.

Not by the load average, to which the benchmarks themselves add, and which takes minutes to fall.
"""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
GLANCE, PATIENCE = 2.0, 120.0  # seconds: of one look, and until it is given up


class Others:
    """What share of all processors' time others take from now on: other processes, the system and other machines."""

    def __init__(self):
        self._began = _spent()

    def share(self):
        """The share since then, 0 to 1; None on a system without `/proc/stat`.

        What this process and the children that it waited for took is not counted.
        """
        if self._began is None:
            return None
        busy, total, own = (now - then for now, then in zip(_spent(), self._began, strict=True))
        return min(1.0, max(0.0, (busy - own) / max(total, 1e-9)))


def wait_until_quiet(most):
    """The share that others take, once it is at most `most`; after two minutes the last, or None as `Others`."""
    ends = time.monotonic() + PATIENCE
    while True:
        others = Others()
        time.sleep(GLANCE)
        share = others.share()
        if share is None or share <= most or time.monotonic() > ends:
            return share


def _spent():
    """Seconds since the start of the system, summed over cores: at work, in all, and of this process; or None."""
    if not STAT.exists():
        return None
    ticks = [int(field) for field in STAT.read_text("ascii").split("\n", 1)[0].split()[1:9]]
    user, nice, system, idle, waiting, *interrupts = (each / os.sysconf("SC_CLK_TCK") for each in ticks)
    busy = user + nice + system + sum(interrupts)
    return busy, busy + idle + waiting, sum(os.times()[:4])
