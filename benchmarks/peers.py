"""A peer in an interpreter of its own, which takes turns with ours and waits meanwhile."""

import json
import subprocess


class Peer:
    """A process that works in ways of its own, as `serving.py` has it answer.

    Args:
        asked: `NAME=PYTHON`: its name in the script, and its interpreter.
        script: path of the script that serves it.
        *given: what the script is told.

    Attributes:
        name, python: as asked.
        ways: names of what it can time.
        versions: by package.
        found: by way, what its work came to, where the script says so.
        failed: why it cannot be run, or None.
    """

    def __init__(self, asked, script, *given):
        self.name, _, self.python = asked.partition("=")
        self._command = [self.python, str(script), self.name, *map(str, given)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, text=True, **pipes)
        try:
            opened = self._read()
        except RuntimeError as error:  # what it can run is known: others go on without it
            opened = {"ways": [], "versions": {}, "found": {}, "failed": str(error)}
        self.ways, self.versions, self.found = opened["ways"], opened["versions"], opened["found"]
        self.failed = opened["failed"]

    @property
    def facts(self):
        """What the results say of it."""
        return {"versions": self.versions, "failed": self.failed}

    def turns(self):
        """By way, a function without arguments that has it take a turn and returns seconds by clock."""
        return {way: lambda way=way: self.turn(way) for way in self.ways}

    def turn(self, way):
        """Seconds of one of its ways, by clock; a `RuntimeError` where it ends without an answer."""
        print(way, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended early; run it alone to see why")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        self._process.wait()


def add_option(parser):
    """Adds `--peer`, which may be given more than once."""
    told = "a peer and the interpreter that has it installed"
    parser.add_argument("--peer", metavar="NAME=PYTHON", action="append", default=[], help=told)


def print_peers(console, peers):
    """Prints the versions of each peer by name, or why it could not be run."""
    for name, facts in peers.items():
        versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
        console.print(f"{name}: {facts['failed'] or versions}")
