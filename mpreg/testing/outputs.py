"""What every output defence promises."""

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from mpreg.outputs import defend
from mpreg.testing.material import CLASSES, classifier, records
from mpreg.testing.promises import expect

ROUNDING = 1e-5  # of sums of float32


@dataclass(frozen=True)
class Case:
    """An output defence to try: functions `(target, reference)` that make it, and that make it at zero strength."""

    make: object
    at_zero: object = None

    @functools.cached_property
    def made(self):
        """The defence, and the target that it was made for."""
        target = classifier()
        return self.make(target, records(seed=1)), target


def answers_of_all_kinds(seed=0):
    """Unsure, sure and saturated answers, ties of two and of all classes; float32 (n, 3)."""
    rng = np.random.default_rng(seed)
    drawn = [rng.dirichlet(np.full(CLASSES, spread), 60) for spread in (0.02, 0.3, 1.0, 30.0)]
    tied = rng.integers(1, 4, (60, CLASSES)).astype(float)
    rows = np.concatenate([*drawn, tied, np.ones((1, CLASSES)), np.eye(CLASSES)])
    rows = rows / rows.sum(axis=1, keepdims=True)
    return np.where(rows < 1e-30, 0, rows).astype("float32")


def it_keeps_the_predicted_label(case):
    """It changes no predicted label, the class of the highest probability, the first of them where they tie."""
    layer, _ = case.made
    asked = answers_of_all_kinds()
    changed = int((np.asarray(layer(asked)).argmax(axis=1) != asked.argmax(axis=1)).sum())
    expect(not changed, f"it changes {changed} of {len(asked)}")


def it_answers_with_probabilities(case):
    """Its answers lie in [0, 1] and sum to one, unless it says that it is `coarse`."""
    layer, _ = case.made
    served = np.asarray(layer(answers_of_all_kinds()))
    expect(((served >= 0) & (served <= 1)).all(), f"they go from {served.min()} to {served.max()}")
    off = np.abs(served.sum(axis=1) - 1).max()
    expect(layer.coarse or off < ROUNDING, f"they sum to one but for {off:.2g}, and coarse is False")


def it_answers_each_query_by_itself(case):
    """Its answer to a query follows from that query alone, and is the same whenever it is asked."""
    layer, _ = case.made
    asked = answers_of_all_kinds()
    served = np.asarray(layer(asked))
    np.testing.assert_allclose(layer(asked), served, atol=1e-6)
    np.testing.assert_allclose(layer(asked[10:20]), served[10:20], atol=1e-6)
    expect(layer(asked[:0]).shape == (0, CLASSES), f"to no query it answers {layer(asked[:0]).shape}")


def it_changes_no_data(case):
    """It leaves the array that it is given as it was."""
    layer, _ = case.made
    asked = answers_of_all_kinds()
    layer(asked)
    expect((asked == answers_of_all_kinds()).all(), "the array has changed")


def it_refuses_what_is_no_probability(case):
    """It raises a `ValueError` for what cannot be probabilities, such as logits and NaN."""
    layer, _ = case.made
    asked = answers_of_all_kinds()
    for bad in (asked * 2 - 1, np.full_like(asked, np.nan), asked[0]):
        try:
            layer(bad)
        except ValueError:
            continue
        raise AssertionError(f"it takes {bad.ravel()[:CLASSES]} of shape {bad.shape}")


def its_configuration_makes_an_equal_one(case):
    """Made again of its configuration and weights, it answers the same."""
    layer, _ = case.made
    asked = answers_of_all_kinds()
    served = layer(asked)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    again(asked)  # builds it
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(asked), served)


def served_saved_and_reloaded_it_is_the_same(case):
    """In a model that `defend` makes it answers as by itself, also when that is saved and reloaded."""
    layer, target = case.made
    x, _ = records(seed=2)
    served = defend(target, layer)
    expected = layer(target.predict(x, verbose=0))
    np.testing.assert_allclose(served.predict(x, verbose=0), expected, atol=1e-5)
    with tempfile.TemporaryDirectory() as folder:
        served.save(Path(folder) / "served.keras")
        again = keras.saving.load_model(Path(folder) / "served.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), served.predict(x, verbose=0))


def at_zero_it_changes_nothing(case):
    """At zero strength it answers as the model does."""
    layer, _ = Case(case.at_zero).made
    asked = answers_of_all_kinds()
    np.testing.assert_allclose(layer(asked), asked, atol=1e-5)


PROMISES = (
    it_keeps_the_predicted_label,
    it_answers_with_probabilities,
    it_answers_each_query_by_itself,
    it_changes_no_data,
    it_refuses_what_is_no_probability,
    its_configuration_makes_an_equal_one,
    served_saved_and_reloaded_it_is_the_same,
)
