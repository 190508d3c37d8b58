"""Kept figures: used again while all that they follow from is as it was, made anew with a word of why otherwise."""

import dataclasses
import json

import pytest
from support.registries import forgetting

import mpreg
from mpreg import attacks, datasets
from mpreg.catalogue import DEFENCES, SETTINGS, Network
from mpreg.catalogue.registries import NETWORKS
from mpreg.recipes.studies import defence_table
from mpreg.recipes.studies.cells import Cell

CELL = Cell("digits", "l2")


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Counts the cells that are measured, instead of training; what a test registers is forgotten after it."""
    seen = []
    monkeypatch.setattr(Cell, "_measure", lambda self: seen.append(self.name) or {"number": len(seen)})
    with forgetting():
        yield seen


def change_defence():
    DEFENCES["l2"] = dataclasses.replace(DEFENCES["l2"], build=lambda task, weight: task.trained())


def change_strength():
    DEFENCES["l2"] = dataclasses.replace(DEFENCES["l2"], usual={"*": 0.5})


def change_epochs():
    DEFENCES["l2"] = dataclasses.replace(DEFENCES["l2"], epochs={"digits": 0.5})


def change_reference():
    DEFENCES["l2"] = dataclasses.replace(DEFENCES["l2"], consumes_reference=True)


def change_setting():
    SETTINGS["digits"] = SETTINGS["digits"].replace(members=50)


def change_network():
    NETWORKS["small_mlp"] = Network(name="small_mlp", build=lambda shape, classes, seed: None)


def change_data():
    datasets.LOADERS["digits"] = datasets.Loader(name="digits", read=lambda: None)


@pytest.mark.parametrize("content", [b"", b'{"number": 1', b"[1]", b"\xff\xfe"])
def test_a_damaged_file_is_made_anew(content, tmp_path, measured, capsys):
    CELL.make(tmp_path)
    path = tmp_path / f"{CELL.name}.json"
    path.write_bytes(content)
    assert CELL.make(tmp_path)["number"] == 2
    assert f"{path} is made anew: it is damaged." in capsys.readouterr().out.replace("\n", "")
    assert CELL.kept(tmp_path)["number"] == 2


@pytest.mark.parametrize(
    "change",
    [
        change_defence,
        change_strength,
        change_epochs,
        change_reference,
        change_setting,
        change_network,
        change_data,
    ],
    ids=lambda change: change.__name__,
)
def test_a_change_of_what_they_follow_from_is_said_in_a_line_and_measured(change, tmp_path, measured, capsys):
    CELL.make(tmp_path)
    assert capsys.readouterr().out == ""
    change()
    assert CELL.kept(tmp_path) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"{CELL.name}.json is made anew: its defence, setting or attacks have changed.")
    assert CELL.make(tmp_path)["number"] == 2
    capsys.readouterr()
    assert CELL.make(tmp_path)["number"] == 2 and len(measured) == 2
    assert capsys.readouterr().out == ""


def test_what_changes_no_figure_changes_no_cell(tmp_path, measured):
    CELL.make(tmp_path)
    said = {"source": "another paper", "knob": "another word", "strengths": (1.0, 2.0)}
    DEFENCES["l2"] = dataclasses.replace(DEFENCES["l2"], **said)
    DEFENCES["another"] = dataclasses.replace(DEFENCES["l2"], name="another")
    CELL.make(tmp_path)
    assert len(measured) == 1


def test_another_version_is_named(tmp_path, measured, monkeypatch, capsys):
    CELL.make(tmp_path)
    old = mpreg.__version__
    monkeypatch.setattr(mpreg, "__version__", "99.1")
    CELL.make(tmp_path)
    assert f"is made anew: it was made by mpreg {old} on Python 3." in capsys.readouterr().out
    assert json.loads((tmp_path / f"{CELL.name}.json").read_text("utf-8"))["made_by"].startswith(
        "mpreg 99.1 "
    )
    assert len(measured) == 2


def test_figures_that_do_not_say_what_they_are_of_are_made_anew(tmp_path, measured, capsys):
    (tmp_path / f"{CELL.name}.json").write_text('{"number": 7}')
    assert CELL.make(tmp_path)["number"] == 1
    assert "is made anew: it does not say what it is of." in capsys.readouterr().out


class Margin(attacks.ThresholdAttack):
    def __init__(self):
        super().__init__("loss")
        self.name = self.key = "margin"


def test_attacks_beside_the_standard_ones_have_cells_of_their_own(tmp_path, measured, capsys):
    attacks.register(Margin)
    with_margin = dataclasses.replace(CELL, attacks=("margin",))
    CELL.make(tmp_path)
    with_margin.make(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(measured) == 2
    attacks.register(type("Margin", (Margin,), {"half": 0.5}), replace=True)
    CELL.make(tmp_path)
    assert len(measured) == 2
    with_margin.make(tmp_path)
    assert len(measured) == 3 and "made anew" in capsys.readouterr().out


def test_an_unknown_attack_or_defence_is_refused_before_anything_is_trained(tmp_path, measured):
    with pytest.raises(ValueError, match="attacks must be of .*Received: 'margins'"):
        dataclasses.replace(CELL, attacks=("margins",)).make(tmp_path)
    with pytest.raises(ValueError, match="defences must be of .*Received: l3"):
        Cell("digits", "l3").make(tmp_path)
    assert not measured and not list(tmp_path.iterdir())


def test_a_worker_loads_the_plugins(tmp_path):
    """As in a process that has never seen them."""
    plugin = tmp_path / "own.py"
    plugin.write_text(
        "from mpreg.catalogue import Defence, register\n"
        "register(Defence(name='own', build=lambda task, _: task.trained(), source='us'))\n"
    )
    made = defence_table._make(Cell("digits", "own"), str(tmp_path), (str(plugin),))
    assert made["number"] == 1 and "own" in DEFENCES


def test_the_table_makes_only_what_is_missing_and_says_so_once(tmp_path, measured, capsys):
    cells = [CELL, Cell("digits", "undefended"), Cell("digits", "dropout")]
    first = defence_table.make_cells(cells[:2], tmp_path, 1)
    change_defence()
    second = defence_table.make_cells(cells, tmp_path, 1)
    assert capsys.readouterr().out.count("made anew") == 1
    assert measured == [
        "digits_l2_seed0",
        "digits_undefended_seed0",
        "digits_l2_seed0",
        "digits_dropout_seed0",
    ]
    assert list(second) == cells and second[cells[1]] == first[cells[1]]
