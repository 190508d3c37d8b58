"""What may be claimed: budgets that are passed, deltas that allow too much, weights that are NaN, the statement."""

import warnings

import keras
import numpy as np
import pytest
from support import compiled, mlp, records, weights_of

import mpreg
from mpreg.callbacks import PrivacyBudget

X, Y = records()
PLAN = {"epsilon": 3.0, "delta": 1e-3, "examples": 48, "batch_size": 12}


def planned(epochs=2, **options):
    return compiled(mpreg.DPSGD.for_budget(mlp(), **{**PLAN, **options}, epochs=epochs))


def private(**options):
    options = {"noise_multiplier": 1.0, "l2_norm_clip": 1.0, "delta": 1e-3, **options}
    return compiled(mpreg.DPSGD(mlp(), **options))


def poisson():
    return mpreg.poisson_batches(X, Y, batch_size=12)


def said(model, **options):
    return " ".join(model.privacy_statement(**options).split())


# Budgets that are passed.


def test_a_fit_beyond_the_budget_warns_before_it_starts_and_the_statement_says_so():
    model, started = planned(), []
    note = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: started.append(len(caught)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(poisson(), epochs=3, verbose=0, callbacks=[note])
    (warning,) = (each for each in caught if "for_budget" in str(each.message))
    assert started == [1] and warning.filename == __file__
    assert f"epsilon is {model.privacy_spent().epsilon:.4g}, above the 3" in str(warning.message)
    first = " ".join(model.privacy_statement().split("\n\n")[0].split())
    assert first.startswith("The budget is passed: the noise was found for epsilon 3")


@pytest.mark.parametrize("sampling", ["poisson", "shuffled"])
def test_fits_within_the_budget_do_not_warn_and_the_next_one_does(sampling, tmp_path):
    model = planned(sampling=sampling)
    data, options = (
        ((poisson(),), {}) if sampling == "poisson" else ((X, Y), {"batch_size": 12, "shuffle": True})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*data, **options, verbose=0)
        model.fit(*data, **options, verbose=0, epochs=2, initial_epoch=1)
        assert "budget is passed" not in said(model)
    model.save(tmp_path / "model.keras")
    for each in (model, keras.saving.load_model(tmp_path / "model.keras")):
        with pytest.warns(UserWarning, match="that for_budget found the noise for, in 8 steps"):
            each.fit(*data, **options, verbose=0)
        assert "The budget is passed" in said(each)


def test_batches_from_anywhere_pass_a_budget_too():
    model = planned()
    for _ in range(2):
        model.train_on_batch(X[:12], Y[:12])
    assert model.privacy_spent().epsilon > 3 and "The budget is passed" in said(model)


# Deltas that allow too much.


@pytest.mark.parametrize("delta", [0.1, 1 / 48])
def test_a_delta_that_allows_to_publish_a_record_is_refused_and_told(delta):
    with pytest.raises(ValueError, match=r"below 1 / records, here 1 / 48 = 0\.021.*Received: delta=0\."):
        planned(delta=delta)
    model = private(delta=delta)
    with pytest.warns(UserWarning, match="is not below 1 / 48 records"):
        model.fit(poisson(), verbose=0)
    assert said(model).startswith("The epsilon protects nobody: delta")
    assert "protects nobody" not in said(model, delta=1e-3)
    with pytest.warns(UserWarning, match="is not below 1 / 48 records"):
        private().fit(poisson(), verbose=0, callbacks=[PrivacyBudget(epsilon=50.0, delta=delta)])


# Numbers that are none.


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_has_no_part_and_is_told(bad):
    weights = np.ones(8, "float32")
    weights[3:5] = bad, 0.0
    moved = []
    for w in (weights, np.where(np.isfinite(weights), weights, 0)):
        model = private(noise_multiplier=0.0)
        before = weights_of(model.target_model)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.train_on_batch(X[:8], Y[:8], sample_weight=w)
        words = [str(each.message) for each in caught]
        assert [word for word in words if word.startswith("1 sample weight(s)")] == words
        assert bool(words) == (w is weights)
        moved.append([a - b for a, b in zip(before, weights_of(model.target_model), strict=True)])
    for one, other in zip(*moved, strict=True):
        np.testing.assert_array_equal(one, other)


# The statement.


def test_the_statement_begins_with_what_it_rests_on():
    model = private()
    model.fit(poisson(), verbose=0)
    claim, rests, steps = model.privacy_statement().split("\n\n")[:3]
    assert claim.startswith(f"Epsilon {model.privacy_spent().epsilon:.4g} at delta 0.001")
    lines = " ".join(rests.split()).split(" - ")
    assert [line.split(":")[0] for line in lines] == [
        "This rests on",
        "Unit",
        "Sampling",
        "Delta",
        "Apart",
        "Who sees what",
        "Start",
    ]
    assert "1 / 48 = 0.021" in lines[3] and "Poisson" in lines[2]
    assert steps.startswith("Steps:\n- 4 steps with noise multiplier 1:")


def test_the_statement_has_a_line_for_each_way_of_drawing_not_for_each_fit():
    model = private()
    for _ in range(3):
        model.fit(X, Y, batch_size=20, verbose=0)
    model.fit(poisson(), verbose=0)
    words = said(model)
    assert words.count("steps with noise multiplier") == 2
    assert "9 steps" in words and "of 3 passes over each record" in words


def test_a_model_without_noise_or_with_a_seed_says_so_first():
    model = private(noise_multiplier=0.0)
    model.train_on_batch(X[:8], Y[:8])
    assert "There is no privacy: the noise multiplier is 0." in said(model).split("Epsilon")[0]
    model = private(seed=1)
    model.train_on_batch(X[:8], Y[:8])
    assert "The noise came from a seed" in said(model).split("Epsilon")[0]
