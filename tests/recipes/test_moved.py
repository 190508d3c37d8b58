"""Old paths work for one version more, and say where to go."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOVED = {
    "experiment": "Setting setting_of table images validation_part train_undefended train_defended watch EpochBar "
    "write_comparison print_table console",
    "cells": "SETTINGS DEFENCES Cell",
    "defences": "DEFENCES Defence Task chosen ANY",
}


@pytest.mark.parametrize(
    "name", ["cells", *(pytest.param(name, marks=pytest.mark.slow) for name in ("experiment", "defences"))]
)
def test_an_old_path_gives_the_same_things_and_warns_at_the_line_that_imports_it(name, tmp_path):
    script = tmp_path / "old.py"
    names = MOVED[name].split()
    script.write_text(
        "import mpreg.catalogue, mpreg.catalogue.setting\n"
        "import mpreg.recipes.training, mpreg.recipes.writing, mpreg.recipes.studies.cells as cells\n"
        f"from mpreg.recipes.{name} import {', '.join(names)}\n"
        "homes = (mpreg.catalogue, mpreg.catalogue.setting, mpreg.recipes.training, mpreg.recipes.writing, cells)\n"
        f"for name in {names}:\n"
        "    assert any(globals()[name] is getattr(home, name, None) for home in homes), name\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default::DeprecationWarning", script],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (warning,) = (line for line in done.stderr.splitlines() if "has moved to" in line)
    assert f"{script}:3: DeprecationWarning: mpreg.recipes.{name} has moved to mpreg." in warning
