"""The audit: its bound is the published one, stays below a true epsilon, and catches a false one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support import LOSS, mlp, records

import mpreg
from mpreg.private import accounting, batches, clipping, observer, one_run
from mpreg.private.dp_audit import make_canaries
from mpreg.private.one_run import Guesses, best_bound, lower_bound, most_noise, p_value, refutes
from mpreg.private.sampling import sampled_dataset
from mpreg.private.trade_off import EPSILONS, GaussianTradeOff, ProfileTradeOff


def private(noise, clip=1.0):
    keras.utils.set_random_seed(1)
    stack = [keras.Input((30,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax")]
    model = mpreg.DPSGD(
        keras.Sequential(stack), noise_multiplier=noise, l2_norm_clip=clip, delta=1e-4, seed=0
    )
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
        assert p_value(Guesses(*case[:3]), *case[3:]) == pytest.approx(published(*case), rel=1e-9)


def test_without_delta_the_bound_is_clopper_and_pearsons():
    for guesses, correct in ((100, 80), (40, 40), (100, 50)):
        share = stats.beta.ppf(0.05, correct, guesses - correct + 1)  # the lower limit of the rate
        expected = max(0.0, np.log(share / (1 - share)))
        assert lower_bound(Guesses(200, guesses, correct), 0.0, 0.05) == pytest.approx(expected, abs=1e-6)


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


def gaussian_deltas(noise):  # Balle and Wang, 2018, theorem 8
    cdf = stats.norm.cdf
    return cdf(0.5 / noise - EPSILONS * noise) - np.exp(EPSILONS) * cdf(-0.5 / noise - EPSILONS * noise)


def test_trade_off_curves_agree():
    noise, rates = 0.7, (1e-4, 0.01, 0.1, 0.5, 0.9, 0.999)
    exact = [GaussianTradeOff(noise).least_false(rate) for rate in rates]
    by_deltas = ProfileTradeOff(EPSILONS, gaussian_deltas(noise))
    assert [by_deltas.least_false(rate) for rate in rates] == pytest.approx(exact, rel=2e-2)
    assert all(by_deltas.least_false(rate) <= least + 1e-12 for rate, least in zip(rates, exact, strict=True))
    one_step = ProfileTradeOff.of_training(accounting.Sampling("arbitrary"), noise, 1)
    assert [one_step.least_false(rate) for rate in rates] == pytest.approx(exact, rel=2e-2)


def test_guesses_that_any_mechanism_allows_refute_nothing():
    curve = GaussianTradeOff(1.0)
    assert not refutes(Guesses(100, 100, 50), curve, 0.05) and refutes(Guesses(100, 100, 100), curve, 0.05)
    # The tail of independent guesses, the best that a mechanism can allow, is never above what refutes.
    best = stats.norm.cdf(0.5)  # of a guess about one record
    for correct in range(50, 101):
        if refutes(Guesses(100, 100, correct), curve, 0.05):
            assert stats.binom.sf(correct - 1, 100, best) < 0.05


def test_the_most_noise_holds_with_its_confidence_and_proves_more_than_any_mechanism_does():
    rng = np.random.default_rng(0)
    true, below, gained, runs = 0.5, 0, [], 40
    for _ in range(runs):
        included = rng.integers(0, 2, 200).astype(bool)
        scores = included + true * rng.normal(size=200)
        found, guessed = most_noise(scores, included, GaussianTradeOff, 0.9, claimed=true, least=0.1)
        below += found < true
        step = accounting.Segment(accounting.Sampling("arbitrary"), found, 1)
        gained.append(accounting.spent([step], 1e-5).epsilon / best_bound(scores, included, 1e-5, 0.9)[0])
        assert guessed.canaries == 200 and guessed in one_run.guesses(scores, included, one_run.CHOICES)
    assert below <= stats.binom.ppf(0.999, runs, 0.1) and np.median(gained) > 2.0


def test_no_curve_of_less_noise_than_is_looked_for_is_computed():
    """One of hardly any noise, as that of a guarantee in name only, takes gigabytes."""
    rng = np.random.default_rng(0)
    included = rng.integers(0, 2, 200).astype(bool)
    tried = []

    def curve(noise):
        tried.append(noise)
        return GaussianTradeOff(noise)

    most_noise(included.astype(float), included, curve, 0.9, claimed=0.006, least=0.1)
    assert len(tried) > 5 and min(tried) == 0.1


def halved(model, monkeypatch):
    draw = model._noise.draw
    monkeypatch.setattr(model._noise, "draw", lambda shapes, step, std: draw(shapes, step, 0.5 * std))


def once_an_epoch(model, monkeypatch):
    draw = model._noise.draw

    def sometimes(shapes, step, std):
        return draw(shapes, step, tf.where(step % 2 == 0, std, 0.0))

    monkeypatch.setattr(model._noise, "draw", sometimes)


def unclipped(model, monkeypatch):
    def sums(variables, pieces, scales, clip, divisor=1.0, **options):
        return clipping.clipped_sums(variables, pieces, scales, 1e9, divisor, **options)

    monkeypatch.setattr(batches, "clipped_sums", sums)


@pytest.mark.parametrize(
    "fault", [pytest.param(halved, marks=pytest.mark.slow), once_an_epoch, unclipped, None]
)
def test_it_catches_half_the_noise_noise_now_and_then_and_no_clipping(fault, monkeypatch):
    model = private(20.0, clip=0.05)
    if fault:
        fault(model, monkeypatch)
    found = mpreg.audit_dp(model, wide_records(), batch_size=60, epochs=10, canaries=60, seed=4)
    assert found.refuted == bool(fault)
    assert found.epsilon_lower_bound <= found.epsilon or fault is unclipped
    assert model.observer is None and found.adversary == "gradients"
    if fault is unclipped:
        assert found.most_noise < found.noise_multiplier and found.any_mechanism > 0
    elif fault:
        assert found.least_noise < 0.6 * found.noise_multiplier


@pytest.mark.slow  # two audits
def test_an_adversary_who_sees_gradients_tells_more():
    seen = {
        adversary: mpreg.audit_dp(
            private(1.0), wide_records(), batch_size=60, epochs=10, canaries=60, adversary=adversary, seed=4
        )
        for adversary in ("gradients", "answers")
    }
    assert seen["gradients"].epsilon_lower_bound > seen["answers"].epsilon_lower_bound
    assert seen["answers"].least_noise is None and not seen["answers"].refuted


def test_training_without_clip_and_noise_gives_its_canaries_away():
    model = private(0.0, clip=float("inf"))
    found = mpreg.audit_dp(model, wide_records(), batch_size=20, epochs=10, canaries=60, seed=4)
    assert found.epsilon_lower_bound == found.any_mechanism > 1.5 and not found.refuted
    assert found.least_noise is None and np.isinf(found.most_noise) and np.isinf(found.epsilon)


def test_scores_are_inner_products_of_clipped_gradients():
    model, (x, y) = private(0.0), wide_records()
    weights = [variable.numpy() for variable in model.trainable_variables]
    canaries = (x[:3] + 1.0, (y[:3] + 1) % 10)
    sampling = accounting.Sampling("poisson", 23, 23)  # each record in each batch
    model.observer = observer.GradientObserver(canaries, (x, y), 3, sampling)
    drawn = sampled_dataset(np.concatenate([x, canaries[0]]), np.concatenate([y, canaries[1]]), sampling, 1)
    model.fit(drawn, epochs=1, verbose=0)

    def clipped(record, label):  # at the weights of before the step, one by one
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            loss = model.target_model(record[None], training=False)
            loss = -tf.math.log(loss[0, int(label)])
        parts = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        flat = np.concatenate([np.ravel(part) for part in parts])
        return flat * min(1.0, 1.0 / np.linalg.norm(flat))

    each = [clipped(*pair) for pair in zip(*canaries, strict=True)]
    # All are in, so that half of each canary is what the average leaves.
    expected = [0.5 * sum(each) @ gradient / 23 for gradient in each]
    assert model.observer.scores == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow  # two audits
def test_an_honest_model_is_not_refuted_and_one_without_noise_is(monkeypatch):
    options = {"batch_size": 60, "epochs": 40, "canaries": 60, "adversary": "answers", "seed": 4}
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
    with pytest.raises(ValueError, match="adversary"):
        mpreg.audit_dp(private(1.0), wide_records(), **{**options, "adversary": "nobody"})


def test_it_audits_private_models_alone():
    with pytest.raises(TypeError, match=r"mpreg\.DPSGD"):
        mpreg.audit_dp(mlp(), records(20), batch_size=8, epochs=1)
