"""Data sets: what is read is what was published, broken files are refused, nothing is half kept."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mpreg import datasets
from mpreg.datasets import adult, archives, download, registry, tables

SHARED = os.environ.get("MPREG_DATA_DIR")  # read before the fixture below hides it


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """An empty data folder and an empty cache, and no way to the network."""
    (tmp_path / "data").mkdir()
    (tmp_path / "published").mkdir()
    monkeypatch.setenv("MPREG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MPREG_CACHE_DIR", str(tmp_path / "cache"))
    for name, spec in registry.SPECS.items():
        sources = tuple(replace(source, url="http://127.0.0.1:9/" + source.file) for source in spec.sources)
        monkeypatch.setitem(registry.SPECS, name, replace(spec, sources=sources))
    return tmp_path


def git_blob(content):
    return "git-blob:" + hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tgz(members):
    """A gzipped tar of `(name, content)`; in place of content, a `TarInfo` is taken as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info is not content:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info is not content else None)
    return buffer.getvalue()


def publish(monkeypatch, name, contents, **changes):
    """Lets the data set `name` consist of these contents, one a source, and returns the file names."""
    spec = registry.SPECS[name]
    kinds = [git_blob if source.digest.startswith("git") else sha256 for source in spec.sources]
    sources = tuple(
        replace(source, digest=kind(content))
        for source, kind, content in zip(spec.sources, kinds, contents, strict=True)
    )
    monkeypatch.setitem(registry.SPECS, name, replace(spec, sources=sources, **changes))
    return [source.file for source in sources]


def put(monkeypatch, folder, name, contents, **changes):
    """Publishes, and lays the files into a folder."""
    folder.mkdir(exist_ok=True)
    for file, content in zip(publish(monkeypatch, name, contents, **changes), contents, strict=True):
        (folder / file).write_bytes(content)


def serve_from(monkeypatch, name, root):
    spec = registry.SPECS[name]
    sources = tuple(replace(source, url=f"{root}/{source.file}") for source in spec.sources)
    monkeypatch.setitem(registry.SPECS, name, replace(spec, sources=sources))


LOCATION = b'"3",0,1,0,1\n"1",1,1,0,0\n"2",0,0,0,0\n'
SMALL = {"shape": (4,), "classes": 3}


# What the names are


def test_every_name_is_known_and_an_unknown_one_is_quoted_beside_the_known():
    assert datasets.names()[0] == "digits" and datasets.names()[-1] == "purchase100-like"
    with pytest.raises(ValueError, match=r"'purchase2'.*location30.*purchase100-like"):
        datasets.load("purchase2")
    with pytest.raises(ValueError, match="3"):
        datasets.load(3)


def test_digits_need_nothing():
    data = datasets.load("digits")
    assert data.features.shape == (1797, 64) and data.features.dtype == np.float32
    assert data.features.min() == 0 and data.features.max() == 1
    assert data.labels.dtype == np.int64 and set(data.labels) == set(range(data.classes))
    assert "1,797" in data.description and "\n" not in data.description
    assert len(repr(data)) < 300


