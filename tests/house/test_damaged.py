"""A file that is damaged, or made to do harm, is refused in words by each door, or read as what it holds."""

import json
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support import mlp, records

import mpreg
from mpreg.audit.saved_model import load_model
from mpreg.callbacks import Backup
from mpreg.callbacks.backup import random_state
from mpreg.datasets import Encoding
from mpreg.datasets.rows import read_rows, write_rows
from mpreg.reports import kept

X, Y = records(48)
MEMBERSHIP = np.arange(96).reshape(2, 48) % 2 == 0


def built():
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def fleet(path):
    return mpreg.Fleet(built, 2).fit(X, Y, membership=MEMBERSHIP, epochs=1, checkpoint=path)


def write_table(path):
    rows = ["age,city,old", *(f"{at},{'Rome' if at % 3 else 'Oslo'},{at % 2}" for at in range(30))]
    path.write_text("\n".join(rows), "utf-8")


def write_encoding(path):
    write_table(path.with_suffix(".csv"))
    data = mpreg.datasets.load(path.with_suffix(".csv"), label="old")
    data.encoding.to_json(path)


def write_stacking(path):
    pytest.importorskip("skops")
    from sklearn.linear_model import LogisticRegression

    parts = [LogisticRegression(), LogisticRegression(C=0.1)]
    mpreg.Stacking(parts, LogisticRegression()).fit(X, Y).save(path)


def write_backup(path):
    folder = path / "backup-000000000"
    folder.mkdir(parents=True)
    model = built()
    model.save_weights(folder / "backup.weights.h5")
    np.savez(folder / "random.npz", **random_state(model))
    (folder / "place.json").write_text('{"epoch": 1, "batch": 0}')


def read_backup(path):
    callback = Backup(path)
    callback.set_model(built())
    callback.on_train_begin()


def write_report(path):
    answers = np.eye(3, dtype="float32")[Y] * 0.8 + 0.2 / 3
    report = mpreg.evaluate_predictions(answers[:24], Y[:24], answers[24:], Y[24:], attacks="fast", seed=0)
    report.to_json(path)


# by name: what writes a file, what reads it, and its suffix
DOORS = {
    "fleet": (fleet, fleet, ".npz"),
    "stacking": (write_stacking, mpreg.Stacking.load, ".zip"),
    "model": (lambda path: built().save(path), load_model, ".keras"),
    "table": (write_table, lambda path: mpreg.datasets.load(path, label="old"), ".csv"),
    "array": (
        lambda path: (np.save(path, X), np.save(path.with_name("labels.npy"), Y)),
        lambda path: mpreg.datasets.load(path, label=str(path.with_name("labels.npy"))),
        ".npy",
    ),
    "arrays": (lambda path: np.savez(path, x=X, y=Y), lambda path: mpreg.datasets.load(path), ".npz"),
    "encoding": (write_encoding, Encoding.from_json, ".json"),
    "split": (
        lambda path: write_rows(path, (np.arange(9), None, np.arange(9, 20)), digest="0"),
        lambda path: read_rows(path, digest="0", records=20),
        ".npz",
    ),
    "report": (write_report, kept.load, ".json"),
    "backup": (write_backup, read_backup, ""),
}


def damaged(content, draws):
    """Some bytes changed, cut off, doubled, or replaced."""
    content, at = bytearray(content), draws.randrange(len(content))
    how = draws.choice(["flip", "cut", "double", "replace", "flip", "flip"])
    if how == "flip":
        content[at] ^= draws.randrange(1, 256)
    elif how == "cut":
        del content[at:]
    elif how == "double":
        content[at:at] = content[: draws.randrange(len(content))]
    else:
        length = min(draws.randrange(1, 40), len(content) - at)
        content[at : at + length] = draws.randbytes(length)
    return bytes(content)


