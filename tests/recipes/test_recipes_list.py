"""The list of recipes: complete, true, and light to read."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest

from mpreg.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]


def modules_with_a_command():
    found = set()
    for path in (ROOT / "recipes").rglob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        if any(isinstance(node, ast.FunctionDef) and node.name == "command" for node in body):
            found.add(".".join(["mpreg", *path.relative_to(ROOT).with_suffix("").parts]))
    return found


def test_every_module_with_a_command_is_listed_under_its_name():
    assert {module for module, _ in RECIPES.values()} == modules_with_a_command()
    assert all(module.rpartition(".")[2] == name for name, (module, _) in RECIPES.items())


@pytest.mark.parametrize("name", RECIPES)
def test_a_listed_recipe_is_a_command_with_one_line_of_help(name):
    module, text = RECIPES[name]
    assert isinstance(importlib.import_module(module).command, click.Command)
    assert text.endswith(".") and "\n" not in text


def test_reading_the_list_imports_nothing_heavy():
    code = "import sys, mpreg.recipes; print({'tensorflow', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "set()\n", done.stderr
