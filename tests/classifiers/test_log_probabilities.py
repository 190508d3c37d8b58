"""Log-probabilities of arrays and of tensors: two readers of the same answers, which must agree."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from mpreg.classifiers import arrays, tensors
from mpreg.classifiers.floors import LOWEST, LOWEST_IN_GRAPHS


def logits(classes, *, records=50, spread=3.0):
    return spread * np.random.default_rng(0).normal(size=(records, classes))


def expected(values):
    """By SciPy; one unit beside a logit of zero."""
    return special.log_softmax(
        np.c_[np.zeros(len(values)), values] if values.shape[1] == 1 else values, axis=1
    )


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_of_logits(classes):
    values = logits(classes)
    read = arrays.log_probabilities(arrays.check_predictions(values), from_logits=True)
    np.testing.assert_allclose(read, expected(values), rtol=1e-12, atol=1e-14)
    inside = tensors.log_probabilities(tf.constant(values, tf.float32), from_logits=True)
    np.testing.assert_allclose(inside, expected(values), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 3, 40])
def test_however_many_are_read_at_a_time(classes, monkeypatch):
    """Rows that fill no block, rows left over, and rows wider than a block."""
    monkeypatch.setattr(arrays, "BLOCK", 30)
    values = logits(classes, records=23)
    read = arrays.log_probabilities(values, from_logits=True)
    np.testing.assert_allclose(read, expected(values), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_of_probabilities(classes):
    values = logits(classes)
    given = special.expit(values) if classes == 1 else special.softmax(values, axis=1)
    read = arrays.log_probabilities(arrays.check_predictions(given), from_logits=False)
    np.testing.assert_allclose(read, expected(values), rtol=1e-9, atol=1e-12)
    inside = tensors.log_probabilities(tf.constant(given, tf.float32), from_logits=False)
    np.testing.assert_allclose(inside, expected(values), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_a_saturated_sigmoid_is_finite_in_graphs_with_a_finite_gradient(label):
    """Without the logits behind them, as a model has them that was loaded behind another layer."""
    answers = tf.Variable([[0.0], [1.0], [0.5]])
    with tf.GradientTape() as tape:
        logs = tensors.log_probabilities(answers, from_logits=False)
        loss = -tf.reduce_sum(logs[:, label])
    assert np.isfinite(logs).all() and np.isfinite(tape.gradient(loss, answers)).all()


def test_the_floors_are_those_of_their_types():
    """Each is the lowest at which its arithmetic still has a logarithm, and in graphs a gradient too."""
    assert np.isfinite(np.log(LOWEST)) and np.isfinite(1 / LOWEST)
    assert np.isfinite(np.log(np.float32(LOWEST_IN_GRAPHS)))
    assert np.isfinite(np.float32(1) / np.float32(LOWEST_IN_GRAPHS))


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([["a"]], "a: predictions must be numbers"),
        (np.zeros((0, 2)), "a is empty"),
        ([[0.5, np.nan]], "a: 1 predictions hold NaN or infinite values, the first is row 0"),
        ([[1.0, 0.0], [np.inf, -np.inf]], "a: 1 predictions hold NaN or infinite values, the first is row 1"),
        (
            [[1.0, 0.0], [np.inf, 0.0], [-np.inf, 0.0]],
            "a: 2 predictions hold NaN or infinite values, the first",
        ),
        (
            np.zeros((2, 2, 2)),
            "a: predictions must be numbers, shape .n, classes.. Received: shape .2, 2, 2.",
        ),
    ],
)
def test_what_is_no_prediction_is_refused(predictions, message):
    with pytest.raises(ValueError, match=message):
        arrays.check_predictions(predictions, "a")


def test_finite_numbers_are_taken_though_their_sum_is_not_finite():
    given = np.full((3, 2), 1.7e308) * [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]
    np.testing.assert_array_equal(arrays.check_predictions(given), given)


def test_a_row_of_numbers_is_one_unit():
    assert arrays.check_predictions([0.25, 0.5]).shape == (2, 1)


@pytest.mark.parametrize("classes", [1, 2, 7])
def test_class_probabilities_of_either_kind(classes):
    values = logits(classes)
    given = special.expit(values) if classes == 1 else special.softmax(values, axis=1)
    for read in (
        arrays.class_probabilities(values),
        arrays.class_probabilities(values, from_logits=True),
        arrays.class_probabilities(given),
        arrays.class_probabilities(given, from_logits=False),
    ):
        np.testing.assert_allclose(read, np.exp(expected(values)), rtol=1e-9, atol=1e-12)
    cut = np.floor(10 * np.c_[1 - given, given] if classes == 1 else 10 * given) / 10
    np.testing.assert_allclose(arrays.class_probabilities(cut, coarse=True), cut, rtol=1e-12)
