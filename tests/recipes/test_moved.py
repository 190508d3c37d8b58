"""Old paths work for one version more, and say where to go."""

import runpy
import sys
import warnings

import pytest

MOVED = {
    "experiment": "Setting setting_of table images validation_part train_undefended train_defended watch EpochBar "
    "write_comparison print_table console",
    "cells": "SETTINGS DEFENCES Cell",
    "defences": "DEFENCES Defence Task chosen ANY",
}


@pytest.mark.parametrize("name", MOVED)
def test_an_old_path_gives_the_same_things_and_warns_at_the_line_that_imports_it(name, tmp_path, monkeypatch):
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
    monkeypatch.delitem(sys.modules, f"mpreg.recipes.{name}", raising=False)  # as in a process that begins
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", DeprecationWarning)
        runpy.run_path(str(script))
    (warning,) = (each for each in caught if "has moved to" in str(each.message))
    assert (warning.filename, warning.lineno, warning.category) == (str(script), 3, DeprecationWarning)
    assert str(warning.message).startswith(f"mpreg.recipes.{name} has moved to mpreg.")
