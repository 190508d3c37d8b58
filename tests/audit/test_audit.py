"""The audit: files read without pickles, records' risk, limits, saved models, and the files that come out."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from support import CLASSES, FEATURES, mlp, records

import mpreg
from mpreg.attacks.whitebox.gradient_norms import gradient_norms
from mpreg.audit.files import read_class_names, read_inputs, read_predictions, source
from mpreg.audit.gate import FIGURES, judge, parse_limit
from mpreg.audit.run import audit_model, audit_predictions
from mpreg.audit.saved_model import load_model, shadow_fleet
from mpreg.evaluation.member_risk import calibrate

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "report-schema.md"


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """Files of the predictions of a scikit-learn model for its members and for others."""
    folder = tmp_path_factory.mktemp("predictions")
    x, y = records(60)
    other_x, other_y = records(80, seed=1)
    model = LogisticRegression(C=100.0).fit(x, y)
    return [
        save(folder / f"{name}.npz", predictions=model.predict_proba(some), labels=labels)
        for name, some, labels in (("members", x, y), ("nonmembers", other_x, other_y))
    ]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A trained Keras model, and files of its members, of others and of a reference."""
    folder = tmp_path_factory.mktemp("model")
    model = mlp(hidden=16, dropout=0.3)
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    sides = {"members": records(40), "nonmembers": records(60, seed=1), "reference": records(30, seed=2)}
    model.fit(*sides["members"], epochs=5, verbose=0)
    model.save(folder / "model.keras")
    files = {name: save(folder / f"{name}.npz", x=x, y=y) for name, (x, y) in sides.items()}
    return model, folder / "model.keras", files, mpreg.MembershipSplit(**sides)


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


