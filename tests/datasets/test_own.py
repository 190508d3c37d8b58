"""Files of one's own: what is read is what was written, text is encoded the same again, gaps are counted."""

import csv
import dataclasses
import sys

import numpy as np
import pytest

from mpreg import datasets
from mpreg.datasets import Encoding

ROWS = [
    ("age", "city", "smoker", "outcome"),
    (30, "Rome", "yes", "well"),
    (50, "Oslo", "no", "ill"),
    (70, "Rome", "no", "well"),
    (50, "Bern, Canton", "yes", "ill"),
]


def write(path, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.fixture
def people(tmp_path):
    return write(tmp_path / "people.csv", ROWS)


class TestTables:
    def test_text_becomes_bits_and_numbers_are_scaled(self, people):
        data = datasets.load(people, label="outcome")
        assert data.encoding.names == (
            "age", "city=Bern, Canton", "city=Oslo", "city=Rome", "smoker=no", "smoker=yes",
        )  # fmt: skip
        np.testing.assert_array_equal(data.labels, [1, 0, 1, 0])
        np.testing.assert_array_equal(data.features[:, 1:4], [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
        ages = np.array([30, 50, 70, 50])
        np.testing.assert_allclose(data.features[:, 0], (ages - ages.mean()) / ages.std(), rtol=1e-6)
        assert (data.name, data.classes, data.class_names) == ("people", 2, ("ill", "well"))

    def test_a_data_set_unpacks(self, people):
        x, y = datasets.load(people, label="outcome")
        assert (x.shape, y.shape) == ((4, 6), (4,))

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiters_decimal_commas_and_a_mark_of_the_encoding(self, delimiter, tmp_path):
        point = "," if delimiter == ";" else "."
        rows = [("x", "y"), *((f"{value}{point}5", value % 2) for value in range(4))]
        path = write(tmp_path / "data.csv", rows, delimiter)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n")
        data = datasets.load(path, label="y")
        assert data.encoding.columns[0].mean == 2.0
        np.testing.assert_array_equal(data.labels, [0, 1, 0, 1])
        assert data.class_names is None  # 0 and 1 say nothing that the indices do not

    def test_the_kept_encoding_does_the_same_to_new_rows(self, people, tmp_path):
        data = datasets.load(people, label="outcome")
        data.encoding.to_json(tmp_path / "encoding.json")
        kept = Encoding.from_json(tmp_path / "encoding.json")
        assert kept == data.encoding
        # Other order of columns, a value that was never seen, a column that nobody asked for; rows of one value.
        rows = [("extra", "city", "age", "smoker", "outcome"), ("?", "Mars", 70, "no", "ill")]
        new = datasets.load(write(tmp_path / "new.csv", rows), label="outcome", encoding=kept)
        np.testing.assert_array_equal(new.features[0], [*data.features[2, :1], 0, 0, 0, 1, 0])
        assert new.labels.tolist() == [0] and new.classes == 2

    def test_a_table_of_numbers_stays_as_it_is_where_that_is_asked_for(self, tmp_path):
        path = write(tmp_path / "data.csv", [("a", "b", "y"), (100, 2.5, 0), (300, 4, 1)])
        data = datasets.load(path, label="y", encoding="none")
        np.testing.assert_array_equal(data.features, [[100, 2.5], [300, 4]])
        assert data.encoding is None

    def test_columns_can_be_left_out(self, people):
        data = datasets.load(people, label="outcome", drop="city")
        assert data.encoding.names == ("age", "smoker=no", "smoker=yes")

    def test_a_dict_of_columns_is_a_table(self):
        data = datasets.encode({"a": np.arange(4), "b": list("uvuv"), "y": [1, 2, 1, 2]}, label="y")
        assert data.encoding.classes == (1, 2) and data.labels.tolist() == [0, 1, 0, 1]
        assert data.features.shape == (4, 3)

    def test_missing_values_are_counted_by_column(self, tmp_path):
        rows = [*ROWS, ("", "Rome", "no", "ill"), (1, "NA", "no", "ill"), (2, "n/a", "no", "ill")]
        with pytest.raises(
            ValueError, match="3 of the values in 7 rows are missing: age 1, city 2. Fill them in"
        ):
            datasets.load(write(tmp_path / "gaps.csv", rows), label="outcome")
        with pytest.raises(ValueError, match="missing: a 1, b 1"):
            datasets.encode({"a": [1.0, np.nan], "b": ["x", None], "y": [0, 1]}, label="y")

    @pytest.mark.parametrize(
        ("rows", "options", "message"),
        [
            (ROWS, {}, "must name the column of labels"),
            (ROWS, {"label": "income"}, "there is no column 'income'. There are: age, city, smoker, outcome"),
            (ROWS, {"label": "outcome", "drop": ["sex"]}, "there is no column 'sex'"),
            (
                ROWS,
                {"label": "outcome", "encoding": "none"},
                "city, smoker, outcome is text, and takes the encoding",
            ),
            (ROWS, {"label": "outcome", "image_size": 8}, "image_size does not go with"),
            (ROWS, {"label": "outcome", "seed": 1}, "seed does not go with the file"),
            (ROWS[:1], {"label": "outcome"}, "records below it. Received: 1 rows"),
            ([*ROWS, (1, "Rome")], {"label": "outcome"}, "row 6 has 2 fields, but the first row names 4"),
            ([("a", "a"), (1, 2)], {"label": "a"}, "More than once: a"),
            ([("a", ""), (1, 2)], {"label": "a"}, "None: column 2"),
            ([("a", "y"), ("inf", 2), (1, 1)], {"label": "y"}, "'a' holds 1 infinite"),
            ([("a", "y"), (1, 2.5), (2, 1)], {"label": "y"}, "Received: 2.5. mpreg works on classifiers"),
            ([("a", "y"), (1, 2), (2, 2)], {"label": "y"}, "at least two classes. Received: 2 alone"),
            ([("a", "y"), (1, 7), (2, 8), (3, 9)], {"label": "y"}, "holds 3 different values in 3 rows"),
            ([("y",), (1,), (2,)], {"label": "y"}, "no column but the label"),
            (
                [("name", "y"), *((f"name {row}", row % 2) for row in range(200))],
                {"label": "y"},
                "'name' holds 200 different texts in 200 rows.*Leave it out \\(--drop name",
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, rows, options, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            datasets.load(write(tmp_path / "data.csv", rows), **options)

    def test_labels_and_columns_that_the_encoding_does_not_know(self, people, tmp_path):
        encoding = datasets.load(people, label="outcome").encoding
        table = {"age": [1], "city": ["Rome"], "outcome": ["dead"]}
        with pytest.raises(ValueError, match="none of its 2 classes: dead. Classes: ill, well"):
            encoding.labels(table)
        with pytest.raises(ValueError, match="the table lacks smoker. It has: age, city, outcome"):
            encoding.features(table)
        with pytest.raises(ValueError, match="'age' must hold numbers"):
            encoding.features({**table, "smoker": ["no"], "age": ["old"]})
        (tmp_path / "a.json").write_text('{"schema": "mpreg.report/1"}')
        with pytest.raises(ValueError, match=r"is no encoding as mpreg keeps it .*mpreg.report/1"):
            Encoding.from_json(tmp_path / "a.json")

    def test_another_encoding_of_text_is_told_of(self, tmp_path):
        (tmp_path / "latin.csv").write_bytes("città,y\n1,2\n".encode("latin-1"))
        with pytest.raises(ValueError, match="is not in UTF-8"):
            datasets.load(tmp_path / "latin.csv", label="y")

    def test_parquet_reads_the_same_as_csv(self, people, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        names, *records = ROWS
        columns = dict(zip(names, map(list, zip(*records, strict=True)), strict=True))
        parquet.write_table(pyarrow.table(columns), tmp_path / "people.parquet")
        one, other = (datasets.load(file, label="outcome") for file in (people, tmp_path / "people.parquet"))
        assert one.encoding == other.encoding
        np.testing.assert_array_equal(one.features, other.features)

    def test_parquet_without_its_reader_names_the_extra(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        (tmp_path / "people.parquet").write_bytes(b"PAR1")
        with pytest.raises(ValueError, match=r"pip install 'mpreg\[parquet\]'"):
            datasets.load(tmp_path / "people.parquet", label="outcome")


class TestArrays:
    x, y = np.arange(24, dtype=np.float32).reshape(6, 4), np.array([0, 1, 2, 0, 1, 2])

    def same(self, data):
        np.testing.assert_array_equal(data.features, self.x)
        np.testing.assert_array_equal(data.labels, self.y)
        assert data.classes == 3 and data.encoding is None

    def test_npz(self, tmp_path):
        np.savez(tmp_path / "a.npz", x=self.x, y=self.y)
        np.savez(tmp_path / "b.npz", features=self.x, labels=np.eye(3)[self.y])
        np.savez(tmp_path / "c.npz", x=self.x, target=self.y)
        self.same(datasets.load(tmp_path / "a.npz"))
        self.same(datasets.load(tmp_path / "b.npz"))
        self.same(datasets.load(tmp_path / "c.npz", label="target"))
        with pytest.raises(ValueError, match="must hold the arrays x and y. Received: x, target"):
            datasets.load(tmp_path / "c.npz")

    def test_a_pair_of_npy(self, tmp_path):
        np.save(tmp_path / "x.npy", self.x)
        np.save(tmp_path / "y.npy", self.y)
        self.same(datasets.load(tmp_path / "x.npy", label=tmp_path / "y.npy"))
        np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
        with pytest.raises(ValueError, match="cannot be read as an .npy file"):
            datasets.load(tmp_path / "objects.npy", label=tmp_path / "y.npy")

    def test_a_header_that_says_more_than_there_is(self, tmp_path):
        np.save(tmp_path / "x.npy", self.x)
        content = (tmp_path / "x.npy").read_bytes().replace(b"(6, 4)", b"(6000,4000)"[:6] + b")")
        (tmp_path / "x.npy").write_bytes(content.replace(b"(6000,)", b"(9999,)"))
        with pytest.raises(ValueError, match="cannot be read as an .npy file"):
            datasets.load(tmp_path / "x.npy", label=tmp_path / "x.npy")

    def test_a_saved_dataset_batched_or_not(self, tmp_path):
        import tensorflow as tf

        rows = tf.data.Dataset.from_tensor_slices((self.x, self.y))
        for name, dataset in (("rows", rows), ("batches", rows.batch(4))):
            dataset.save(str(tmp_path / name))
            self.same(datasets.load(tmp_path / name))

    def test_pictures_in_a_folder_for_each_class(self, tmp_path):
        from PIL import Image

        rng = np.random.default_rng(0)
        written = rng.integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
        for index, picture in enumerate(written):
            folder = tmp_path / "pictures" / ("cat", "dog")[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{index}.png")
        data = datasets.load(tmp_path / "pictures")
        np.testing.assert_array_equal(data.features, written[[0, 2, 1, 3]])
        assert data.labels.tolist() == [0, 0, 1, 1] and data.class_names == ("cat", "dog")
        Image.fromarray(written[0, :, :, 0]).resize((9, 9)).save(tmp_path / "pictures" / "cat" / "z.png")
        with pytest.raises(ValueError, match=r"2 sizes \(5 x 6: 4, 9 x 9: 1\)"):
            datasets.load(tmp_path / "pictures")
        assert datasets.load(tmp_path / "pictures", image_size=8).features.shape == (5, 8, 8, 3)
        (tmp_path / "pictures" / "cat" / "a.png").write_bytes(b"no picture")
        with pytest.raises(ValueError, match="a.png cannot be read as a picture"):
            datasets.load(tmp_path / "pictures")

    def test_what_is_no_data_set(self, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(ValueError, match="is no data set that can be read. Can be read: .csv"):
            datasets.load(tmp_path / "notes.txt")
        with pytest.raises(FileNotFoundError, match="there is no file or folder"):
            datasets.load("nowhere.npz")
        with pytest.raises(ValueError, match="or the path of a file of your own"):
            datasets.load("nowhere")
        with pytest.raises(ValueError, match="'imdb' of keras.datasets is not read: its files hold pickles"):
            datasets.load("imdb")
        with pytest.raises(ValueError, match="label does not go with the data set 'digits'"):
            datasets.load("digits", label="y")


def test_an_own_file_is_plain_values(people):
    """They go to worker processes, and into digests."""
    file = datasets.OwnFile(path=str(people), label="outcome", drop=["age"])
    assert dataclasses.replace(file) == file and hash(file) == hash(dataclasses.replace(file))
    assert file.read().features.shape == (4, 5)
