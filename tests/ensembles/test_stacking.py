"""Stacking: who sees which records, and what comes back from a file."""

import json
import pickle
import sys
import zipfile
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from support import CLASSES, FEATURES, mlp, records

import mpreg
from mpreg.ensembles import Stacking
from mpreg.training.game.adversarial import AdversarialRegularization

SPARSE = "sparse_categorical_crossentropy"


def network(*, units=CLASSES, activation="softmax", inputs=FEATURES, loss=SPARSE):
    model = keras.Sequential([keras.Input((inputs,)), layers.Dense(units, activation)])
    model.compile("adam", loss)
    return model


def meta_network():
    return network(inputs=2 * CLASSES)


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier that answers with the frequencies of its labels, and tells what it was trained on."""

    seen: ClassVar = {}  # of clones too

    def __init__(self, name="spy"):
        self.name = name

    def fit(self, x, y):
        Spy.seen[self.name] = np.array(x), np.array(y)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, x):
        return np.tile(self.shares_, (len(x), 1))


@pytest.fixture(scope="module")
def members():
    return records(60, seed=1)


@pytest.fixture(scope="module")
def forest_and_bayes(members):
    bases = [RandomForestClassifier(5, random_state=3), GaussianNB()]
    return Stacking(bases, LogisticRegression(max_iter=300), seed=2).fit(*members)


class TestWhoSeesWhat:
    @pytest.mark.parametrize("count", [61, 3])
    def test_parts_are_disjoint_and_use_every_record(self, count):
        x, y = records(count)
        model = Stacking([Spy("one"), Spy("two")], Spy("meta"), seed=5).fit(x, y)
        assert (model.membership.sum(axis=0) == 1).all()
        assert np.ptp(model.membership.sum(axis=1)) <= 1
        for name, own in zip(("one", "two"), model.membership, strict=False):
            np.testing.assert_array_equal(Spy.seen[name][0], x[own])
            np.testing.assert_array_equal(Spy.seen[name][1], y[own])
        np.testing.assert_array_equal(Spy.seen["meta"][1], y[model.membership[2]])

    def test_copies_of_a_record_are_in_one_part(self):
        x, y = records(30)
        rows = np.r_[np.arange(30), np.arange(15)]
        model = Stacking([Spy("one"), Spy("two")], Spy("meta"), seed=5).fit(x[rows], y[rows])
        np.testing.assert_array_equal(model.membership[:, 30:], model.membership[:, :15])
        model.fit(x[rows], y[rows], groups=rows // 3)
        for group in range(10):
            assert len(np.unique(model.membership[:, rows // 3 == group], axis=1).T) == 1

    def test_it_is_what_the_same_steps_by_hand_are(self, forest_and_bayes, members):
        x, y = members
        own = forest_and_bayes.membership
        forest = RandomForestClassifier(5, random_state=3).fit(x[own[0]], y[own[0]])
        bayes = GaussianNB().fit(x[own[1]], y[own[1]])

        def answers(rows):
            return np.concatenate([forest.predict_proba(rows), bayes.predict_proba(rows)], axis=1)

        meta = LogisticRegression(max_iter=300, random_state=4).fit(answers(x[own[2]]), y[own[2]])
        other = records(20, seed=8)[0]
        np.testing.assert_allclose(
            forest_and_bayes.predict(other), meta.predict_proba(answers(other)), atol=1e-4
        )

    def test_the_meta_model_reads_probabilities_of_the_base_models_side_by_side(self, members):
        x, y = members
        model = Stacking([network, Spy("two")], Spy("meta"), seed=5).fit(x, y, verbose=0)
        read = Spy.seen["meta"][0]
        assert read.shape == (20, 2 * CLASSES)
        np.testing.assert_allclose(read.reshape(20, 2, CLASSES).sum(axis=2), 1, atol=1e-5)
        shares = np.bincount(y[model.membership[1]], minlength=CLASSES) / 20
        np.testing.assert_allclose(read[:, CLASSES:], np.tile(shares, (20, 1)), atol=1e-6)

    def test_the_seed_decides(self, members):
        def answers(seed):
            model = Stacking([GaussianNB(), RandomForestClassifier(3)], LogisticRegression(), seed=seed)
            return model.fit(*members).predict(members[0])

        np.testing.assert_array_equal(answers(1), answers(1))
        assert not np.array_equal(answers(1), answers(2))

    def test_classes_that_a_part_has_never_seen_get_columns(self):
        x, y = records(30)
        y[:3] = 3  # three records of a fourth class: parts see it or do not
        model = Stacking([GaussianNB(), GaussianNB(), GaussianNB()], GaussianNB(), seed=0).fit(x, y)
        assert min(len(np.unique(y[own])) for own in model.membership) < 4
        assert model.predict(x).shape == (30, 4)


class TestAnyModel:
    def test_logits_one_hot_labels_and_images(self):
        x, y = records(30)
        images = x.reshape(30, 3, 2)
        inputs = [keras.Input((3, 2)), layers.Flatten(), layers.Dense(CLASSES)]
        logits = keras.Sequential(inputs)
        logits.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
        model = Stacking([logits, GaussianNB()], GaussianNB())
        model.fit(images, np.eye(CLASSES, dtype=np.float32)[y], verbose=0)
        assert model.predict(images).shape == (30, CLASSES)

    def test_one_sigmoid_unit_stands_for_two_classes(self):
        x, y = records(30, classes=2)
        single = network(units=1, activation="sigmoid", loss="binary_crossentropy")
        model = Stacking([single, GaussianNB()], LogisticRegression()).fit(x, y, verbose=0)
        assert model.predict(x).shape == (30, 2)

    def test_it_is_evaluated_as_any_model(self, forest_and_bayes, members):
        x, y = members
        measured = forest_and_bayes.evaluate(x, y)
        answers = forest_and_bayes.predict_proba(x).astype(np.float64)
        answers /= answers.sum(axis=1, keepdims=True)
        assert measured["loss"] == pytest.approx(log_loss(y, answers), rel=1e-4)
        assert measured["accuracy"] == accuracy_score(y, answers.argmax(axis=1))
        split = mpreg.MembershipSplit(members, None, records(30, seed=7))
        report = mpreg.evaluate(forest_and_bayes, split, attacks="fast")
        assert float(report.train_accuracy) == measured["accuracy"]


class TestFiles:
    def test_keras_models_come_back_without_their_defences(self, members, tmp_path):
        private = mpreg.DPSGD(mlp(activation=None), noise_multiplier=1.0, l2_norm_clip=1.0, seed=0)
        private.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        game = AdversarialRegularization(mlp(), records(16, seed=5), penalty=1.0, reference_batch_size=8)
        game.compile("adam", SPARSE)
        model = Stacking([private, game], meta_network).fit(*members, epochs=2, verbose=0)
        assert private.noisy_steps == 2  # two epochs of one batch: its part and no more
        path = tmp_path / "stacking.zip"
        model.save(path)
        with zipfile.ZipFile(path) as file:
            assert sorted(file.namelist()) == ["0.keras", "1.keras", "2.keras", "stacking.json"]
            for name in ("0.keras", "1.keras"):
                with file.open(name) as inner, zipfile.ZipFile(inner) as part:
                    assert b"mpreg" not in part.read("config.json")
        other = records(20, seed=8)[0]
        loaded = Stacking.load(path)
        assert loaded.consumes_reference
        np.testing.assert_allclose(loaded.predict(other), model.predict(other), atol=1e-6)
        with pytest.raises(RuntimeError, match="does not know who its members were"):
            loaded.membership  # noqa: B018

    @pytest.mark.parametrize(
        "meta",
        [
            LogisticRegression(max_iter=300),
            MLPClassifier((4,), tol=10.0, random_state=0),
            HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
            make_pipeline(StandardScaler(), GaussianNB()),
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_sklearn_models_come_back_without_pickle(self, meta, members, tmp_path, monkeypatch):
        pytest.importorskip("skops")
        model = Stacking([RandomForestClassifier(3), GaussianNB()], meta, seed=1).fit(*members)
        path = tmp_path / "stacking.zip"
        model.save(path)
        for name in ("load", "loads", "Unpickler"):
            monkeypatch.setattr(pickle, name, None)
        other = records(20, seed=8)[0]
        np.testing.assert_array_equal(Stacking.load(path).predict(other), model.predict(other))

    def test_other_classifiers_are_refused_by_name(self, members, tmp_path):
        pytest.importorskip("skops")
        model = Stacking([Spy(), GaussianNB()], GaussianNB()).fit(*members)
        with pytest.raises(ValueError, match=rf"Spy\(\) cannot be saved .* it holds {__name__}.Spy"):
            model.save(tmp_path / "stacking.zip")
        assert not list(tmp_path.iterdir())

    def test_a_file_that_holds_code_is_refused(self, forest_and_bayes, tmp_path):
        skops = pytest.importorskip("skops.io")
        path, evil = tmp_path / "stacking.zip", tmp_path / "evil.zip"
        forest_and_bayes.save(path)
        with zipfile.ZipFile(path) as file, zipfile.ZipFile(evil, "w") as changed:
            for name in file.namelist():
                changed.writestr(name, skops.dumps(Spy()) if name == "1.skops" else file.read(name))
        with pytest.raises(ValueError, match=rf"1.skops' cannot be .* loaded .* it holds {__name__}.Spy"):
            Stacking.load(evil)

    def test_without_skops_the_way_out_is_named(self, forest_and_bayes, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "skops", None)
        with pytest.raises(ImportError, match="pip install skops"):
            forest_and_bayes.save(tmp_path / "stacking.zip")

    def test_other_files_are_refused(self, tmp_path):
        path = tmp_path / "other.zip"
        path.write_bytes(b"not a zip")
        with pytest.raises(ValueError, match="is not a file that mpreg.Stacking has saved"):
            Stacking.load(path)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("stacking.json", json.dumps({"parts": [{"kind": "other"}]}))
        with pytest.raises(ValueError, match="is not a file that mpreg.Stacking has saved"):
            Stacking.load(path)


class TestMistakes:
    @pytest.mark.parametrize("bases", [[], [GaussianNB()], GaussianNB()])
    def test_two_base_models_at_least(self, bases):
        with pytest.raises(ValueError, match="bases must be a list of at least two models. Received: "):
            Stacking(bases, GaussianNB())

    @pytest.mark.parametrize("other", [LinearSVC(), LinearRegression(), GaussianNB, "forest"])
    def test_parts_are_classifiers_with_probabilities(self, other):
        with pytest.raises(TypeError, match="a part must be a Keras model, a scikit-learn classifier with"):
            Stacking([GaussianNB(), other], GaussianNB())

    def test_one_model_is_one_part(self):
        model = network()
        with pytest.raises(ValueError, match="a Keras model cannot be two parts"):
            Stacking([model, model], GaussianNB())

    def test_what_a_function_returns(self, members):
        with pytest.raises(TypeError, match="a function must return a Keras or scikit-learn classifier"):
            Stacking([GaussianNB(), lambda: "forest"], GaussianNB()).fit(*members)

    def test_a_keras_model_must_be_compiled(self, members):
        with pytest.raises(ValueError, match="a Keras model must be compiled"):
            Stacking([GaussianNB(), mlp()], GaussianNB()).fit(*members)

    def test_a_keras_model_must_be_wide_enough(self, members):
        narrow = network(units=2)
        with pytest.raises(ValueError, match="answers for 2 classes, but there are 3 in the labels"):
            Stacking([GaussianNB(), narrow], GaussianNB()).fit(*members)

    def test_each_part_needs_records(self, members):
        with pytest.raises(
            ValueError, match="each of 3 models needs records of its own: .* Received: 2 records"
        ):
            Stacking([GaussianNB(), GaussianNB()], GaussianNB()).fit(members[0][:2], members[1][:2])

    def test_sklearn_takes_one_input(self, members):
        x, y = members
        with pytest.raises(ValueError, match="scikit-learn takes one array of records, not several inputs"):
            Stacking([GaussianNB(), GaussianNB()], GaussianNB()).fit({"a": x, "b": x}, y)

    def test_nothing_before_fit(self):
        model = Stacking([GaussianNB(), GaussianNB()], GaussianNB())
        for use in (
            lambda: model.predict(np.zeros((1, 2))),
            lambda: model.save("x"),
            lambda: model.membership,
        ):
            with pytest.raises(RuntimeError, match="call fit first"):
                use()
