"""Files of strangers that are broken, or made to do harm: each is told in a message, and the command ends with 2."""

import io
import zipfile

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from keras import layers

from mpreg.audit import files
from mpreg.audit.files import read_predictions
from mpreg.audit.saved_model import load_model
from mpreg.cli import main


def npz():
    rng, file = np.random.default_rng(0), io.BytesIO()
    np.savez_compressed(file, predictions=rng.dirichlet([1, 1, 1], 200), labels=rng.integers(0, 3, 200))
    return file.getvalue()


def flagged(content, *, central, local, value):
    """A zip file with a value at an offset of each header; both kinds of headers say the same."""
    content = bytearray(content)
    for mark, offset in ((b"PK\x01\x02", central), (b"PK\x03\x04", local)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset : at + offset + len(value)] = value
            at = content.find(mark, at + 4)
    return bytes(content)


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return file.getvalue()


def claiming(shape, kind="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return archive(**dict.fromkeys(("predictions", "labels"), file.getvalue() + bytes(64)))


MAGIC = b"\x93NUMPY\x01\x00"
BROKEN = {
    "empty": b"",
    "text": b"predictions",
    "truncated": npz()[:1000],
    "overwritten": npz()[:200] + b"\xff" * 60 + npz()[260:],
    "encrypted": flagged(npz(), central=8, local=6, value=b"\x01\x00"),
    "of an unknown method": flagged(npz(), central=10, local=8, value=b"\x61\x00"),
    "of 10^15 values": claiming((10**15,)),
    "of 10^30 values": claiming((10**15, 10**15)),
    "of fewer than none": claiming((-5,)),
    "of 10^15 empty values": claiming((10**15,), "<U0"),
    "cut in its header": archive(predictions=MAGIC[:3], labels=MAGIC[:3]),
    "of code for a header": archive(predictions=MAGIC + b"\x10\x00{'descr': ((((((", labels=b""),
    "of a new version": archive(predictions=b"\x93NUMPY\x09\x00" + bytes(90), labels=b""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_of_predictions_is_wrong_input(kind, tmp_path):
    (tmp_path / "a.npz").write_bytes(BROKEN[kind])
    (tmp_path / "b.npz").write_bytes(npz())
    with pytest.raises(ValueError, match=f"^members: {tmp_path}/a.npz (is no .npz file|cannot be read)"):
        read_predictions(tmp_path / "a.npz", "members")
    given = ["--member-predictions", tmp_path / "b.npz", "--nonmember-predictions", tmp_path / "a.npz"]
    done = CliRunner().invoke(main, ["audit", *map(str, given), "--out", str(tmp_path / "new")])
    assert done.exit_code == 2 and "Error: nonmembers: " in done.output and "Traceback" not in done.output
    assert not (tmp_path / "new").exists()


def test_a_file_that_unpacks_to_more_than_the_bound_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "most_bytes", lambda: 1_000_000)
    np.savez_compressed(
        tmp_path / "bomb.npz", predictions=np.zeros((200_000, 3)), labels=np.zeros(200_000, int)
    )
    assert (tmp_path / "bomb.npz").stat().st_size < 20_000
    with pytest.raises(ValueError, match="it unpacks to 6,4.* bytes, more than 1,000,000"):
        read_predictions(tmp_path / "bomb.npz", "members")


def test_a_whole_file_is_read_as_numpy_reads_it(tmp_path):
    (tmp_path / "a.npz").write_bytes(npz())
    with np.load(tmp_path / "a.npz") as expected:
        predictions, labels = read_predictions(tmp_path / "a.npz", "members").pair
        np.testing.assert_array_equal(predictions, expected["predictions"])
        np.testing.assert_array_equal(labels, expected["labels"])


class TestModels:
    @pytest.fixture(scope="class")
    @classmethod
    def parts(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("model") / "model.keras"
        keras.Sequential([keras.Input((3,)), layers.Dense(2, "softmax")]).save(path)
        with zipfile.ZipFile(path) as whole:
            return {name: whole.read(name) for name in whole.namelist()}

    def saved(self, path, parts):
        with zipfile.ZipFile(path, "w") as out:
            for name, content in parts.items():
                out.writestr(name, content)
        return path

    @pytest.mark.parametrize("lacking", ["config.json", "model.weights.h5"])
    def test_a_part_that_is_missing_is_named(self, lacking, parts, tmp_path):
        kept = {name: content for name, content in parts.items() if name != lacking}
        with pytest.raises(ValueError, match=f"a.keras lacks {lacking}"):
            load_model(self.saved(tmp_path / "a.keras", kept))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"config.json": b"{"},
            {"config.json": b"[]"},
            {"config.json": b'{"class_name": "Sequential", "config": 3}'},
            {"model.weights.h5": b""},
            {"model.weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(200)},
        ],
    )
    def test_parts_that_are_broken_are_told(self, wrong, parts, tmp_path):
        with pytest.raises(ValueError, match="a.keras cannot be loaded: ."):
            load_model(self.saved(tmp_path / "a.keras", {**parts, **wrong}))

    def test_an_encrypted_or_damaged_file_is_told(self, parts, tmp_path):
        path = self.saved(tmp_path / "a.keras", parts)
        whole = path.read_bytes()
        path.write_bytes(flagged(whole, central=8, local=6, value=b"\x01\x00"))
        with pytest.raises(ValueError, match=r"is no .keras file that can be read: .*encrypted"):
            load_model(path)
        at = whole.index(parts["config.json"]) + 20
        path.write_bytes(whole[:at] + b"????" + whole[at + 4 :])
        with pytest.raises(ValueError, match=r"is damaged in config.json"):
            load_model(path)

    def test_a_broken_model_ends_the_command_with_2(self, parts, tmp_path):
        rng = np.random.default_rng(0)
        for name in ("a", "b"):
            np.savez(tmp_path / f"{name}.npz", x=rng.normal(size=(20, 3)), y=rng.integers(0, 2, 20))
        path = self.saved(tmp_path / "a.keras", {"config.json": parts["config.json"]})
        given = [
            path,
            "--members",
            tmp_path / "a.npz",
            "--nonmembers",
            tmp_path / "b.npz",
            "--out",
            tmp_path / "n",
        ]
        done = CliRunner().invoke(main, ["audit", *map(str, given)])
        assert done.exit_code == 2 and "lacks model.weights.h5" in " ".join(done.output.split())
