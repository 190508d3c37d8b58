"""Output defences against plain NumPy, and what must hold of any of them: label kept, saved, compiled, chained."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy import special, stats
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from support import CLASSES, FEATURES, mlp, records

import mpreg
from mpreg import LabelOnly, RankOnly, Rounding, Temperature, TopK, defend
from mpreg.outputs import OutputDefence, is_coarse
from mpreg.signals import read_answers

CASES = {
    "top 1": lambda p: TopK(1),
    "top 2, renormalized": lambda p: TopK(2, renormalize=True),
    "label": lambda p: LabelOnly(),
    "0 digits": lambda p: Rounding(0),
    "1 digit": lambda p: Rounding(1),
    "3 digits": lambda p: Rounding(3),
    "temperature .01": lambda p: Temperature(0.01),
    "temperature 5": lambda p: Temperature(5.0),
    "temperature 1e9": lambda p: Temperature(1e9),
    "ranks": lambda p: RankOnly(np.concatenate([p[:5], np.full_like(p[:2], 1 / p.shape[1])]), seed=0),
}
every_defence = pytest.mark.parametrize("make", CASES.values(), ids=CASES)


def answers_of_all_kinds(classes, seed=0):
    """Unsure, sure and saturated answers, ties of few and of all classes, and near-ties; float32."""
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet(np.full(classes, a), 60) for a in (0.02, 0.3, 1.0, 30.0)]
    tied = rng.integers(1, 4, (60, classes)).astype(float)
    near = 1 + 1e-6 * rng.normal(size=(30, classes))
    rows = np.concatenate([*drawn, tied, near, np.ones((1, classes)), np.eye(classes)])
    rows = rows / rows.sum(axis=1, keepdims=True)
    return np.where(rows < 1e-30, 0, rows).astype("float32")  # XLA takes denormal numbers for 0


class TestEvery:
    @every_defence
    @pytest.mark.parametrize("classes", [2, 5, 100])
    def test_the_predicted_label_stays(self, make, classes):
        p = answers_of_all_kinds(classes)
        served = np.asarray(make(p)(p))
        np.testing.assert_array_equal(served.argmax(axis=1), p.argmax(axis=1))
        assert (served >= 0).all() and (served <= 1).all() and served.any(axis=1).all()

    @every_defence
    def test_answers_sum_to_one_unless_the_defence_is_coarse(self, make):
        p = answers_of_all_kinds(7)
        layer = make(p)
        off = np.abs(np.asarray(layer(p)).sum(axis=1) - 1)
        assert layer.coarse or off.max() < 1e-5

    @pytest.mark.parametrize("layer", [TopK(2), Rounding(1)], ids=["top 2", "1 digit"])
    def test_answers_of_coarse_defences_do_not_sum_to_one(self, layer):
        assert np.abs(np.asarray(layer(answers_of_all_kinds(7))).sum(axis=1) - 1).max() > 0.1

    def test_compiled_by_xla_the_answers_are_the_same(self):
        p = answers_of_all_kinds(6)
        layers = {
            case: CASES[case](p)
            for case in ("top 2, renormalized", "label", "1 digit", "temperature 5", "ranks")
        }
        inputs = keras.Input((6,))
        model = keras.Model(inputs, {case: layer(inputs) for case, layer in layers.items()})
        model.compile(jit_compile=True)
        served = model.predict(p, batch_size=len(p), verbose=0)
        for case, layer in layers.items():
            np.testing.assert_allclose(served[case], layer(p), atol=1e-5, err_msg=case)

    @every_defence
    def test_the_configuration_makes_an_equal_layer(self, make):
        p = answers_of_all_kinds(6)
        layer = make(p)
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(p), layer(p))

    @every_defence
    def test_an_answer_does_not_depend_on_its_neighbours(self, make):
        p = answers_of_all_kinds(6)
        layer = make(p)
        np.testing.assert_allclose(layer(p[10:20]), np.asarray(layer(p))[10:20], atol=1e-6)

    @every_defence
    def test_any_array_of_numbers_serves(self, make):
        p = answers_of_all_kinds(6)[:4]
        layer = make(answers_of_all_kinds(6))
        expected = np.asarray(layer(p))
        for form in (p.astype(float), p.tolist(), tf.constant(p), np.asfortranarray(p)):
            np.testing.assert_allclose(layer(form), expected, atol=1e-6)
        assert layer(p[:0]).shape == (0, 6)

    @every_defence
    def test_what_is_no_probability_is_refused(self, make):
        p = answers_of_all_kinds(6)
        layer = make(p)
        for bad, message in (
            (p * 2 - 1, r"must lie in \[0, 1\]. .*Turn logits into probabilities first"),
            (np.where(np.arange(6) == 1, np.nan, p), r"must lie in \[0, 1\]"),
            (p / 2, r"must sum to one. 337 rows do not, the first is row 0 with a sum of 0.5"),
            (p[0], r"shape \(n, classes\).* Received: shape \(6,\)"),
            (p[:, :1], r"at least two classes. Received: shape \(337, 1\)"),
            (p[None], r"Received: shape \(1, 337, 6\)"),
            (np.array([["a", "b"]]), "takes class probabilities"),
        ):
            with pytest.raises(ValueError, match=message):
                layer(bad)

    def test_under_mixed_precision_answers_are_float32(self):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_float16")
        try:
            served = defend(mlp(), Temperature(3.0), TopK(2))
        finally:
            keras.config.set_dtype_policy(before)
        assert served.output.dtype == "float32"
        assert served(records()[0]).dtype == "float32"


class TestTopK:
    @pytest.mark.parametrize("k", [1, 3, 7])
    def test_it_is_a_stable_sort(self, k):
        p = answers_of_all_kinds(7)
        order = np.argsort(-p, axis=1, kind="stable")[:, :k]
        expected = np.zeros_like(p)
        np.put_along_axis(expected, order, np.take_along_axis(p, order, axis=1), axis=1)
        np.testing.assert_array_equal(TopK(k)(p), expected)
        total = expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(TopK(k, renormalize=True)(p), expected / total, rtol=1e-6)

    def test_of_ties_exactly_k_are_kept(self):
        assert np.asarray(TopK(2)(np.full((1, 4), 0.25))).tolist() == [[0.25, 0.25, 0, 0]]

    def test_gradients_flow_through_what_is_kept(self):
        p = tf.constant([[0.1, 0.5, 0.4], [0.7, 0.1, 0.2]])
        with tf.GradientTape() as tape:
            tape.watch(p)
            total = ops.sum(TopK(2)(p) * [[1.0, 2.0, 3.0]])
        np.testing.assert_allclose(tape.gradient(total, p), [[0, 2, 3], [1, 0, 3]])

    @pytest.mark.parametrize("k", [0, -1, 1.5, True, "3", None])
    def test_k_is_a_count(self, k):
        with pytest.raises(ValueError, match="k must be a whole number, at least 1. Received: k="):
            TopK(k)

    def test_k_of_more_than_the_classes(self):
        with pytest.raises(ValueError, match="k must be at most the number of classes, 3. Received: k=4"):
            TopK(4)(np.full((2, 3), 1 / 3))
        with pytest.raises(ValueError, match="Received: k=4"):
            defend(mlp(), TopK(4))


class TestRounding:
    @pytest.mark.parametrize("digits", [0, 1, 2, 7])
    def test_it_is_numpys_but_for_the_label_where_that_would_be_lost(self, digits):
        p = answers_of_all_kinds(5)
        unit = np.float32(10**digits)
        plain, served = np.round(p * unit) / unit, np.array(Rounding(digits)(p))
        kept = (plain.argmax(axis=1) == p.argmax(axis=1)) & plain.any(axis=1)
        np.testing.assert_allclose(served[kept], plain[kept], atol=1e-7)
        assert kept.sum() > 0
        lost = np.flatnonzero(~kept)
        label = p[lost].argmax(axis=1)
        np.testing.assert_allclose(served[lost, label], plain[lost].max(axis=1) + 1 / unit, atol=1e-6)
        served[lost, label] = plain[lost, label] = 0
        np.testing.assert_allclose(served[lost], plain[lost], atol=1e-7)

    def test_rows_that_rounding_would_tie_or_clear(self):
        p = [[0.26, 0.34, 0.27, 0.13], [0.34, 0.26, 0.27, 0.13], [0.04] * 25]
        plain = np.asarray(Rounding(1)(p[:2]))
        np.testing.assert_allclose(plain, [[0.3, 0.4, 0.3, 0.1], [0.3, 0.3, 0.3, 0.1]], atol=1e-6)
        cleared = np.asarray(Rounding(1)(p[2:]))
        np.testing.assert_allclose(cleared, [[0.1] + [0] * 24], atol=1e-6)

    def test_twice_is_once(self):
        once = Rounding(1)(answers_of_all_kinds(6))
        np.testing.assert_array_equal(Rounding(1)(once), once)

    @pytest.mark.parametrize("digits", [-1, 1.0, None, 8])
    def test_digits_are_checked(self, digits):
        with pytest.raises(ValueError, match="digits must be .* Received: digits="):
            Rounding(digits)


class TestTemperature:
    @pytest.mark.parametrize("temperature", [0.5, 1, 5.0, 20.0])
    def test_on_probabilities_it_is_a_softmax_of_their_logarithms(self, temperature):
        p = answers_of_all_kinds(6)[60:240].astype(float)
        expected = special.softmax(np.log(p) / temperature, axis=1)
        np.testing.assert_allclose(Temperature(temperature)(p), expected, atol=2e-6)

    @pytest.mark.parametrize("activation", ["softmax", None])
    def test_on_logits_it_is_exact_where_probabilities_have_no_digits_left(self, activation):
        logits = np.array([[300.0, 0.0, 120.0], [-50.0, 200.0, 0.0]], "float32")
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(3, activation, kernel_initializer="identity")]
        )
        served = defend(model, Temperature(100.0), from_logits=None if activation else True)
        served.compile(jit_compile=True)
        expected = special.softmax(logits / 100.0, axis=1)
        np.testing.assert_allclose(served.predict(logits, verbose=0), expected, rtol=1e-5)
        np.testing.assert_allclose(served(logits), expected, rtol=1e-5)

    def test_the_entropy_rises_with_it(self):
        p = answers_of_all_kinds(6)[:200]
        entropies = [stats.entropy(Temperature(t)(p), axis=1) for t in (0.5, 1.0, 2.0, 5.0, 20.0)]
        assert (np.diff(entropies, axis=0) >= -1e-5).all()
        assert (entropies[-1] > entropies[0]).mean() > 0.9

    def test_gradients_are_those_of_a_softmax(self):
        logits = tf.constant([[1.0, 2.0, 0.5]])
        gradients = []
        for path in (lambda z: Temperature(3.0)(ops.softmax(z)), lambda z: ops.softmax(z / 3.0)):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = path(logits)[:, 0]
            gradients.append(tape.gradient(value, logits))
        np.testing.assert_allclose(*gradients, atol=1e-6)

    @pytest.mark.parametrize("temperature", [0, -1.0, np.nan, np.inf, True, "5", None, 1e-40])
    def test_temperatures_are_checked(self, temperature):
        with pytest.raises(ValueError, match="temperature must be a number above 0.*Received: temperature="):
            Temperature(temperature)


def test_label_only_is_one_hot():
    p = answers_of_all_kinds(6)
    np.testing.assert_array_equal(LabelOnly()(p), np.eye(6)[p.argmax(axis=1)])


class TestRankOnly:
    def setup_method(self):
        rng = np.random.default_rng(0)
        self.bank = rng.dirichlet(np.ones(6), 40).astype("float32")
        self.p = rng.dirichlet(np.ones(6), 200).astype("float32")
        self.layer = RankOnly(self.bank, seed=1)
        self.served = np.asarray(self.layer(self.p))

    def test_scores_are_those_of_the_bank_in_the_order_of_the_answer(self):
        np.testing.assert_array_equal(np.argsort(self.served, axis=1), np.argsort(self.p, axis=1))
        bank = {tuple(row) for row in np.sort(self.bank, axis=1)}
        used = {tuple(row) for row in np.sort(self.served, axis=1)}
        assert used <= bank and len(used) > 30  # of 40, by 200 draws

    def test_nothing_but_the_order_counts(self):
        other = np.sort(np.random.default_rng(3).dirichlet(np.ones(6), 200).astype("float32"), axis=1)
        other = np.take_along_axis(other, np.argsort(np.argsort(self.p, axis=1), axis=1), axis=1)
        np.testing.assert_array_equal(self.layer(other), self.served)

    def test_the_seed_decides_and_is_drawn_where_none_is_given(self):
        np.testing.assert_array_equal(RankOnly(self.bank, seed=1)(self.p), self.served)
        assert not np.array_equal(RankOnly(self.bank, seed=2)(self.p), self.served)
        assert RankOnly(self.bank).seed != RankOnly(self.bank).seed

    @pytest.mark.parametrize("units", [None, 3])
    def test_a_bank_from_a_model(self, units):
        x, _ = records()
        layer = RankOnly.from_model(mlp(activation=None) if units else mlp(), x, from_logits=bool(units))
        model = keras.Sequential([mlp(activation=None), keras.layers.Softmax()]) if units else mlp()
        np.testing.assert_allclose(layer.bank, -np.sort(-model.predict(x, verbose=0), axis=1), atol=1e-6)

    def test_mistakes(self):
        for bank, message in (
            (self.bank[:0], "bank is empty"),
            (self.bank * 2, r"must lie in \[0, 1\]|sum to one"),
        ):
            with pytest.raises(ValueError, match=message):
                RankOnly(bank)
        with pytest.raises(ValueError, match="holds scores of 6 classes. Received answers of 3"):
            self.layer(np.full((1, 3), 1 / 3))
        for seed in (-1, 1.5, 2**64):
            with pytest.raises(ValueError, match="seed must be .*Received: seed="):
                RankOnly(self.bank, seed=seed)


class TestChains:
    def test_coarse_answers_pass_from_one_to_the_next(self):
        p = answers_of_all_kinds(40)
        chained = TopK(3)(Rounding(1)(p))
        np.testing.assert_allclose(chained, defended_chain(p, Rounding(1), TopK(3)), atol=1e-7)
        with pytest.raises(
            ValueError, match="Chain defences by giving one the answers of another as they are"
        ):
            TopK(3)(np.asarray(Rounding(1)(p)))

    def test_renormalized_after_rounding_answers_are_distributions_again(self):
        served = TopK(3, renormalize=True)(Rounding(1)(answers_of_all_kinds(100)))
        np.testing.assert_allclose(np.sum(served, axis=1), 1, rtol=1e-5)


def defended_chain(p, *layers):
    inputs = answers = keras.Input(p.shape[1:])
    for layer in layers:
        answers = layer(answers)
    return keras.Model(inputs, answers).predict(p, verbose=0)


@keras.saving.register_keras_serializable("mpreg_tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(CLASSES, "softmax")

    def call(self, x):
        return self.dense(x)


def two_inputs():
    inputs = {name: keras.Input((FEATURES,), name=name) for name in ("a", "b")}
    joined = keras.layers.Add()(list(inputs.values()))
    return keras.Model(inputs, keras.layers.Dense(CLASSES, "softmax")(joined))


class TestDefend:
    def test_it_is_the_model_and_then_the_layers(self):
        x, _ = records()
        model, layers = mlp(), (Temperature(5.0), Rounding(1), TopK(2))
        expected = model.predict(x, verbose=0)
        for layer in layers:
            expected = layer(expected)
        served = defend(model, *layers)
        np.testing.assert_allclose(served.predict(x, verbose=0), expected, atol=1e-6)

    def test_it_shares_the_weights(self):
        x, y = records()
        model = mlp()
        served = defend(model, Temperature(2.0))
        before = served(x)
        model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        model.fit(x, y, verbose=0)
        np.testing.assert_allclose(served(x), Temperature(2.0)(model(x)), atol=1e-6)
        assert not np.allclose(before, served(x))

    def test_evaluate_once_compiled(self):
        x, y = records()
        served = defend(mlp(), TopK(2))
        served.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        accuracy = served.evaluate(x, y, verbose=0)[1]
        assert accuracy == pytest.approx(np.mean(np.argmax(mlp()(x), axis=1) == y))

    def test_a_subclassed_model_that_was_called(self):
        x, _ = records()
        model = Subclassed()
        with pytest.raises(
            ValueError, match="shape of the model's input is not known: call the model on a batch"
        ):
            defend(model, TopK(1), from_logits=False)
        answers = model(x)
        with pytest.raises(ValueError, match="cannot tell whether the model answers with logits"):
            defend(model, TopK(1))
        served = defend(model, TopK(1), from_logits=False)
        np.testing.assert_allclose(served(x), TopK(1)(np.asarray(answers)), atol=1e-6)

    def test_a_model_of_several_inputs_takes_them_as_before(self):
        x, _ = records()
        model = two_inputs()
        batch = {"a": x, "b": x[::-1]}
        expected = LabelOnly()(model(batch))
        np.testing.assert_array_equal(defend(model, LabelOnly())(batch), expected)

    def test_of_a_wrapper_the_target_is_served(self):
        x, y = records()
        model = mpreg.AdversarialRegularization(mlp(activation=None), (x, y), penalty=1.0)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        served = defend(model, TopK(2))
        expected = TopK(2)(special.softmax(model.target_model(x), axis=1))
        np.testing.assert_allclose(served(x), expected, atol=1e-6)

    def test_logits_are_recognized_by_the_loss(self):
        x, _ = records()
        model = mlp(activation=None)
        expected = special.softmax(model(x), axis=1)
        for loss in (None, "mse", "sparse_categorical_crossentropy"):
            if loss:
                model.compile("sgd", loss)
            with pytest.raises(
                ValueError,
                match="say from_logits=True or from_logits=False. Received: last activation 'linear'",
            ):
                defend(model, Temperature(1.0))
        model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
        np.testing.assert_allclose(defend(model, Temperature(1.0))(x), expected, atol=1e-6)

    @pytest.mark.parametrize("activation", ["sigmoid", None])
    def test_a_single_unit_becomes_two_classes(self, activation):
        x, _ = records()
        model = mlp(units=1, activation=activation)
        one = np.asarray(model(x))
        one = one if activation else special.expit(one)
        served = defend(model, Temperature(1.0), from_logits=None if activation else True)
        np.testing.assert_allclose(served(x), np.c_[1 - one, one], atol=1e-6)

    def test_a_defended_model_can_be_defended(self):
        x, _ = records()
        served = defend(defend(mlp(), Rounding(2)), TopK(2))
        np.testing.assert_allclose(served(x), TopK(2)(Rounding(2)(mlp()(x))), atol=1e-6)

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: defend(mlp()), ValueError, "give at least one output defence"),
            (
                lambda: defend(mlp(), keras.layers.Softmax()),
                TypeError,
                "must be one of mpreg.outputs.* Received: <Softmax",
            ),
            (lambda: defend(mlp(), TopK), TypeError, "must be one of mpreg.outputs"),
            (
                lambda: defend(LogisticRegression(), TopK(1)),
                TypeError,
                "TopK.3..model.predict_proba.x.*Received: LogisticRegression",
            ),
            (
                lambda: defend(mlp(), TopK(1), from_logits=True),
                ValueError,
                "ends in softmax: its answers are no logits",
            ),
            (lambda: defend(mlp(activation="sigmoid"), TopK(1)), ValueError, "sigmoid of 3 units"),
            (
                lambda: defend(two_headed(), TopK(1)),
                ValueError,
                r"one output.* shapes \[\(None, 3\), \(None, 2\)\]",
            ),
            (lambda: defend(segmenting(), TopK(1)), ValueError, r"shapes \[\(None, 3, 2\)\]"),
        ],
    )
    def test_mistakes(self, call, error, message):
        with pytest.raises(error, match=message):
            call()


def two_headed():
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.layers.Dense(units, "softmax")(inputs) for units in (3, 2)])


def segmenting():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), keras.layers.Reshape((3, 2))])


class TestCoarse:
    @pytest.mark.parametrize(
        ("layers", "coarse"),
        [
            ([TopK(2)], True),
            ([Rounding(1)], True),
            ([Temperature(5.0), Rounding(1), TopK(1)], True),
            ([TopK(2, renormalize=True)], False),
            ([Rounding(1), TopK(2, renormalize=True)], False),
            ([Rounding(1), LabelOnly()], False),
            ([Rounding(1), Temperature(2.0)], False),
        ],
    )
    def test_the_last_layer_tells(self, layers, coarse):
        assert is_coarse(defend(mlp(), *layers)) == coarse

    def test_models_of_other_kinds(self):
        assert not is_coarse(mlp()) and not is_coarse(Subclassed()) and not is_coarse(LogisticRegression())
        inner = defend(mlp(), TopK(1))
        assert is_coarse(keras.Sequential([keras.Input((FEATURES,)), inner]))
        assert is_coarse(keras.Sequential([mlp(), TopK(2)]))

    def test_it_survives_saving(self, tmp_path):
        defend(mlp(), TopK(2)).save(tmp_path / "served.keras")
        assert is_coarse(keras.saving.load_model(tmp_path / "served.keras"))


def test_saved_models_serve_in_a_process_that_imports_only_keras_and_mpreg(tmp_path):
    x, y = records(4)
    bank = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 20)
    guard = mpreg.MemGuard(0.3, seed=5).fit(np.eye(CLASSES)[y], bank, epochs=1, learning_rate=0.1)
    served = {
        "chain": defend(mlp(), Temperature(5.0), Rounding(2), TopK(2)),
        "ranks": defend(mlp(units=1, activation="sigmoid"), RankOnly([[0.9, 0.1], [0.6, 0.4]], seed=3)),
        "guard": defend(mlp(), guard, RankOnly(bank)),
    }
    np.savez(tmp_path / "answers.npz", x=x, **{name: np.asarray(model(x)) for name, model in served.items()})
    for name, model in served.items():
        model.save(tmp_path / f"{name}.keras")
    program = f"""
