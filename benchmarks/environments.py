"""Environments of their own for peers, in `.benchmarks/`: they do not share one with Keras 3, nor with each other."""

import shutil
import subprocess
import venv

from benchmarks import figures

HOME = figures.FOLDER.parent / ".benchmarks"


class NoPeerError(RuntimeError):
    """A peer cannot be installed; says why."""


def python_of(name, packages):
    """The interpreter of a peer's environment, made where there is none with these packages.

    Args:
        name: of the peer, and of the folder.
        packages: what pip is asked for.

    Raises:
        NoPeerError: pip cannot install them.
    """
    home = HOME / name
    python, made = home / "bin" / "python", home / "packages.txt"
    if made.exists() and made.read_text("utf-8").split() == packages:
        return python
    shutil.rmtree(home, ignore_errors=True)
    print(f"installing {' '.join(packages)} into {home}", flush=True)
    try:
        venv.create(home, with_pip=True)
        command = [python, "-m", "pip", "install", "--quiet", *packages]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise NoPeerError(_last_line(getattr(error, "stderr", None) or str(error))) from None
    made.write_text("\n".join(packages), encoding="utf-8")  # last, so that one half made is made anew
    return python


def _last_line(said):
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip failed"])[-1].removeprefix("ERROR: ")
