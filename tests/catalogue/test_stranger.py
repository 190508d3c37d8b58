"""Settings of files of one's own: drawn, trained by name, saved with what belongs beside the models, and audited."""

import csv
import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from support.registries import forgetting

from mpreg import datasets
from mpreg.catalogue import SETTINGS, OwnData, defence_of, load_plugin
from mpreg.catalogue.stranger import Suited, suited_to
from mpreg.catalogue.trained_by import TrainedBy
from mpreg.cli import main
from mpreg.datasets import OwnFile

WIDTH = 6  # features of the encoded table


@pytest.fixture(autouse=True)
def registries():
    with forgetting():
        yield


@pytest.fixture
def people(tmp_path):
    rng = np.random.default_rng(0)
    city, age = rng.integers(0, 3, 200), rng.normal(50, 9, 200).round(3)
    sex, height = rng.integers(0, 1, 200), rng.normal(170, 9, 200).round(2)
    rows = zip(
        age, np.array(["Rome", "Oslo", "Bern"])[city], np.array(["f"])[sex], height, city > 0, strict=True
    )
    with open(tmp_path / "people.csv", "w", newline="") as file:
        csv.writer(file).writerows([("age", "city", "sex", "height", "north"), *rows])
    return tmp_path / "people.csv"


def classifier(units=2, activation="softmax", width=WIDTH):
    layers = [keras.layers.Dense(4, "relu"), keras.layers.Dense(units, activation)]
    return keras.Sequential([keras.Input((width,)), *layers])


def saved(path, model, *compiled):
    if compiled:
        model.compile(*compiled)
    model.save(path)
    return str(path)


def own(people, **options):
    return OwnData(file=OwnFile(path=str(people), label="north"), **options)


class TestSetting:
    def test_it_is_known_by_the_name_of_the_file_and_draws_different_records(self, people):
        setting = load_plugin(own(people, members=50, epochs=1))
        assert SETTINGS["people"] == setting and setting.members == 50 and setting.reference == 60
        data, split = setting.draw(0)
        assert (len(split.members[1]), len(split.reference[1]), len(split.nonmembers[1])) == (50, 60, 90)
        rows = setting.rows(data, 0)
        np.testing.assert_array_equal(split.members[0], data.features[rows[0]])
        np.testing.assert_array_equal(split.nonmembers[1], data.labels[rows[2]])
        model = defence_of("l2").train(setting, data, split, seed=0)
        assert model.output_shape == (None, 2)

    def test_a_name_that_is_taken_stays(self, people):
        digits = people.rename(people.with_name("digits.csv"))
        assert load_plugin(own(digits, epochs=1)).dataset == "own-digits"
        assert len(datasets.load("digits").labels) == 1797

    @pytest.mark.parametrize(
        ("x", "network"),
        [
            (np.eye(4, dtype=np.float32), Suited()),
            (np.eye(4) * 100, Suited(mean=(25.0,) * 4, variance=(1875.0,) * 4)),
            (np.zeros((4, 8, 8, 1), np.uint8), Suited(rescaled=True)),
            (np.zeros((4, 8, 8, 1), np.float32), Suited()),
        ],
    )
    def test_the_network_suits_the_records(self, x, network):
        data = datasets.Dataset(name="d", features=x, labels=np.arange(4), classes=4, description="")
        assert suited_to(data) == network
        model = network(x.shape[1:], 4, seed=0)
        assert model.output_shape == (None, 4)
        if network.mean:
            np.testing.assert_allclose(
                model.layers[0](x), (x - x.mean(axis=0)) / x.std(axis=0), rtol=1e-3, atol=1e-3
            )
        again = keras.Sequential.from_config(model.get_config())
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(x), model(x))

    def test_sequences_take_a_model(self):
        data = datasets.Dataset(
            name="d", features=np.zeros((4, 8, 2)), labels=np.arange(4), classes=4, description=""
        )
        with pytest.raises(ValueError, match=r"no network is there for records of shape \(8, 2\)"):
            suited_to(data)


