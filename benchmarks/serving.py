"""The side of a peer: opens it, says what it can time, and takes a turn whenever it is asked to.

It needs NumPy and nothing of mpreg, so that any interpreter runs it. First it writes a line of JSON with its ways of
doing the work, then, for each name on standard input, one with the seconds of a turn.
"""

import json
import os
import sys
import time

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


def serve(openers, name, *given):
    """Serves one peer until standard input ends.

    Args:
        openers: by name of a peer, a function of what is given that returns its versions, its ways (by name, a
            function without arguments that takes a turn), and by way what the work came to (may be empty).
        name: the peer.
        *given: what its function is told.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    opened, ways = {"versions": {}, "ways": [], "found": {}, "failed": None}, {}
    try:
        versions, ways, found = openers[name](*given)
        opened.update(versions=versions, ways=list(ways), found=found)
    except Exception as error:  # of whatever kind another's code raises: the results say so
        opened["failed"] = f"{type(error).__name__}: {error}"
    print(json.dumps(opened), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(ways[line.strip()]()), file=answers, flush=True)


def timed(work, per=1):
    """Seconds of a function without arguments, by clock, divided by `per`."""
    began = {name: clock() for name, clock in CLOCKS.items()}
    work()
    return {name: (clock() - began[name]) / per for name, clock in CLOCKS.items()}
