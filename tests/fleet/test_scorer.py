"""A Keras model scores records that it never saw."""

import keras
import numpy as np
import pytest

import mpreg


def records(seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    x = (rng.normal(size=(60, 4)) + 4 * y[:, None] - 2).astype(np.float32)
    y[:6] = 1 - y[:6]
    return x, y


def build(activation="softmax", units=2):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None)
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy" if units == 1 else loss)
    return model


def test_each_record_is_scored_by_a_model_that_was_fitted_without_it():
    x, y = records()
    screening = mpreg.Screening(
        scorer=mpreg.FleetScorer(build, epochs=2, batch_size=60, seed=5), share=0.1, folds=3
    )
    screening.fit(x, y)
    for fold in range(3):
        own = screening.folds_ == fold
        keras.utils.set_random_seed(5 + fold)
        model = build()
        model.fit(x[~own], y[~own], epochs=2, batch_size=60, verbose=0)
        expected = model.predict(x[own], verbose=0)[np.arange(own.sum()), y[own]]
        np.testing.assert_allclose(screening.held_out_probability_[own], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("activation", "units"), [(None, 2), ("sigmoid", 1)])
def test_logits_and_a_single_unit_are_read_as_probabilities_and_wrong_labels_found(activation, units):
    x, y = records()
    scorer = mpreg.FleetScorer(lambda: build(activation, units), epochs=15, batch_size=5)
    screening = mpreg.Screening(scorer=scorer, share=0.1, folds=2)
    screening.fit(x, y)
    wrong = set(range(6))
    assert len(wrong & set(screening.left_out_)) >= 5
    assert screening.held_out_probability_[:6].mean() < 0.2 < screening.held_out_probability_.mean()


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epochs": 1, "batch_size": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="must be a whole number, at least 1"):
        mpreg.FleetScorer(build, **options)