def test_importing_datasets_imports_no_framework():
    heavy = "{'tensorflow', 'keras', 'sklearn', 'PIL', 'rich'}"
    code = f"import sys, mpreg.datasets; sys.exit(bool({heavy} & set(sys.modules)))"
    root = str(Path(datasets.__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


@pytest.mark.parametrize("option", ["records", "seed"])
def test_options_of_the_synthetic_set_are_refused_elsewhere(option):
    with pytest.raises(ValueError, match=rf"{option} applies to 'purchase100-like' only.*{option}=7"):
        datasets.load("digits", **{option: 7})


def test_registry_pins_every_file():
    lengths = {"sha256": 64, "git-blob": 40}
    for spec in registry.SPECS.values():
        for source in spec.sources:
            algorithm, _, digest = source.digest.partition(":")
            assert len(digest) == lengths[algorithm] and set(digest) <= set("0123456789abcdef")


# The synthetic set


def test_synthetic_is_reproducible_and_says_that_it_is_synthetic():
    first = datasets.load("purchase100-like", records=5000)
    again = datasets.load("purchase100_like", records=5000, seed=0)
    longer = datasets.load("purchase100-like", records=6000)
    other = datasets.load("purchase100-like", records=5000, seed=1)
    assert first.features.dtype == np.uint8 and first.features.shape == (5000, 600)
    assert set(np.unique(first.features)) == {0, 1}
    assert set(first.labels) == set(range(100))  # no class is empty
    assert "synthetic" in first.description and "5,000" in first.description
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.features, longer.features[:5000])
    np.testing.assert_array_equal(first.labels, longer.labels[:5000])
    assert (first.features != other.features).mean() > 0.05


def test_synthetic_classes_are_uneven_and_can_be_learnt():
    data = datasets.load("purchase100-like", records=20_000)
    sizes = np.bincount(data.labels)
    assert sizes.max() > 5 * np.median(sizes) > 5 * sizes.min()
    features = data.features.astype(np.float32)
    means = np.stack([features[:10_000][data.labels[:10_000] == label].mean(0) for label in range(100)])
    nearest = (2 * features[10_000:] @ means.T - (means**2).sum(1)).argmax(1)
    assert 0.5 < (nearest == data.labels[10_000:]).mean() < 0.99


@pytest.mark.parametrize("options", [{"records": 0}, {"records": 2.5}, {"seed": -1}, {"records": True}])
def test_synthetic_quotes_an_impossible_option(options):
    ((option, value),) = options.items()
    with pytest.raises(ValueError, match=f"{option}={value}"):
        datasets.load("purchase100-like", **options)


# The binary tables


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_location_reads_quoted_labels_from_one(folders, monkeypatch, ending, block):
    monkeypatch.setattr(tables, "_BLOCK", block)
    content = LOCATION.replace(b"\n", ending)
    put(monkeypatch, folders / "data", "location30", [tgz([("bangkok", content)])], **SMALL)
    data = datasets.load("location30")
    np.testing.assert_array_equal(data.features, [[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(data.labels, [2, 0, 1])
    assert data.features.dtype == np.uint8 and data.features.flags.writeable
    assert "dataset_location.tgz" in data.description and "3 records" in data.description


def test_a_last_line_may_lack_its_newline(folders, monkeypatch):
    put(monkeypatch, folders / "data", "location30", [tgz([("bangkok", LOCATION[:-1])])], **SMALL)
    assert len(datasets.load("location30").labels) == 3


BROKEN_ROWS = {
    b"1,0,1,0,1\n2,0,1,0\n": r"dataset_purchase, line 2: expected 5 values\. Received: 4",
    b"1,0,1,0,1\n1,0,1,0,1,0\n": r"dataset_purchase, line 2: expected 5 values\. Received: 6",
    b"1,0,1,0,1\n\n1,0,1,0,1\n": r"dataset_purchase, line 2: expected 5 values\. Received: 1",
    b"0,1,0,1\n": r"dataset_purchase, line 1: expected 5 values\. Received: 4",
    b"1,0,1,2,1\n": r"line 1, column 4: a feature must be 0 or 1\. Received: '2'",
    b"1,0,1,,1\n": r"line 1, column 4: a feature must be 0 or 1\. Received: ''",
    b"1,00,1,0,1\n": r"line 1, column 2: a feature must be 0 or 1\. Received: '00'",
    b"1,0,1;0,1\n": r"line 1: expected 5 values\. Received: 4",
    b"1 0,1,0,1\n": r"line 1: expected 5 values\. Received: 4",
    b"4,0,1,0,1\n": r"line 1: the label must be a number from 1 to 3\. Received: '4'",
    b"0,0,1,0,1\n": r"line 1: the label .* Received: '0'",
    b"x,0,1,0,1\n": r"line 1: the label .* Received: 'x'",
    b"": r"features must have the shape \(records, 4\)\. Received: \(0, 4\)",
}


@pytest.mark.parametrize("content", BROKEN_ROWS)
def test_a_broken_row_is_refused_with_its_place(folders, monkeypatch, content):
    put(monkeypatch, folders / "data", "purchase100", [tgz([("dataset_purchase", content)])], **SMALL)
    with pytest.raises(ValueError, match=BROKEN_ROWS[content]):
        datasets.load("purchase100")
    assert not (folders / "cache").exists()


def test_an_endless_line_is_refused(folders, monkeypatch):
    archive = tgz([("dataset_purchase", LOCATION.replace(b'"', b"") + b"0," * (1 << 20))])
    put(monkeypatch, folders / "data", "purchase100", [archive], **SMALL)
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        datasets.load("purchase100")


def test_texas_joins_its_two_members(folders, monkeypatch):
    members = [
        ("texas/100/labels", b"3\n1\n"),
        ("texas/100/feats", b"0,1,0,1\n1,1,0,0\n"),
        ("texas/x/feats", b"?"),
    ]
    put(monkeypatch, folders / "data", "texas100", [tgz(members)], **SMALL)
    data = datasets.load("texas100")
    np.testing.assert_array_equal(data.features, [[0, 1, 0, 1], [1, 1, 0, 0]])
    np.testing.assert_array_equal(data.labels, [2, 0])


TEXAS = {
    (b"3\n", b"0,1,0,1\n1,1,0,0\n"): "2 rows in 100/feats but 1 in 100/labels",
    (b"3\n9\n", b"0,1,0,1\n1,1,0,0\n"): "100/labels, line 2: the label must be a number from 1 to 3",
    (b"3\n1\n", b"0,1,0,1\n10,1,0,0\n"): "100/feats, line 2, column 1: .* Received: '10'",
    (b"3\n1\n", b"0,1,0,1\n1,1,0,0,0\n"): "100/feats, line 2: expected 4 values. Received: 5",
}


@pytest.mark.parametrize("members", TEXAS)
def test_texas_members_that_do_not_fit(folders, monkeypatch, members):
    archive = tgz([("texas/100/labels", members[0]), ("texas/100/feats", members[1])])
    put(monkeypatch, folders / "data", "texas100", [archive], **SMALL)
    with pytest.raises(ValueError, match=TEXAS[members]):
        datasets.load("texas100")


def test_the_parsed_copy_is_used_while_it_belongs_to_the_published_file(folders, monkeypatch):
    content = b"1,0,1,0,1\n2,1,1,0,0\n"
    put(monkeypatch, folders / "data", "purchase100", [tgz([("dataset_purchase", content)])], **SMALL)
    first = datasets.load("purchase100")
    assert [path.name for path in (folders / "cache").iterdir()] == ["purchase100-parsed.npz"]
    (folders / "data" / "dataset_purchase.tgz").unlink()
    again = datasets.load("purchase100")
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert again.description == first.description

    newer = tgz([("dataset_purchase", content + b"3,0,0,0,0\n")])
    put(monkeypatch, folders / "data", "purchase100", [newer], **SMALL)
    assert len(datasets.load("purchase100").labels) == 3
    (folders / "cache" / "purchase100-parsed.npz").write_bytes(b"damaged")
    assert len(datasets.load("purchase100").labels) == 3


# Adult

PERSON = (
    "39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, "
    "2174, 0, 40, {}"
)


def test_adult_joins_both_files_and_keeps_unanswered_questions(folders, monkeypatch):
    train = f"{PERSON.format('United-States')}, <=50K\n\n"
    test = f"|1x3 Cross validator\n{PERSON.format('?').replace('State-gov', '?')}, >50K.\n\n"
    put(monkeypatch, folders / "data", "adult", [train.encode(), test.encode()])
    data = datasets.load("adult")
    assert data.features.shape == (2, len(adult.COLUMNS)) == (2, 108) and data.features.dtype == np.float32
    np.testing.assert_array_equal(data.labels, [0, 1])
    first, second = (dict(zip(adult.COLUMNS, row, strict=True)) for row in data.features)
    assert first["age"] == np.float32(0.39) and first["hours-per-week"] == np.float32(0.4)
    assert first["workclass=State-gov"] == first["native-country=United-States"] == 1
    assert second["workclass=?"] == second["native-country=?"] == 1
    assert data.features[:, 6:].sum() == 2 * 8  # one answer a question
    assert data.features.min() >= 0 and data.features.max() <= 1


BROKEN_PEOPLE = {
    PERSON.format("Atlantis") + ", <=50K": "adult.data, line 1: native-country has no category 'Atlantis'",
    PERSON.format("Cuba") + ", rich": "adult.data, line 1: the income must be .* Received: 'rich'",
    PERSON.format("Cuba"): "adult.data, line 1: expected 15 values. Received: 14",
    PERSON.format("Cuba").replace("39", "-3")
    + ", <=50K": "age must be a number from 0 to 100. Received: '-3'",
}


@pytest.mark.parametrize("row", BROKEN_PEOPLE)
def test_a_broken_census_record_is_refused_with_its_place(folders, monkeypatch, row):
    put(monkeypatch, folders / "data", "adult", [row.encode(), b""])
    with pytest.raises(ValueError, match=BROKEN_PEOPLE[row]):
        datasets.load("adult")


# Images


def cifar_records(rng, labels, label_bytes):
    records = rng.integers(0, 256, (len(labels), label_bytes + 3072), dtype=np.uint8)
    records[:, label_bytes - 1] = labels
    return records


def test_cifar10_joins_its_batches_in_order_whatever_the_order_in_the_archive(folders, monkeypatch):
    parts = [cifar_records(np.random.default_rng(part), [part, part + 1], 1) for part in range(6)]
    names = [f"data_batch_{part}.bin" for part in range(1, 6)] + ["test_batch.bin"]
    members = [(f"cifar-10-batches-bin/{n}", p.tobytes()) for n, p in zip(names, parts, strict=True)][::-1]
    put(monkeypatch, folders / "data", "cifar10", [tgz(members)])
    data = datasets.load("cifar10")
    assert data.features.shape == (12, 32, 32, 3) and data.features.dtype == np.float32
    np.testing.assert_array_equal(data.labels, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6])
    green = parts[1][0, 1 + 1024 + 5 * 32 + 7]  # second plane, row 5, column 7 of the third picture
    assert data.features[2, 5, 7, 1] == np.float32(green / 255)
    assert data.features.flags.c_contiguous and 0.99 < data.features.max() <= 1


def test_cifar100_takes_the_fine_label(folders, monkeypatch):
    rng = np.random.default_rng(0)
    train, test = cifar_records(rng, [99, 0], 2), cifar_records(rng, [42], 2)
    members = [("cifar-100-binary/test.bin", test.tobytes()), ("cifar-100-binary/train.bin", train.tobytes())]
    put(monkeypatch, folders / "data", "cifar100", [tgz(members)])
    np.testing.assert_array_equal(datasets.load("cifar100").labels, [99, 0, 42])


def test_cifar_refuses_half_a_record(folders, monkeypatch):
    members = [("train.bin", bytes(3074)), ("test.bin", bytes(3073))]
    put(monkeypatch, folders / "data", "cifar100", [tgz(members)])
    with pytest.raises(ValueError, match=r"test\.bin should hold records of 3074 bytes. Received: 3073"):
        datasets.load("cifar100")


def test_a_pickled_cifar_is_refused_and_the_right_file_named(folders):
    (folders / "data" / "cifar-10-python.tar.gz").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"is a pickle.*'cifar-10-binary.tar.gz'"):
        datasets.load("cifar10")


def jpeg_archive(path, *, side=32):
    from PIL import Image

    arrays = {}
    for part, count in (("train", 3), ("test", 2)):
        files = []
        for number in range(count):
            buffer = io.BytesIO()
            Image.new("RGB", (side, side), (40 * number, 200, 90)).save(buffer, "JPEG", quality=95)
            files.append(buffer.getvalue())
        arrays[f"{part}_jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{part}_offsets"] = np.cumsum([0, *map(len, files)])
        arrays[f"{part}_labels"] = np.arange(count, dtype=np.uint8)
    np.savez(path, **arrays)
    return arrays


def test_cifar10_from_jpeg_files(folders):
    jpeg_archive(folders / "data" / "cifar10_jpeg.npz")
    data = datasets.load("cifar10")
    assert data.features.shape == (5, 32, 32, 3) and data.features.dtype == np.float32
    np.testing.assert_array_equal(data.labels, [0, 1, 2, 0, 1])
    np.testing.assert_allclose(data.features[2, 0, 0], np.array([80, 200, 90]) / 255, atol=0.02)
    assert "prepared copy" in data.description


def test_a_picture_of_another_size_or_a_broken_one_is_refused(folders):
    path = folders / "data" / "cifar10_jpeg.npz"
    arrays = jpeg_archive(path, side=64)
    with pytest.raises(ValueError, match=r"picture 0 .* measures \(64, 64\)"):
        datasets.load("cifar10")
    np.savez(path, **{**arrays, "train_jpeg": np.zeros_like(arrays["train_jpeg"])})
    with pytest.raises(ValueError, match="picture 0 cannot be decoded"):
        datasets.load("cifar10")
    np.savez(path, **{**arrays, "train_offsets": np.array([0, 10**9])})
    with pytest.raises(ValueError, match="train_offsets must rise from 0"):
        datasets.load("cifar10")


@pytest.mark.parametrize("place", ["data", "cache"])
def test_mnist_in_the_form_that_keras_hosts(folders, monkeypatch, place):
    buffer = io.BytesIO()
    pictures = np.arange(3 * 28 * 28, dtype=np.uint8).reshape(3, 28, 28)
    np.savez(buffer, x_train=pictures[:2], y_train=[4, 2], x_test=pictures[2:], y_test=[9])
    put(monkeypatch, folders / place, "mnist", [buffer.getvalue()])
    data = datasets.load("mnist")
    assert data.features.shape == (3, 28, 28, 1)
    np.testing.assert_array_equal(data.features[..., 0], pictures / np.float32(255))
    np.testing.assert_array_equal(data.labels, [4, 2, 9])


# Files prepared by the user


def test_a_prepared_file_needs_no_hash(folders):
    features, labels = np.eye(446, dtype=bool)[:30], np.arange(30, dtype=np.uint8)
    np.savez(folders / "data" / "location30.npz", features=features, labels=labels)
    data = datasets.load("location30")
    np.testing.assert_array_equal(data.features, features)
    assert data.features.dtype == np.uint8 and data.labels.dtype == np.int64


PREPARED = {
    "another width": (
        {"features": np.zeros((2, 3)), "labels": [0, 1]},
        r"\(records, 446\). Received: \(2, 3\)",
    ),
    "a label too large": ({"features": np.zeros((2, 446)), "labels": [0, 30]}, "0 to 29. Received: 0 to 30"),
    "a negative label": ({"features": np.zeros((2, 446)), "labels": [0, -1]}, "0 to 29. Received: -1 to 0"),
    "fractional labels": (
        {"features": np.zeros((2, 446)), "labels": [0.0, 1.0]},
        "2 integers. Received: float64",
    ),
    "labels missing": ({"features": np.zeros((2, 446)), "labels": [0]}, r"2 integers. .* of shape \(1,\)"),
    "not binary": ({"features": np.full((2, 446), 0.5), "labels": [0, 1]}, "0 or 1. Received: 0.5 to 0.5"),
    "not a number": ({"features": np.full((2, 446), np.nan), "labels": [0, 1]}, "features must be 0 or 1"),
    "wrapped around": ({"features": np.full((2, 446), 256), "labels": [0, 1]}, "0 or 1. Received: 256"),
    "text": ({"features": np.full((2, 446), "0"), "labels": [0, 1]}, "features must be numbers"),
    "other arrays": ({"data": np.zeros(2)}, "must hold the arrays features and labels.* Received: data"),
    "objects": ({"features": np.full((2, 446), {}), "labels": [0, 1]}, "location30.npz cannot be read"),
}


@pytest.mark.parametrize("case", PREPARED)
def test_a_prepared_file_is_checked(folders, case):
    arrays, message = PREPARED[case]
    np.savez(folders / "data" / "location30.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        datasets.load("location30")


def test_pixels_out_of_range_are_refused(folders):
    np.savez(folders / "data" / "mnist.npz", features=np.full((1, 28, 28), 255.0), labels=[1])
    with pytest.raises(ValueError, match="pixels must be uint8, or lie from 0 to 1"):
        datasets.load("mnist")
    np.savez(folders / "data" / "mnist.npz", features=np.full((1, 28, 28), np.nan), labels=[1])
    with pytest.raises(ValueError, match="must be finite"):
        datasets.load("mnist")


@pytest.mark.parametrize("content", [b"", b"no zip", b"\x80\x04."])
def test_what_is_no_npz_is_refused(folders, content):
    (folders / "data" / "location30.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"location30\.npz cannot be read as an \.npz file"):
        datasets.load("location30")


def test_an_npz_that_unpacks_too_large_is_refused(folders):
    path = folders / "bomb.npz"
    np.savez_compressed(path, features=np.zeros(1 << 20, np.uint8))
    with pytest.raises(ValueError, match="more than 1,000"):
        archives.read_npz(path, max_bytes=1000)


# Hostile archives


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return (name, info)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_regular_file_is_refused(folders, monkeypatch, kind):
    archive = tgz([link("bangkok", "/etc/passwd", kind)])
    put(monkeypatch, folders / "data", "location30", [archive], **SMALL)
    with pytest.raises(ValueError, match="'bangkok' is not a regular file"):
        datasets.load("location30")


@pytest.mark.parametrize("name", ["../bangkok", "/bangkok", "a/../../bangkok", "bangkok.txt", "notbangkok"])
def test_members_elsewhere_are_ignored_and_nothing_is_extracted(folders, monkeypatch, name):
    put(monkeypatch, folders / "data", "location30", [tgz([(name, LOCATION)])], **SMALL)
    with pytest.raises(ValueError, match="has no member bangkok"):
        datasets.load("location30")
    put(monkeypatch, folders / "data", "location30", [tgz([(name, b"?"), ("x/bangkok", LOCATION)])], **SMALL)
    before = sorted(folders.rglob("*"))
    assert len(datasets.load("location30").labels) == 3
    assert sorted(folders.rglob("*")) == before


@pytest.mark.parametrize("bomb", ["bangkok", "other"])
def test_an_archive_that_unpacks_too_large_is_refused(folders, monkeypatch, bomb):
    archive = tgz([(bomb, b"0" * 1_000_000), ("bangkok", LOCATION)])
    put(monkeypatch, folders / "data", "location30", [archive], max_bytes=100_000, **SMALL)
    with pytest.raises(ValueError, match="unpacks to more than 100,000 bytes"):
        datasets.load("location30")


def sparse(path, size):
    """A tar file of a few hundred bytes whose only member reads as so many zeros (GNU sparse format 1.0)."""
    facts = {"major": "1", "minor": "0", "name": "bangkok", "realsize": str(size)}
    info = tarfile.TarInfo("GNUSparseFile.0/bangkok")
    info.pax_headers = {f"GNU.sparse.{name}": value for name, value in facts.items()}
    content = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
    info.size = len(content)
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))


def test_a_sparse_member_that_stands_for_more_than_it_holds_is_refused(folders):
    path = folders / "sparse.tgz"
    sparse(path, 300_000_000)
    with tarfile.open(path) as archive:  # it is what it says: Python reads 300 MB from it
        (member,) = archive.getmembers()
        assert member.size == 300_000_000 and member.isreg() and path.stat().st_size < 1000
    with pytest.raises(ValueError, match="'bangkok' is not a regular file"):
        list(archives.tar_members(path, wanted=["bangkok"], max_bytes=1_000_000))


@pytest.mark.parametrize("damage", ["cut", "not gzip", "not tar"])
def test_a_damaged_archive_is_one_clear_error(folders, monkeypatch, damage):
    noise = np.random.default_rng(0).integers(0, 2, (300, 4))
    rows = b"".join(b"1,%d,%d,%d,%d\n" % tuple(row) for row in noise)
    archive = tgz([("bangkok", rows)])
    broken = {"cut": archive[: len(archive) // 2], "not gzip": rows, "not tar": gzip_of(rows)}[damage]
    put(monkeypatch, folders / "data", "location30", [broken], **SMALL)
    with pytest.raises(ValueError, match=r"dataset_location\.tgz is damaged"):
        datasets.load("location30")


def gzip_of(content):
    return gzip.compress(content)


# Lookup and download


def test_the_data_folder_comes_before_the_cache_before_the_download(folders, monkeypatch):
    archive = tgz([("bangkok", LOCATION)])
    (folders / "published" / "dataset_location.tgz").write_bytes(archive)
    publish(monkeypatch, "location30", [archive], **SMALL)
    serve_from(monkeypatch, "location30", (folders / "published").as_uri())
    (folders / "cache").mkdir()
    fetched = []
    fetch = download.fetch
    monkeypatch.setattr(
        "mpreg.datasets.lookup.fetch", lambda *a, **options: fetched.append(1) or fetch(*a, **options)
    )

    datasets.load("location30")
    assert fetched == [1] and (folders / "cache" / "dataset_location.tgz").read_bytes() == archive
    datasets.load("location30")
    assert fetched == [1]  # now from the cache
    (folders / "data" / "dataset_location.tgz").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"wrong sha256 hash.*Delete .*data"):  # the folder was asked first
        datasets.load("location30")
    np.savez(folders / "data" / "location30.npz", features=np.eye(4), labels=[0, 1, 2, 0])
    assert len(datasets.load("location30").labels) == 4  # and a prepared file before the archive
    monkeypatch.delenv("MPREG_DATA_DIR")
    assert len(datasets.load("location30").labels) == 3
    assert len(datasets.load("location30", cache_dir=folders / "elsewhere").labels) == 3
    assert fetched == [1, 1] and (folders / "elsewhere" / "dataset_location.tgz").is_file()


def test_the_cache_folder(monkeypatch):
    from mpreg.datasets.lookup import cache_folder

    monkeypatch.setenv("MPREG_CACHE_DIR", "/a")
    assert cache_folder("/b") == Path("/b") and cache_folder() == Path("/a")
    monkeypatch.delenv("MPREG_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert cache_folder() == Path("/c/mpreg")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "mpreg"


def test_a_data_folder_that_does_not_exist_is_quoted(monkeypatch):
    monkeypatch.setenv("MPREG_DATA_DIR", "/no/such/folder")
    with pytest.raises(NotADirectoryError, match="'/no/such/folder'"):
        datasets.load("location30")


@contextlib.contextmanager
def http_server(folder):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["location30", "purchase100"])  # a sha256 and a git blob id
def test_download_over_http_checks_the_hash(folders, monkeypatch, name):
    member = {"location30": "bangkok", "purchase100": "dataset_purchase"}[name]
    archive = tgz([(member, LOCATION)])
    (file,) = publish(monkeypatch, name, [archive], **SMALL)
    (folders / "published" / file).write_bytes(archive)
    with http_server(folders / "published") as root:
        serve_from(monkeypatch, name, root)
        assert len(datasets.load(name).labels) == 3
        (folders / "published" / file).write_bytes(archive + b"!")
        for path in (folders / "cache").iterdir():
            path.unlink()
        spec = registry.SPECS[name]
        algorithm, _, expected = spec.sources[0].digest.partition(":")
        received = download.checksum(folders / "published" / file, algorithm)
        with pytest.raises(ValueError, match=f"(?s){file}.*{algorithm}.*{expected}.*{received}"):
            datasets.load(name)
    assert list((folders / "cache").iterdir()) == []


def test_git_blob_id_is_the_one_that_git_gives(tmp_path):
    (tmp_path / "file").write_bytes(b"hello\n")
    assert download.checksum(tmp_path / "file", "git-blob") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_download_that_goes_on_too_long_leaves_nothing(folders, monkeypatch):
    (folders / "published" / "dataset_location.tgz").write_bytes(bytes(5000))
    publish(monkeypatch, "location30", [b""], max_bytes=1000)
    serve_from(monkeypatch, "location30", (folders / "published").as_uri())
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        datasets.load("location30")
    assert list((folders / "cache").iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(folders, monkeypatch):
    class Short(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(bytes(100))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        serve_from(monkeypatch, "location30", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ConnectionError, match="location30"):
            datasets.load("location30")
        server.shutdown()
    assert list((folders / "cache").iterdir()) == []


@pytest.mark.parametrize("name", registry.SPECS)
def test_offline_says_what_to_do(folders, name):
    source = registry.SPECS[name].sources[0]
    with pytest.raises(ConnectionError) as caught:
        datasets.load(name)
    for part in (name, source.url, source.file, "MPREG_DATA_DIR"):
        assert part in str(caught.value)
    assert list((folders / "cache").iterdir()) == []


def test_progress_is_silent_off_a_terminal_and_a_bar_on_one(folders, monkeypatch, capsys):
    archive = tgz([("bangkok", LOCATION)])
    (folders / "published" / "dataset_location.tgz").write_bytes(archive)
    publish(monkeypatch, "location30", [archive], **SMALL)
    serve_from(monkeypatch, "location30", (folders / "published").as_uri())
    datasets.load("location30", cache_dir=folders / "one")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    datasets.load("location30", cache_dir=folders / "two")
    captured = capsys.readouterr()
    assert captured.out == "" and "dataset_location.tgz" in captured.err


# The real thing


@pytest.mark.skipif(
    not SHARED or not (Path(SHARED) / "location30.npz").is_file(),
    reason="MPREG_DATA_DIR holds no location30.npz",
)
def test_location30_as_published(monkeypatch):
    monkeypatch.setenv("MPREG_DATA_DIR", SHARED)
    data = datasets.load("location30")
    assert data.features.shape == (5010, 446) and data.classes == 30
    assert set(data.labels) == set(range(30)) and 0.1 < data.features.mean() < 0.15
