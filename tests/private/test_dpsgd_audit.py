"""The audit: its bound is the published one, stays below a true epsilon, and catches a false one."""

import keras
import numpy as np
import pytest
from scipy import stats
from support import LOSS, mlp, records

import mpreg
from mpreg.private.dp_audit import best_bound, lower_bound, make_canaries, p_value


def private(noise):
    keras.utils.set_random_seed(1)
    stack = [keras.Input((30,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax")]
    model = mpreg.DPSGD(keras.Sequential(stack), noise_multiplier=noise, l2_norm_clip=1.0, delta=1e-4, seed=0)
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


def wide_records():
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 30)).astype("float32"), rng.permutation(np.arange(20) % 10)


def test_the_p_value_is_the_papers():
    def published(m, r, v, epsilon, delta):  # theorem 5.2, written out as sums
        right = np.exp(epsilon) / (1 + np.exp(epsilon))
        beta = sum(stats.binom.pmf(k, r, right) for k in range(v, r + 1))
        alpha = max(
            sum(stats.binom.pmf(v - j, r, right) for j in range(1, i + 1)) / i for i in range(1, v + 1)
        )
        return min(1.0, beta + alpha * delta * 2 * m)

    for case in ((100, 60, 45, 0.5, 1e-3), (50, 50, 50, 2.0, 0.0), (40, 20, 12, 1.0, 1e-2)):
        assert p_value(*case) == pytest.approx(published(*case), rel=1e-9)


def test_without_delta_the_bound_is_clopper_and_pearsons():
    for guesses, correct in ((100, 80), (40, 40), (100, 50)):
        share = stats.beta.ppf(0.05, correct, guesses - correct + 1)  # the lower limit of the rate
        expected = max(0.0, np.log(share / (1 - share)))
        assert lower_bound(200, guesses, correct, 0.0, 0.05) == pytest.approx(expected, abs=1e-6)


def test_the_bound_holds_with_its_confidence():
    rng = np.random.default_rng(0)
    epsilon, exceeded = 1.0, 0
    for _ in range(120):  # randomized response: as telling as epsilon allows
        included = rng.integers(0, 2, 80).astype(bool)
        truthful = rng.random(80) < np.exp(epsilon) / (1 + np.exp(epsilon))
        scores = np.where(truthful == included, 1.0, 0.0) + 0.1 * rng.random(80)
        exceeded += best_bound(scores, included, 0.0, 0.9)[0] > epsilon
    assert exceeded <= stats.binom.ppf(0.999, 120, 0.1)


def test_the_bound_of_a_hundred_right_guesses_is_the_stated_one():
    included = np.arange(100) < 50
    assert best_bound(included * 1.0, included, 0.0, 0.95)[0] == pytest.approx(3.1, abs=0.05)


def test_canaries_have_wrong_labels():
    x, _ = records(30)
    canary_x, canary_y = make_canaries(x, np.arange(30) % 3, 30, np.random.default_rng(0))
    assert canary_x.shape == x.shape and canary_x.dtype == x.dtype and set(canary_y) == {0, 1, 2}
    rows = np.random.default_rng(0).choice(30, 30, replace=False)
    assert np.all(canary_y != (np.arange(30) % 3)[rows])


def test_an_honest_model_is_not_refuted_and_a_broken_one_is(monkeypatch):
    options = {"batch_size": 60, "epochs": 40, "canaries": 60, "seed": 4}
    honest = mpreg.audit_dp(private(20.0), wide_records(), **options)
    assert honest.epsilon_lower_bound <= honest.epsilon and not honest.refuted
    broken = private(20.0)
    monkeypatch.setattr(
        broken._noise, "draw", lambda shapes, step, stddev: [np.zeros(s, "float32") for s in shapes]
    )
    found = mpreg.audit_dp(broken, wide_records(), **options)
    assert found.epsilon == honest.epsilon < found.epsilon_lower_bound and found.refuted
    assert "refuted: less noise" in str(found) and "not refuted" in str(honest)
    with pytest.raises(ValueError, match="trained before"):
        mpreg.audit_dp(broken, wide_records(), **options)


def test_it_audits_private_models_alone():
    with pytest.raises(TypeError, match=r"mpreg\.DPSGD"):
        mpreg.audit_dp(mlp(), records(20), batch_size=8, epochs=1)
