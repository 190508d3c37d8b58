"""Signals against transcriptions of the papers' formulas, and the reading of predictions of every form."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mpreg import signals
from mpreg.signals import look_like_logits, per_record, predict, read_answers, read_both

ALL = ("correctness", "confidence", "loss", "entropy", "modified_entropy", "logit_confidence")


def draw(records=200, classes=7, seed=0, spread=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(records, classes)) * spread, rng.integers(0, classes, records)


def values(answers):
    return {name: getattr(signals, name)(answers) for name in ALL}


def assert_equal_signals(one, other, **tolerance):
    for name, expected in values(one).items():
        np.testing.assert_allclose(getattr(signals, name)(other), expected, err_msg=name, **tolerance)


def modified_entropy_of_the_paper(probabilities, label):
    """Song and Mittal, equation 9, term by term."""
    total = -(1 - probabilities[label]) * np.log(probabilities[label])
    for other, p in enumerate(probabilities):
        if other != label:
            total -= p * np.log(1 - p)
    return total


class TestFormulas:
    def test_loss_is_minus_the_cross_entropy(self):
        logits, y = draw()
        expected = special.log_softmax(logits, axis=1)[np.arange(len(y)), y]
        np.testing.assert_allclose(signals.loss(read_answers(logits, y)), expected)

    def test_entropy_is_minus_scipys(self):
        logits, y = draw()
        expected = -stats.entropy(special.softmax(logits, axis=1), axis=1)
        np.testing.assert_allclose(signals.entropy(read_answers(logits, y)), expected)

    def test_modified_entropy_is_minus_the_papers(self):
        logits, y = draw()
        probabilities = special.softmax(logits, axis=1)
        expected = [-modified_entropy_of_the_paper(*pair) for pair in zip(probabilities, y, strict=True)]
        np.testing.assert_allclose(signals.modified_entropy(read_answers(logits, y)), expected, rtol=1e-9)

    def test_logit_confidence_is_the_log_odds_of_the_label(self):
        logits, y = draw()
        own = special.softmax(logits, axis=1)[np.arange(len(y)), y]
        np.testing.assert_allclose(signals.logit_confidence(read_answers(logits, y)), special.logit(own))

    def test_confidence_and_correctness(self):
        logits, y = draw()
        answers = read_answers(logits, y)
        np.testing.assert_allclose(
            signals.confidence(answers), np.log(special.softmax(logits, axis=1).max(axis=1))
        )
        np.testing.assert_array_equal(signals.correctness(answers), logits.argmax(axis=1) == y)

    def test_sure_answers_keep_their_order(self):
        """Where float64 rounds the highest probability to 1, what is left of it still tells records apart."""
        margins = np.array([30.0, 50.0, 100.0, 300.0])
        logits = np.stack([margins, np.zeros(4), np.zeros(4)], axis=1)
        for label, sign in ((0, 1), (1, -1)):
            answers = read_answers(logits, np.full(4, label))
            for name in ("loss", "modified_entropy", "logit_confidence"):
                steps = np.diff(getattr(signals, name)(answers))
                assert (sign * steps > 0).all(), (name, label)

    @pytest.mark.parametrize("label", [0, 1])
    def test_probabilities_of_exactly_zero_and_one_are_finite_and_extreme(self, label):
        sure, unsure = np.eye(3)[[0, 0]], np.array([[0.9, 0.05, 0.05]] * 2)
        for name in ALL:
            extreme = getattr(signals, name)(read_answers(sure, [label] * 2))
            usual = getattr(signals, name)(read_answers(unsure, [label] * 2))
            assert np.isfinite(extreme).all(), name
            if name in ("loss", "modified_entropy", "logit_confidence"):
                assert (extreme > usual).all() if label == 0 else (extreme < usual).all(), name

    def test_permuting_the_classes_changes_nothing(self):
        logits, y = draw()
        order = np.random.default_rng(1).permutation(7)
        permuted = read_answers(logits[:, order], np.argsort(order)[y])
        assert_equal_signals(read_answers(logits, y), permuted, rtol=1e-10)


class TestForms:
    def test_logits_and_probabilities_agree(self):
        logits, y = draw()
        assert_equal_signals(
            read_answers(logits, y), read_answers(special.softmax(logits, axis=1), y), rtol=1e-7, atol=1e-12
        )

    def test_integer_and_one_hot_labels_agree(self):
        logits, y = draw()
        for labels in (np.eye(7)[y], y[:, None], y.astype(float), y.astype(np.uint8)):
            assert_equal_signals(read_answers(logits, y), read_answers(logits, labels))

    @pytest.mark.parametrize("from_logits", [False, True])
    def test_one_column_is_two_classes(self, from_logits):
        logits, y = draw(classes=1)
        y = np.arange(len(y)) % 2
        p = special.expit(logits)
        two = np.c_[np.zeros(len(y)), logits[:, 0]] if from_logits else np.c_[1 - p, p]
        one = logits if from_logits else p
        expected = read_answers(two, y, from_logits=from_logits)
        for form in (one, one[:, 0]):
            assert_equal_signals(expected, read_answers(form, y, from_logits=from_logits), rtol=1e-12)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
    def test_coarse_types_still_sum_to_one(self, dtype):
        ml_dtypes = pytest.importorskip("ml_dtypes")
        dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        logits, y = draw(500, classes=100)
        read_answers(special.softmax(logits, axis=1).astype(dtype), y)

    def test_whether_they_are_logits_is_decided_for_both_sides_at_once(self):
        inside = np.array([[0.2, 0.9], [0.8, 0.1]])
        members, nonmembers = read_both((inside, [0, 1]), (inside * 9, [0, 1]))
        np.testing.assert_allclose(members.log_probabilities, special.log_softmax(inside, axis=1))
        np.testing.assert_allclose(nonmembers.log_probabilities, special.log_softmax(inside * 9, axis=1))

    def test_looking_like_logits(self):
        assert look_like_logits([[-0.1, 1.1]])
        assert not look_like_logits([[0.0, 1.0]])

    def test_a_sigmoid_that_is_sure_of_every_record_is_no_mistake(self):
        members, _ = read_both((np.ones((3, 1)), [1, 1, 1]), (np.ones((2, 1)), [1, 1]))
        assert signals.correctness(members).tolist() == [1, 1, 1]


class TestAnswers:
    def test_a_part_has_the_signals_of_its_rows(self):
        logits, y = draw()
        answers = read_answers(logits, y)
        for rows in (np.arange(0, 200, 3), np.arange(200) % 2 == 0, slice(5, 50)):
            part, alone = answers[rows], read_answers(logits[rows], y[rows])
            assert len(part) == len(alone) and part.classes == alone.classes
            np.testing.assert_array_equal(part.log_probabilities, alone.log_probabilities)
            np.testing.assert_array_equal(part.probabilities, alone.probabilities)
            np.testing.assert_array_equal(part.true_class, alone.true_class)
            assert_equal_signals(alone, part)
            assert_equal_signals(alone[3:9], part[3:9])

    def test_a_signal_is_computed_once_for_the_whole(self):
        calls = []

        @per_record
        def counted(answers):
            calls.append(len(answers))
            return answers.true_class * 2

        answers = read_answers(*draw())
        parts = [answers[:50], answers[50:], answers[10:20][2:4]]
        for _ in range(2):
            for part in (*parts, answers):
                np.testing.assert_array_equal(counted(part), part.true_class * 2)
        assert calls == [200]

    def test_signals_cannot_be_changed_by_who_reads_them(self):
        answers = read_answers(*draw())
        for values_ in (signals.loss(answers), answers.labels, answers.log_probabilities, answers.true_class):
            with pytest.raises(ValueError, match="read-only"):
                values_[0] = 0

    def test_what_is_read_is_not_changed(self):
        logits, y = draw()
        before = logits.copy(), y.copy()
        values(read_answers(logits, y))
        np.testing.assert_array_equal(logits, before[0])
        logits[0] = y[0] = 0  # still the caller's to change


class TestPredict:
    def test_scikit_learn_columns_go_where_their_labels_say(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(60, 3)), rng.choice([0, 2, 5], 60)
        for model in (RandomForestClassifier(10, random_state=0), LogisticRegression()):
            model.fit(x, y)
            answers = predict(model, x, classes=7)
            assert answers.shape == (60, 7)
            np.testing.assert_array_equal(answers[:, [0, 2, 5]], model.predict_proba(x))
            np.testing.assert_array_equal(answers.argmax(axis=1), model.predict(x))

    def test_a_model_that_saw_one_class_says_so(self):
        forest = RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 0])
        assert predict(forest, [[0.0]]).tolist() == [[1.0, 0.0]]

    def test_any_object_with_predict_proba_serves(self):
        class Model:
            def predict_proba(self, x):
                return [[0.25, 0.75]] * len(x)

        assert predict(Model(), [1, 2]).tolist() == [[0.25, 0.75]] * 2