class TestModel:
    def test_layers_are_trained_anew_as_they_were_compiled(self, people, tmp_path):
        model = classifier(activation=None)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        path = saved(tmp_path / "m.keras", model, keras.optimizers.SGD(0.25, momentum=0.5), loss)
        setting = load_plugin(own(people, model=path, epochs=1))
        fresh = setting.compile(setting.build_model(setting.draw(0)[0], 3))
        assert (float(fresh.optimizer.learning_rate), fresh.optimizer.momentum) == (0.25, 0.5)
        assert isinstance(fresh.loss, keras.losses.SparseCategoricalCrossentropy) and fresh.loss.from_logits
        assert [layer.units for layer in fresh.layers] == [4, 2]
        assert not np.array_equal(fresh.get_weights()[0], model.get_weights()[0])

    def test_one_sigmoid_unit_serves_two_classes(self, people, tmp_path):
        path = saved(tmp_path / "m.keras", classifier(1, "sigmoid"), "adam", "binary_crossentropy")
        setting = load_plugin(own(people, model=path, epochs=1))
        data, split = setting.draw(0)
        assert defence_of("undefended").train(setting, data, split, seed=0).output_shape == (None, 1)

    @pytest.mark.parametrize("compiled", [(), ("adam", "sparse_categorical_crossentropy")])
    def test_how_it_was_compiled_is_read(self, compiled):
        model = classifier()
        if compiled:
            model.compile(*compiled)
        read = TrainedBy.from_model(model)
        assert (read.loss, read.from_logits) == ("sparse_categorical_crossentropy", False)
        assert read.learning_rate == pytest.approx(1e-3)
        keras.optimizers.Adam()  # names count up, and are no part of how a model is trained
        assert TrainedBy.from_model(model) == read
        again = classifier()
        if compiled:
            again.compile(*compiled)
        assert TrainedBy.from_model(again) == read

    def test_a_schedule_gives_its_first_rate(self):
        model = classifier()
        schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.1)
        model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
        assert TrainedBy.from_model(model).learning_rate == 0.5

    @pytest.mark.parametrize(
        ("model", "compiled", "message"),
        [
            (classifier(width=3), (), r"takes records of shape \(3,\), but the data's have \(6,\)"),
            (classifier(units=1, activation="sigmoid"), ("adam", "mse"), "Received: loss 'mse'"),
            (classifier(), ("adam", "binary_crossentropy"), "yes or no to each of several labels"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, model, compiled, message, people, tmp_path):
        path = saved(tmp_path / "m.keras", model, *compiled)
        with pytest.raises(ValueError, match=message):
            load_plugin(own(people, model=path))
        assert "people" not in SETTINGS

    def test_too_few_records_are_refused(self, people):
        people.write_text("\n".join(people.read_text().splitlines()[:40]))
        with pytest.raises(ValueError, match="holds 39 different records; there must be at least 60"):
            load_plugin(own(people))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class TestCommands:
    def test_compare_leaves_what_audit_reads(self, people, tmp_path):
        out = tmp_path / "out"
        data = ["--data", people, "--label", "north"]
        done = run(
            "compare", *data, "--defences", "undefended", "--epochs", 1, "--attacks", "standard", "--out", out
        )
        assert done.exit_code == 0, done.output
        assert {"undefended.keras", "encoding.json", "split.npz", "report.html"} <= {
            file.name for file in out.iterdir()
        }
        options = [*data, "--split", out / "split.npz", "--attacks", "fast", "--out", tmp_path / "audit"]
        done = run("audit", out / "undefended.keras", *options)
        assert done.exit_code == 0, done.output
        found = json.loads((tmp_path / "audit" / "report.json").read_text("utf-8"))
        kept = json.loads((out / "report.json").read_text("utf-8"))["reports"]["undefended"]
        assert found["report"]["train_accuracy"] == kept["train_accuracy"]
        assert found["class_names"] == ["False", "True"]
        assert [file["role"] for file in found["files"]] == ["model", "data", "split", "encoding"]
        people.write_text(people.read_text() + "1,Rome,f,2,True\n")
        done = run("audit", out / "undefended.keras", *options)
        assert done.exit_code == 2 and "is of another data file, or that has changed" in " ".join(
            done.output.split()
        )

    def test_tables_are_audited_as_the_model_beside_the_encoding_takes_them(self, people, tmp_path):
        lines = people.read_text().splitlines()
        for name, rows in (("a.csv", lines[1:90]), ("b.csv", lines[90:])):
            (tmp_path / name).write_text("\n".join([lines[0], *rows]))
        saved(tmp_path / "m.keras", classifier())
        sides = ["--members", tmp_path / "a.csv", "--nonmembers", tmp_path / "b.csv", "--label", "north"]
        options = [tmp_path / "m.keras", *sides, "--attacks", "fast", "--out", tmp_path / "audit"]
        done = run("audit", *options)
        assert done.exit_code == 2 and "takes the encoding that the model was trained with" in " ".join(
            done.output.split()
        )
        datasets.load(people, label="north").encoding.to_json(tmp_path / "encoding.json")
        done = run("audit", *options)
        assert done.exit_code == 0 and "on 89 members" in done.output, done.output

    @pytest.mark.parametrize(
        ("command", "options", "message"),
        [
            ("compare", ["--label", "north"], "--label goes with --data"),
            ("compare", ["--model", "PEOPLE"], "--model goes with --data"),
            ("compare", ["--data", "PEOPLE"], "label= (--label) must name the column of labels"),
            ("compare", ["--data", "PEOPLE", "--label", "x"], "there is no column 'x'"),
            (
                "compare",
                ["--data", "PEOPLE", "--label", "north", "--model", "PEOPLE"],
                "must be a .keras file",
            ),
            (
                "compare",
                ["--data", "PEOPLE", "--label", "north", "--members", "150"],
                "must leave non-members among",
            ),
            ("audit", ["PEOPLE", "--data", "PEOPLE"], "or MODEL.keras with --data and --split"),
            (
                "audit",
                ["PEOPLE", "--split", "PEOPLE", "--data", "PEOPLE", "--members", "PEOPLE"],
                "give MODEL.keras",
            ),
        ],
    )
    def test_wrong_input_ends_with_2_and_one_line(self, command, options, message, people, tmp_path):
        done = run(
            command,
            *(people if option == "PEOPLE" else option for option in options),
            "--out",
            tmp_path / "new",
        )
        assert done.exit_code == 2 and message in " ".join(done.output.split())
        assert "Traceback" not in done.output and not (tmp_path / "new").exists()