@pytest.mark.parametrize("name", DOORS)
def test_damaged_files(name, tmp_path):
    write, read, suffix = DOORS[name]
    whole = tmp_path / f"whole{suffix}"
    write(whole)
    read(whole)
    draws, refused = random.Random(0), 0
    for _ in range(8 if name in ("model", "fleet", "backup") else 40):
        path = tmp_path / f"damaged{suffix}"
        if whole.is_dir():
            write(path) if not path.exists() else None
            path_in = draws.choice(sorted(path.rglob("*.*")))
            own = next(whole.rglob(path_in.name)).read_bytes()
            path_in.write_bytes(damaged(own, draws))
        else:
            path.write_bytes(damaged(whole.read_bytes(), draws))
        try:
            read(path)
        except (ValueError, TypeError, OSError) as error:
            assert str(error)
            refused += 1
    assert refused


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)


@pytest.mark.parametrize(
    "content", ["[]", "1", '{"parts": 3}', '{"parts": [{"kind": 1}]}', "\x00", "[" * 5000]
)
def test_a_manifest_that_is_none(content, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("manifest.json", content)
    with pytest.raises(ValueError, match="is not a file that mpreg.Stacking has saved"):
        mpreg.Stacking.load(tmp_path / "a.zip")


def test_what_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    """Ahead of unpacking it."""
    for module in ("ensembles.stacking", "fleet.checkpoint", "callbacks.backup", "audit.saved_model"):
        monkeypatch.setattr(f"mpreg.{module}.most_bytes", lambda: 1 << 16)
    bomb = b"0" * (1 << 20)
    zipped(tmp_path / "a.zip", **{"manifest.json": bomb})
    zipped(tmp_path / "a.npz", **{"facts.npy": bomb})
    zipped(tmp_path / "a.keras", **{"config.json": bomb, "model.weights.h5": b""})
    write_backup(tmp_path / "backup")
    zipped(next((tmp_path / "backup").rglob("random.npz")), **{"python.npy": bomb})
    reads = [
        lambda: mpreg.Stacking.load(tmp_path / "a.zip"),
        lambda: fleet(tmp_path / "a.npz"),
        lambda: load_model(tmp_path / "a.keras"),
        lambda: read_backup(tmp_path / "backup"),
    ]
    for read in reads:
        with pytest.raises(ValueError):
            read()


def test_a_model_whose_parts_climb_out_writes_nothing_outside(tmp_path, monkeypatch):
    built().save(tmp_path / "whole.keras")
    outside = tmp_path / "outside.txt"
    with zipfile.ZipFile(tmp_path / "whole.keras") as file:
        held = {name: file.read(name) for name in file.namelist()}
    names = ["../outside.txt", str(outside), "assets/../../outside.txt"]
    zipped(tmp_path / "climbs.keras", **held, **dict.fromkeys(names, b"written"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    try:
        load_model(tmp_path / "climbs.keras")
    except ValueError as error:
        assert str(error)
    assert not outside.exists() and not any(Path().iterdir())


def test_a_link_among_pictures_that_leads_to_no_picture(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.png").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(ValueError, match="cannot be read as a picture") as error:
        mpreg.datasets.load(tmp_path / "pictures")
    assert "secret\n" not in str(error.value)


def test_names_of_columns_and_classes_stay_names(tmp_path, capsys):
    """Through a table's encoding and back; what is printed of them steers no terminal."""
    names = ["\x1b[31mred", "=cmd()", "a\u202eb"]
    rows = [[*names, "y"], *([at, at % 3, at % 5, names[at % 3]] for at in range(40))]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows), "utf-8")
    data = mpreg.datasets.load(path, label="y")
    data.encoding.to_json(tmp_path / "encoding.json")
    assert Encoding.from_json(tmp_path / "encoding.json") == data.encoding
    assert sorted(data.encoding.classes) == sorted(names)
    assert json.loads((tmp_path / "encoding.json").read_text("utf-8"))["label"] == "y"
    with pytest.raises(ValueError) as error:
        mpreg.datasets.load(path, label="\x1b[31mz")
    assert "\x1b" not in str(error.value)


def test_run_names_in_tensorboard_are_text(tmp_path):
    from mpreg.reports.tensorboard.report import write_report as to_board

    answers = np.eye(3, dtype="float32")[Y] * 0.8 + 0.2 / 3
    report = mpreg.evaluate_predictions(answers[:24], Y[:24], answers[24:], Y[24:], attacks="fast", seed=0)
    folder = tmp_path / "<script>alert(1)</script>"
    to_board(folder, report)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and all(folder in path.parents for path in files)
