"""Plugins: modules and files of others, loaded once, found wanting in plain words."""

import sys

import pytest
from support.registries import forgetting

from mpreg import catalogue
from mpreg.catalogue import DEFENCES

CODE = (
    "from mpreg.catalogue import Defence, register\nregister(Defence(name={!r}, build=print, source='us'))\n"
)


@pytest.fixture(autouse=True)
def forgotten():
    with forgetting():
        yield


def test_a_file_registers_what_it_says_once(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(CODE.format("own"))
    module = catalogue.load_plugin(str(path))
    assert "own" in DEFENCES
    assert catalogue.load_plugin(path) is module  # not run again: the name would be taken
    assert catalogue.loaded_plugins()[-1] == str(path.resolve())


def test_two_files_of_one_name_are_two_plugins(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(CODE.format(name))
        catalogue.load_plugin(tmp_path / name / "own.py")
    assert {"first", "second"} <= set(DEFENCES)


def test_a_module_is_imported(tmp_path, monkeypatch):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "defences.py").write_text(CODE.format("of-the-lab"))
    monkeypatch.syspath_prepend(tmp_path)
    assert catalogue.load_plugin("lab.defences") is sys.modules["lab.defences"]
    assert "of-the-lab" in DEFENCES and catalogue.loaded_plugins()[-1] == "lab.defences"


@pytest.mark.parametrize("name", ["nowhere.py", "no_such_module", "mpreg.no_such_module"])
def test_what_is_not_there_is_quoted(name):
    with pytest.raises(ValueError, match=f"a plugin must be .*{name}"):
        catalogue.load_plugin(name)


def test_what_a_plugin_lacks_is_its_own_error(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        catalogue.load_plugin(path)
    path.write_text(CODE.format("own"))
    catalogue.load_plugin(path)  # mended
    assert "own" in DEFENCES