class TestReading:
    def test_inputs_and_their_source(self, tmp_path):
        x, y = records(7)
        file = save(tmp_path / "a.npz", x=x, y=y)
        found = read_inputs(file, "members")
        np.testing.assert_array_equal(found.pair[0], x)
        np.testing.assert_array_equal(found.pair[1], y)
        digest = subprocess.run(
            ["sha256sum", file], capture_output=True, text=True, check=True
        ).stdout.split()[0]
        assert (found.source.role, found.source.records, found.source.sha256) == ("members", 7, digest)
        assert found.source.bytes == file.stat().st_size

    def test_several_inputs(self, tmp_path):
        x, y = records(7)
        numbered = save(tmp_path / "a.npz", y=y, **{f"x{i}": x + i for i in range(11)})
        inputs = read_inputs(numbered, "members").pair[0]
        assert [float(part[0, 0] - x[0, 0]) for part in inputs] == pytest.approx(list(range(11)), abs=1e-5)
        named = save(tmp_path / "b.npz", y=y, x_left=x, x_right=x[:, :2])
        assert {name: part.shape for name, part in read_inputs(named, "m").pair[0].items()} == {
            "left": (7, FEATURES),
            "right": (7, 2),
        }

    def test_one_hot_labels_and_predictions(self, tmp_path):
        file = save(tmp_path / "a.npz", predictions=np.full((3, 2), 0.5), labels=np.eye(2)[[0, 1, 1]])
        predictions, labels = read_predictions(file, "members").pair
        assert predictions.shape == labels.shape == (3, 2)

    @pytest.mark.parametrize("read", [read_inputs, read_predictions])
    @pytest.mark.parametrize("bare", [False, True])
    def test_nothing_is_ever_unpickled(self, read, bare, tmp_path):
        touched, file = tmp_path / "touched", tmp_path / "a.npz"
        if bare:
            file.write_bytes(pickle.dumps(Payload(touched)))
        else:
            objects = np.array([Payload(touched)], dtype=object)
            save(file, x=objects, y=[0], predictions=objects, labels=[0])
        with pytest.raises(ValueError, match="no .npz file|never unpickled"):
            read(file, "members")
        assert not touched.exists()

    @pytest.mark.parametrize(
        ("read", "arrays", "message"),
        [
            (read_inputs, {"x": [[1.0]]}, "must hold the arrays x and y. Received: x"),
            (read_inputs, {"y": [0]}, "must hold the arrays x and y. Received: y"),
            (
                read_inputs,
                {"predictions": [[1.0]], "labels": [0]},
                "leave MODEL out, give --member-predictions",
            ),
            (read_predictions, {"x": [[1.0]], "y": [0]}, "give MODEL, --members"),
            (read_inputs, {"x": [[1.0], [2.0]], "y": [0]}, "same number of records"),
            (read_inputs, {"x": [[np.nan]], "y": [0]}, "NaN or infinite"),
            (read_inputs, {"x": [[1.0]], "y": [0.5]}, "must be class indices"),
            (
                read_predictions,
                {"predictions": [[0.5, 0.5]], "labels": [0, 1]},
                "a prediction for each label",
            ),
            (read_predictions, {"predictions": 0.5, "labels": [0, 1]}, "a prediction for each label"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_role(self, read, arrays, message, tmp_path):
        with pytest.raises(ValueError, match=f"^nonmembers.*{message}"):
            read(save(tmp_path / "a.npz", **arrays), "nonmembers")

    def test_class_names(self, tmp_path):
        file = tmp_path / "names.txt"
        file.write_text("cat\r\n großer Hund \n", "utf-8")
        assert read_class_names(file) == ["cat", "großer Hund"]
        for content in (b"\n\n", b"\xff\xfe"):
            file.write_bytes(content)
            with pytest.raises(ValueError, match="class names must be"):
                read_class_names(file)


class TestCalibration:
    def simulated(self, size=20_000, shift=1.5, seed=0):
        rng = np.random.default_rng(seed)
        return rng.normal(shift, 1, size), rng.normal(0, 1, size)

    def test_probabilities_are_those_of_bayes(self):
        """Two unit normals a shift apart: the posterior at even odds is the logistic of shift * score - shift² / 2."""
        sides = self.simulated()
        found = np.concatenate(calibrate(*sides))
        exact = 1 / (1 + np.exp(-(1.5 * np.concatenate(sides) - 1.5**2 / 2)))
        assert np.abs(found - exact).mean() < 0.02

    def test_of_those_given_a_probability_so_many_are_members(self):
        members, others = calibrate(*self.simulated(5000))
        edges = np.linspace(0, 1, 11)
        counts = [np.histogram(side, edges)[0] for side in (members, others)]
        for low, high, own, other in zip(edges, edges[1:], *counts, strict=False):
            if own + other > 300:
                assert low - 0.04 < own / (own + other) < high + 0.04

    def test_sides_weigh_the_same_however_many_there_are(self):
        members, others = self.simulated(6000)
        even = calibrate(members, others)[0].mean()
        assert calibrate(members, others[:1500])[0].mean() == pytest.approx(even, abs=0.02)

    def test_a_higher_score_is_never_less_likely_within_a_fold(self):
        members, others = self.simulated(300)
        found = calibrate(members, others, folds=3, seed=5)
        rng = np.random.default_rng(5)  # the parts as they are drawn
        part = [rng.permutation(300) % 3 for _ in range(2)]
        for fold in range(3):
            scores, risk = (
                np.concatenate([side[own == fold] for side, own in zip(pair, part, strict=True)])
                for pair in ((members, others), found)
            )
            assert (np.diff(risk[np.argsort(scores, kind="stable")]) >= 0).all()

    @pytest.mark.parametrize("levels", [1, 5, 1000])
    def test_of_two_parts_each_is_read_from_the_isotonic_curve_of_the_other(self, levels):
        """By scikit-learn's, on the scores themselves, with a record of the other kind beyond either end."""
        rng = np.random.default_rng(levels)
        sides = rng.integers(0, levels, 80) + 0.0, rng.integers(0, levels, 50) - 0.2 * (levels > 5)
        found = calibrate(*sides, folds=2, seed=4)
        rng = np.random.default_rng(4)  # the parts as they are drawn
        parts = [rng.permutation(len(side)) % 2 for side in sides]
        for fold in range(2):
            known = [side[part != fold] for side, part in zip(sides, parts, strict=True)]
            both = np.unique(np.concatenate(sides))
            curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(
                np.searchsorted(both, np.concatenate([*known, [both[0], both[-1]]]))
                + np.r_[[0] * sum(map(len, known)), -len(both), len(both)],
                np.r_[np.repeat([1, 0], list(map(len, known))), 1, 0],
                np.r_[
                    np.repeat([1 / len(side) for side in known], list(map(len, known))),
                    1 / len(known[0]),
                    1 / len(known[1]),
                ],
            )
            for side, part, risk in zip(sides, parts, found, strict=True):
                np.testing.assert_allclose(
                    risk[part == fold], curve.predict(np.searchsorted(both, side[part == fold])), atol=1e-12
                )

    def test_a_record_does_not_teach_the_curve_it_is_read_from(self):
        """On noise, a curve fitted on the same records would raise the members by some .04."""
        differences = []
        for seed in range(20):
            members, others = calibrate(*self.simulated(100, shift=0.0, seed=seed))
            differences.append(members.mean() - others.mean())
        assert np.mean(differences) < 0.01

    def test_nobody_is_certain_and_scores_may_be_infinite(self):
        members, others = calibrate(np.r_[np.full(30, np.inf), 1.0], np.r_[np.full(30, -np.inf), 0.0])
        assert 0 < others.min() < 0.1 and 0.9 < members.max() < 1

    def test_scores_that_tell_nothing_say_one_half(self):
        members, others = calibrate(np.zeros(50), np.zeros(50))
        np.testing.assert_allclose(np.r_[members, others], 0.5, atol=0.02)

    def test_too_few_scores_are_refused(self):
        with pytest.raises(ValueError, match="at least 2 scores on either side"):
            calibrate([1.0], [0.0, 1.0])


class TestLimits:
    @pytest.mark.parametrize(
        "text",
        ["attack=0.6", "attack_accuracy", "attack_accuracy=", "advantage=high", "auc=nan", "recall=inf"],
    )
    def test_a_wrong_limit_is_quoted(self, text):
        with pytest.raises(ValueError, match=f"a limit must be .*Received: '{text}'"):
            parse_limit(text)

    def test_figures_are_the_highest_of_all_attacks(self, forest):
        report = audit_predictions(*forest, attacks="fast").report
        gates = {gate.figure: gate for gate in judge(report, [(figure, 0.0) for figure in FIGURES])}
        attacks = report.attacks.values()
        assert gates["attack_accuracy"].value == float(report.attack_accuracy)
        assert gates["attack_accuracy"].low == report.attack_accuracy.low
        assert gates["attack_auc"].value == max(float(result.auc) for result in attacks)
        assert gates["advantage"].value == max(float(result.advantage) for result in attacks)
        assert gates["tpr_at_fpr_0.01"].value == max(float(result.tpr_at_fpr[0.01]) for result in attacks)
        assert gates["epsilon_lower_bound"].value == max(result.epsilon_lower_bound for result in attacks)
        assert gates["gap_bound"].value == report.gap_bound
        named = report.attacks[gates["attack_auc"].attack]
        assert float(named.auc) == gates["attack_auc"].value
        assert all(gate.low <= gate.value for gate in gates.values())
        assert {gate.of for gate in gates.values()} == {"members"}

    def test_the_value_decides_and_the_interval_is_told(self, forest):
        report = audit_predictions(*forest, attacks="fast").report
        value, low = float(report.attack_accuracy), report.attack_accuracy.low
        above, unsure, within = judge(
            report, [("attack_accuracy", limit) for limit in (low - 0.01, (low + value) / 2, value)]
        )
        assert (above.failed, above.certain) == (True, True) and "so is the low end" in above.verdict
        assert (unsure.failed, unsure.certain) == (True, False) and "is not" in unsure.verdict
        assert (within.failed, within.verdict) == (False, "within the limit")


def flattened(value, path=""):
    """`(path, leaf)` of a JSON value; names under a map of the schema stand as `*`, entries of a list as `[]`."""
    if isinstance(value, dict):
        free = re.search(r"(attacks|tpr_at_fpr|provenance|cost)$", path)
        for name, part in value.items():
            yield from flattened(part, f"{path}.{'*' if free else name}".lstrip("."))
        if free and not value:
            yield f"{path}.*", None
    elif isinstance(value, list):
        for part in value:
            yield from flattened(part, f"{path}[]")
        if not value:
            yield f"{path}[]", None
    else:
        yield path, value


def documented(schema):
    """`{path: types}` of the table under a schema's heading in the documentation."""
    section = SCHEMA.read_text("utf-8").split(f"## `{schema}`")[1].split("\n## ")[0]
    return {
        path: kinds.split(" or ")
        for path, kinds in re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \|", section, re.M)
    }


KINDS = {"text": str, "number": (int, float), "integer": int, "boolean": bool, "null": type(None)}


def check_schema(found, schema, *, optional=()):
    """Every leaf is documented with its type, and every documented path is there."""
    known = documented(schema)
    # Of models that answer one class a record there is none; tests/evaluation/test_several.py has the others.
    known = {path: kinds for path, kinds in known.items() if not path.startswith("per_label")}
    seen = set()
    for path, leaf in flattened(found):
        inner = next(
            (prefix for prefix in ("report.reference", "report") if path.startswith(f"{prefix}.")), None
        )
        if inner:
            continue
        assert path in known or (leaf is None and any(one.startswith(path) for one in known)), path
        if path in known:
            seen.add(path)
            assert leaf is None or any(isinstance(leaf, KINDS[kind]) for kind in known[path]), (path, leaf)
            assert leaf is not None or "null" in known[path] or path.endswith(("[]", ".*")), path
    assert set(known) - seen - set(optional) == set()


class TestFiles:
    @pytest.fixture(scope="class")
    @classmethod
    def audit(cls, forest):
        limits = [("attack_accuracy", 0.5)]
        return audit_predictions(
            *forest, attacks="fast", title="a | b", class_names=["<a>", "b", "c"], limits=limits, command="x"
        )

    def test_the_figures_are_those_of_evaluate(self, audit, forest):
        sides = [read_predictions(file, "m").pair for file in forest]
        assert (
            audit.report.to_dict()
            == mpreg.evaluate_predictions(*sides[0], *sides[1], attacks="fast").to_dict()
        )

    def test_json_is_as_documented(self, audit):
        found = json.loads(audit.files()["report.json"])
        assert found == audit.to_dict()
        assert found["schema"] == "mpreg.audit/1"
        norms = [path for path in documented("mpreg.audit/1") if path.startswith("gradient_norm")]
        check_schema(found, "mpreg.audit/1", optional=norms)
        check_schema(found["report"], "mpreg.report/1", optional=["cost.*", "reference", "notes[]"])

    def test_records_are_as_documented_and_load_without_pickles(self, audit, tmp_path):
        (tmp_path / "scores.npz").write_bytes(audit.files()["member_scores.npz"])
        with np.load(tmp_path / "scores.npz", allow_pickle=False) as file:
            found = dict(file)
        assert set(found) == set(documented("mpreg.member_scores/1"))
        assert found["schema"] == "mpreg.member_scores/1" and found["prior"] == 0.5
        member, surest = found["is_member"], audit.report.best_at_low_fpr
        assert found["attack"] == surest.name and member.sum() == 60 and len(member) == 140
        np.testing.assert_array_equal(found["index"][member], np.arange(60))
        np.testing.assert_array_equal(found["score"][~member], surest.nonmember_scores)
        np.testing.assert_array_equal(found["called_member"][member], surest.member_decisions)
        np.testing.assert_array_equal(found["label"][member], audit.report.member_labels)
        np.testing.assert_array_equal(found["risk"][member], audit.risk.members)
        accuracy = (found["called_member"][member].mean() + 1 - found["called_member"][~member].mean()) / 2
        assert accuracy == pytest.approx(float(surest.accuracy))

    def test_markdown_holds_names_as_text_and_the_hashes(self, audit, forest):
        text = audit.to_markdown()
        assert text.startswith("# a \\| b\n")
        assert all(source("m", file).sha256 in text for file in forest)
        assert all(gate.verdict in text for gate in audit.gates)

    def test_all_files_are_written_and_nothing_else(self, audit, tmp_path):
        names = {"report.html", "report.json", "report.md", "member_scores.npz"}
        assert (
            {path.name for path in audit.write(tmp_path)}
            == names
            == {path.name for path in tmp_path.iterdir()}
        )
        audit.write(tmp_path, dpia={})
        assert {path.name for path in tmp_path.iterdir()} == names | {"dpia.html", "dpia.md"}

    def test_too_few_class_names_are_found_before_anything_is_written(self, forest):
        with pytest.raises(ValueError, match="a name for each of the 3 classes"):
            audit_predictions(*forest, attacks="fast", class_names=["a"])

    def test_auditing_predictions_imports_no_tensorflow(self, forest, tmp_path):
        code = (
            "import sys; from mpreg.audit.run import audit_predictions; "
            f"audit_predictions({str(forest[0])!r}, {str(forest[1])!r}).write({str(tmp_path)!r}, dpia={{}}); "
            "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.stdout.split() == ["False", "False"], done.stderr


class TestModels:
    @pytest.fixture(scope="class")
    @classmethod
    def audit(cls, saved):
        _, path, files, _ = saved
        return audit_model(
            path, files["members"], files["nonmembers"], reference=files["reference"], attacks="fast"
        )

    def test_the_figures_are_those_of_evaluate(self, audit, saved):
        model, _, _, split = saved
        expected = mpreg.evaluate(model, split, attacks="fast", reference=True)
        assert audit.report.to_dict() == expected.to_dict()
        assert audit.report.reference.members == 30

    def test_sources_are_all_the_files(self, audit):
        assert [(file.role, file.records) for file in audit.sources] == [
            ("model", None),
            ("members", 40),
            ("nonmembers", 60),
            ("reference", 30),
        ]

    def test_json_is_as_documented(self, audit):
        found = audit.to_dict()
        check_schema(
            found,
            "mpreg.audit/1",
            optional=[
                path for path in documented("mpreg.audit/1") if path.startswith(("gates", "class_names"))
            ],
        )
        assert found["gradient_norm_auc"]["value"] == float(audit.gradient_norms.auc)
        check_schema(
            found["report"]["reference"], "mpreg.report/1", optional=["cost.*", "reference", "notes[]"]
        )

    def test_gradient_norms_are_those_of_a_naive_loop(self, audit, saved):
        model, _, _, split = saved
        loss = keras.losses.SparseCategoricalCrossentropy()
        for (x, y), found in zip(
            (split.members, split.nonmembers),
            (audit.gradient_norms.members, audit.gradient_norms.nonmembers),
            strict=True,
        ):
            for row in range(0, len(y), 7):
                with tf.GradientTape() as tape:
                    value = loss(y[row : row + 1], model(x[row : row + 1], training=False))
                gradients = tape.gradient(value, model.trainable_variables)
                norm = np.sqrt(sum(np.sum(np.square(g.numpy())) for g in gradients))
                assert found[row] == pytest.approx(norm, rel=1e-3)

    def test_a_sample_is_no_larger_than_asked(self, saved):
        model, _, _, split = saved
        found = gradient_norms(model, split, records=5, seed=1)
        assert (len(found.members), len(found.nonmembers)) == (5, 5)

    @pytest.mark.parametrize(
        ("defences", "said"),
        [
            ([mpreg.TopK(1)], "TopK at the end of the model was removed"),
            ([mpreg.LabelOnly()], "LabelOnly at the end of the model was removed"),
            (
                [mpreg.Temperature(2.0), mpreg.RankOnly(np.eye(CLASSES))],
                "RankOnly and Temperature at the end",
            ),
        ],
    )
    def test_gradients_are_those_of_the_classifier_behind_output_defences(
        self, defences, said, audit, saved, tmp_path
    ):
        """Whoever has the file takes the defences off; as it is served, a model of labels has gradients of 0."""
        model, _, files, _ = saved
        mpreg.defend(model, *defences).save(tmp_path / "defended.keras")
        found = audit_model(
            tmp_path / "defended.keras", files["members"], files["nonmembers"], attacks="fast"
        )
        for side in ("members", "nonmembers"):
            plain = getattr(audit.gradient_norms, side)
            np.testing.assert_allclose(getattr(found.gradient_norms, side), plain, rtol=1e-4)
        contents = found.files(dpia={})
        assert all(said in contents[name] for name in ("report.html", "report.json", "dpia.md"))

    def test_gradients_that_are_hidden_are_not_measured(self, saved, tmp_path):
        """A defence within the model cannot be taken off; what it hides is not said to be an AUC of one half."""
        model, _, files, _ = saved
        inputs = keras.Input((FEATURES,))
        keras.Model(inputs, layers.Activation("linear")(mpreg.LabelOnly()(model(inputs)))).save(
            tmp_path / "a.keras"
        )
        found = audit_model(tmp_path / "a.keras", files["members"], files["nonmembers"], attacks="fast")
        assert found.gradient_norms is None and "hides the gradients" in found.gradient_norms_note
        assert "Not measured here. " in found.files(dpia={})["dpia.md"]

    def test_python_code_in_a_model_is_not_run(self, saved, tmp_path):
        _, _, files, _ = saved
        keras.Sequential([keras.Input((FEATURES,)), layers.Lambda(lambda x: x), layers.Dense(CLASSES)]).save(
            tmp_path / "lambda.keras"
        )
        with pytest.raises(ValueError, match="holds Python code \\(a Lambda layer\\), which is not run"):
            audit_model(tmp_path / "lambda.keras", files["members"], files["nonmembers"])

    def test_a_layer_of_the_users_own_is_named(self, saved, tmp_path):
        class Own(layers.Layer):
            def call(self, x):
                return x

        keras.Sequential([keras.Input((FEATURES,)), Own(), layers.Dense(CLASSES)]).save(
            tmp_path / "own.keras"
        )
        with pytest.raises(
            ValueError,
            match="own.keras cannot be loaded: Could not locate class 'Own'.* --member-predictions",
        ):
            audit_model(tmp_path / "own.keras", *[saved[2][name] for name in ("members", "nonmembers")])

    def test_other_kinds_of_files_are_refused(self, saved, tmp_path):
        files = [saved[2][name] for name in ("members", "nonmembers")]
        for name in ("model.h5", "model.keras"):
            (tmp_path / name).write_bytes(pickle.dumps(Payload(tmp_path / "touched")))
            with pytest.raises(ValueError, match="must be a .keras file"):
                audit_model(tmp_path / name, *files)
        assert not (tmp_path / "touched").exists()
        with pytest.raises(FileNotFoundError):
            audit_model(tmp_path / "none.keras", *files)

    def test_members_among_the_nonmembers_are_found(self, saved):
        _, path, files, _ = saved
        with pytest.raises(ValueError, match="40 .*A record in two roles"):
            audit_model(path, files["members"], files["members"])

    def test_shadow_models_are_fresh_copies_of_the_saved_one(self, saved):
        model, path, _, _ = saved
        fleet = shadow_fleet(load_model(path, compiled=True), 3, 7, 64)
        assert (fleet.count, fleet.epochs, fleet.batch_size) == (3, 7, 64)
        fresh = fleet.build_fn()
        assert [layer.name for layer in fresh.layers] == [layer.name for layer in model.layers]
        assert float(fresh.optimizer.learning_rate) == pytest.approx(0.02)
        assert fresh.loss == "sparse_categorical_crossentropy"
        trained = np.concatenate([value.ravel() for value in model.get_weights()])
        assert not np.allclose(np.concatenate([value.ravel() for value in fresh.get_weights()]), trained)

    @pytest.mark.slow
    def test_strong_attacks_train_models_like_the_saved_one(self, saved):
        _, path, files, _ = saved
        found = audit_model(path, files["members"], files["nonmembers"], attacks="strong", shadows=(4, 1, 64))
        assert "likelihood ratio" in found.report.attacks
        assert found.report.cost["shadow_models"] == 4
        assert "4 shadow models" in found.files()["report.html"]

    @pytest.mark.slow  # a cross-fitted white-box attack
    def test_attacks_of_who_holds_the_model(self, saved):
        _, path, files, _ = saved
        audit = audit_model(path, files["members"], files["nonmembers"], attacks="whitebox")
        assert {"white-box", "gradient norm threshold"} <= set(audit.report.attacks)
        assert "white-box" in audit.files(dpia={})["dpia.md"]

    def test_a_model_saved_without_its_optimizer_has_no_shadows(self, saved, tmp_path):
        files = saved[2]
        mlp().save(tmp_path / "bare.keras")
        with pytest.raises(ValueError, match="saved without its optimizer and loss"):
            audit_model(
                tmp_path / "bare.keras",
                files["members"],
                files["nonmembers"],
                attacks="strong",
                shadows=(2, 1, 8),
            )