from pathlib import Path

import keras
import mpreg
known = set(keras.saving.get_custom_objects())  # before any is loaded
assert {{"mpreg>AdversarialRegularization", "mpreg>MemGuard", "mpreg>TopK"}} <= known, known
assert "SourceFileLoader" in str(keras.__spec__.loader)  # Keras is left as it was found
saved = dict(__import__("numpy").load("answers.npz"))
x = saved.pop("x")
for name, answers in saved.items():
    model = keras.saving.load_model(name + ".keras")
    assert abs(model(x) - answers).numpy().max() < 1e-6, name
assert sorted(saved) == {sorted(served)!r}
"""
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


class TestEvaluation:
    @pytest.mark.parametrize(
        "classifier", [LogisticRegression(max_iter=500), DecisionTreeClassifier(max_depth=4)]
    )
    def test_scikit_learn_before_and_after(self, classifier):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(160, 6)), rng.integers(0, 5, 160)
        classifier.fit(x[:80], y[:80])
        sides = [
            (classifier.predict_proba(part), labels) for part, labels in ((x[:80], y[:80]), (x[80:], y[80:]))
        ]
        bare = mpreg.evaluate_predictions(*sides[0], *sides[1], attacks="fast")
        cut = [(TopK(3)(p), labels) for p, labels in sides]
        defended = mpreg.evaluate_predictions(*cut[0], *cut[1], coarse=True, attacks="fast")
        assert float(defended.train_accuracy) == float(bare.train_accuracy)
        assert float(defended.test_accuracy) == float(bare.test_accuracy)
        assert float(defended.attack_accuracy) >= float(bare.attacks["gap"].accuracy)

    @pytest.mark.parametrize("layers", [(TopK(1),), (Rounding(1),), (Temperature(5.0), Rounding(0))])
    def test_every_attack_runs_on_a_served_model(self, layers):
        x, y = records(40)
        split = mpreg.MembershipSplit((x[:15], y[:15]), (x[15:20], y[15:20]), (x[20:], y[20:]))
        attacks = "standard" if len(layers) == 1 and isinstance(layers[0], Rounding) else "fast"
        report = mpreg.evaluate(defend(mlp(), *layers), split, attacks=attacks)
        for result in report.attacks.values():
            assert np.isfinite(result.member_scores).all() and np.isfinite(result.nonmember_scores).all()

    def test_label_only_leaves_the_gap_attack(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 4, 200)
        sure, unsure = (special.softmax(rng.normal(size=(200, 4)) + m * np.eye(4)[y], axis=1) for m in (6, 1))
        bare = mpreg.evaluate_predictions(sure, y, unsure, y, attacks="fast")
        defended = mpreg.evaluate_predictions(LabelOnly()(sure), y, LabelOnly()(unsure), y, attacks="fast")
        gap = float(defended.attacks["gap"].accuracy)
        assert float(defended.attack_accuracy) == pytest.approx(gap, abs=0.02)
        assert float(bare.attack_accuracy) > gap + 0.05


class TestCoarseSignals:
    def test_distributions_have_the_same_signals_either_way(self):
        p = answers_of_all_kinds(5).astype(float)
        y = np.arange(len(p)) % 5
        plain, coarse = read_answers(p, y), read_answers(p, y, coarse=True)
        np.testing.assert_array_equal(plain.log_probabilities, coarse.log_probabilities)

    @pytest.mark.parametrize(
        "name", ["confidence", "loss", "entropy", "modified_entropy", "logit_confidence"]
    )
    def test_signals_of_truncated_rows(self, name):
        """One minus the probability of a class is what not being in it has, whatever became of the others."""
        p = np.array([[0.0, 0.6, 0.0], [0.3, 0.0, 0.0], [0.4, 0.5, 0.3]])
        y = np.array([1, 0, 2])
        own = p[np.arange(3), y]
        others = [0.0, 0.0, -0.4 * np.log(0.6) - 0.5 * np.log(0.5)]
        expected = {
            "confidence": np.log([0.6, 0.3, 0.5]),
            "loss": np.log(own),
            "entropy": np.sum(special.xlogy(p, p), axis=1),
            "modified_entropy": (1 - own) * np.log(own) - others,
            "logit_confidence": special.logit(own),
        }
        found = getattr(mpreg.signals, name)(read_answers(p, y, coarse=True))
        np.testing.assert_allclose(found, expected[name], rtol=1e-12)

    def test_rows_of_zeros_are_finite_and_the_least_likely_members(self):
        p, y = np.array([[0.0, 0.0, 0.0], [0.2, 0.6, 0.2]]), np.array([1, 1])
        answers = read_answers(p, y, coarse=True)
        for name in ("confidence", "loss", "modified_entropy", "logit_confidence", "entropy"):
            values = getattr(mpreg.signals, name)(answers)
            assert np.isfinite(values).all()
            assert name == "entropy" or values[0] < values[1], name

    def test_mistakes(self):
        p, y = np.full((4, 3), 0.2), [0, 1, 2, 0]
        with pytest.raises(ValueError, match="if the model rounds or truncates its answers, coarse=True"):
            read_answers(p, y)
        with pytest.raises(ValueError, match="not for logits"):
            read_answers(p, y, coarse=True, from_logits=True)
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            read_answers(p * 9, y, coarse=True)


def test_subclasses_are_output_defences():
    assert all(issubclass(kind, OutputDefence) for kind in (TopK, LabelOnly, Rounding, Temperature, RankOnly))
