"""Files that are whole but made to stall, to fill the memory or to have a program run: each is refused in words."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from mpreg import datasets
from mpreg.datasets import Encoding


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures of two classes."""
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "pictures" / name / "1.png")
    return tmp_path / "pictures"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("age,old\n" + "".join(f"{at},{at % 2}\n" for at in range(8)), "utf-8")
    return path


def test_what_has_no_end_is_not_read(pictures):
    os.mkfifo(pictures / "a" / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a file nor a folder"):
        datasets.load(pictures)
    os.unlink(pictures / "a" / "pipe")
    (pictures / "a" / "2.png").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        datasets.load(pictures)


def test_a_picture_is_what_its_name_says(pictures):
    """Pillow hands PostScript to a program, whatever the name of the file."""
    assert len(datasets.load(pictures).labels) == 2
    (pictures / "a" / "2.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    )
    with pytest.raises(ValueError, match="cannot be read as a picture: cannot identify"):
        datasets.load(pictures)


def test_pictures_together_fit_into_the_memory(pictures, monkeypatch):
    monkeypatch.setattr("mpreg.datasets.pictures.most_bytes", lambda: 100)  # one is of 64 bytes
    with pytest.raises(ValueError, match="unpacks to more than 100 bytes"):
        datasets.load(pictures)
    assert datasets.load(pictures, image_size=4).features.shape == (2, 4, 4, 1)


def test_a_parquet_file_of_one_value_repeated(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"age": np.arange(1000) % 7, "old": np.arange(1000) % 2}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    (tmp_path / "parts.parquet").mkdir()  # as Spark writes them
    parquet.write_table(pyarrow.table(columns), tmp_path / "parts.parquet" / "part-0.parquet")
    paths = tmp_path / "a.parquet", tmp_path / "parts.parquet"
    assert [len(datasets.load(path, label="old").labels) for path in paths] == [1000, 1000]
    monkeypatch.setattr("mpreg.datasets.columns.most_bytes", lambda: 10_000)
    for path in paths:
        with pytest.raises(ValueError, match="unpacks to 16,000 bytes"):
            datasets.load(path, label="old")


def test_a_table_of_very_many_columns(tmp_path):
    names = [f"c{at}" for at in range(20_000)]
    path = tmp_path / "wide.csv"
    path.write_text(f"{','.join(names)}\n" + f"{','.join('1' * len(names))}\n" * 2, "utf-8")
    with pytest.raises(ValueError, match="there is no column 'z'") as error:
        datasets.load(path, label="z")
    assert "and 19,900 more" in str(error.value) and len(str(error.value)) < 2000
    path.write_text("a,b,a\n1,2,3\n", "utf-8")
    with pytest.raises(ValueError, match="More than once: a$"):
        datasets.load(path, label="a")


def test_a_label_that_would_make_a_network_of_any_size(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((4, 2)), y=np.array([0, 1, 0, 10**12]))
    with pytest.raises(ValueError, match="labels must be class indices.*Received: 1000000000000"):
        datasets.load(path)
    np.savez(path, x=np.zeros((4, 2)), y=np.array([0, 1, 0, 999_999]))
    assert datasets.load(path).classes == 1_000_000


def test_numbers_too_large_to_compute_with(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1e308,0\n-1e308,1\n" * 2, "utf-8")
    with pytest.raises(ValueError, match="column 'a' holds numbers too large"):
        datasets.load(path, label="b")


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0.0},
        {"scale": -1.0},
        {"scale": float("nan")},
        {"scale": "1"},
        {"scale": True},
        {"mean": 10**400},
        {"mean": None},
        {"name": ["age"]},
        {"values": [["a"]]},
        {"values": "abc"},
        {"more": 1},
    ],
)
def test_an_encoding_with_a_column_of_another_kind(change, table, tmp_path):
    content = json.loads(datasets.load(table, label="old").encoding.to_json())
    content["columns"][0].update(change)
    check_no_encoding(json.dumps(content), tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": []},
        {"columns": "ab"},
        {"label": ["old"]},
        {"classes": [[0], [1]]},
        {"classes": [0, 0]},
        {"classes": [0]},
        {"classes": {"0": 1}},
    ],
)
def test_an_encoding_of_another_form(change, table, tmp_path):
    content = json.loads(datasets.load(table, label="old").encoding.to_json())
    check_no_encoding(json.dumps({**content, **change}), tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, "[]", "null"])
def test_text_that_is_no_encoding(text, tmp_path):
    check_no_encoding(text, tmp_path)


def check_no_encoding(text, folder):
    (folder / "encoding.json").write_text(text, "utf-8")
    with pytest.raises(ValueError, match="is no encoding as mpreg keeps it"):
        Encoding.from_json(folder / "encoding.json")
