"""What training costs: equal to dp-accounting and tensorflow-privacy, never flattering, and never exceeded."""

import math

import dp_accounting
import keras
import numpy as np
import pytest
import tensorflow as tf
from support import LOSS, mlp, records

import mpreg
from mpreg.callbacks import PrivacyBudget
from mpreg.private import accounting, mechanism
from mpreg.private.accounting import Sampling, Segment, spent
from mpreg.private.noise import NoiseSource
from mpreg.private.sampling import describe
from mpreg.private.statement import tensorflow_privacy_statement

library = mechanism.tensorflow_privacy("privacy.analysis.compute_dp_sgd_privacy_lib")
with_tensorflow_privacy = pytest.mark.skipif(library is None, reason="tensorflow-privacy is not installed")


def private(noise=1.0, **options):
    keras.utils.set_random_seed(1)
    model = mpreg.DPSGD(mlp(), noise_multiplier=noise, l2_norm_clip=1.0, **options)
    model.compile("sgd", LOSS)
    return model


# Epsilon.


@pytest.mark.parametrize(
    "examples, batch, epochs, noise, delta", [(60000, 256, 60, 1.1, 1e-5), (1500, 128, 5, 2.0, 1e-6)]
)
def test_epsilon_is_dp_accountings(examples, batch, epochs, noise, delta):
    steps = math.ceil(epochs * examples / batch)
    event = dp_accounting.PoissonSampledDpEvent(batch / examples, dp_accounting.GaussianDpEvent(noise))
    event = dp_accounting.SelfComposedDpEvent(event, steps)
    cost = spent([Segment(Sampling("poisson", examples, batch), noise, steps)], delta)
    rdp = dp_accounting.rdp.RdpAccountant().compose(event).get_epsilon(delta)
    pld = (
        dp_accounting.pld.PLDAccountant(value_discretization_interval=1e-3).compose(event).get_epsilon(delta)
    )
    assert cost.rdp == pytest.approx(rdp, rel=1e-12) and cost.pld == pytest.approx(pld, rel=1e-9)
    assert cost.epsilon == min(rdp, pld)
    if noise == 1.1:
        assert cost.rdp == pytest.approx(2.597, abs=1e-3)  # the figure of tensorflow-privacy's tutorial


@pytest.mark.parametrize(
    "noise, examples, batch",
    [
        *((noise, 60000, 240) for noise in (0.7, 0.8, 1.3, 4.0)),
        (0.8, 60000, 1200),
        (4.0, 60000, 1200),
        (1.3, 5000, 500),
    ],
)
def test_epsilon_is_theirs_on_a_grid(noise, examples, batch):
    theirs = dp_accounting.rdp.RdpAccountant()
    event = dp_accounting.PoissonSampledDpEvent(batch / examples, dp_accounting.GaussianDpEvent(noise))
    pass_length, passes = examples // batch, 0
    for epochs in (1, 30):
        theirs.compose(event, (epochs - passes) * pass_length)
        passes = epochs
        for delta in (1e-5, 1e-6):
            history = [Segment(Sampling("poisson", examples, batch), noise, epochs * pass_length)]
            cost = spent(history, delta, tight_up_to=-1.0).epsilon  # Renyi alone, which is fast
            assert cost == pytest.approx(theirs.get_epsilon(delta), rel=1e-9)
            if library and epochs == 30 and delta == 1e-5:
                drawn = {"used_microbatching": False, "poisson_subsampling_probability": batch / examples}
                # A last bit would make one step more, as it rounds up to whole ones.
                other = library._compute_dp_sgd_example_privacy(epochs * (1 - 1e-9), noise, delta, **drawn)
                assert cost == pytest.approx(other, rel=1e-9)
    accounting._spent.cache_clear()


def test_a_single_gaussian_has_the_exact_epsilon():
    from scipy import optimize, stats

    def delta_of(epsilon, noise):  # Balle and Wang 2018, theorem 8
        half, ratio = 0.5 / noise, epsilon * noise
        return stats.norm.cdf(half - ratio) - np.exp(epsilon) * stats.norm.cdf(-half - ratio)

    exact = optimize.brentq(lambda e: delta_of(e, 2.0 / math.sqrt(3)) - 1e-5, 0.1, 20)
    cost = spent([Segment(Sampling("shuffled", 100, 10, 10), 2.0, 30)], 1e-5)  # three passes
    assert exact <= cost.pld <= exact * 1.01 <= cost.rdp * 1.01


def test_costs_add_up_and_never_flatter():
    poisson, shuffled = Sampling("poisson", 1000, 50), Sampling("shuffled", 1000, 50, 20)
    cost = lambda *segments: spent(list(segments), 1e-5).epsilon  # noqa: E731
    amplified, plain = cost(Segment(poisson, 1.0, 40)), cost(Segment(shuffled, 1.0, 40))
    anything = cost(Segment(Sampling("arbitrary"), 2.0, 40))
    assert amplified < plain < cost(Segment(shuffled, 1.0, 41)) and anything > cost(
        Segment(shuffled, 2.0, 40)
    )
    # Two fits of half a pass each may both hold the same record.
    assert cost(Segment(shuffled, 1.0, 10), Segment(shuffled, 1.0, 10)) == cost(Segment(shuffled, 1.0, 40))
    assert cost(Segment(poisson, 1.0, 40), Segment(shuffled, 1.0, 20)) > max(
        amplified, cost(Segment(shuffled, 1.0, 20))
    )
    assert cost() == 0 and cost(Segment(poisson, 0.0, 1)) == math.inf


@with_tensorflow_privacy
@pytest.mark.parametrize("noise", [0.8, 2.0])
def test_the_statement_of_tensorflow_privacy_has_our_number(noise):
    history = [Segment(Sampling("poisson", 6000, 250), noise, 48)]
    theirs = tensorflow_privacy_statement(history, 1e-5)
    number = float(theirs.split("Poisson sampling (*):")[1].split()[0])
    assert number == pytest.approx(spent(history, 1e-5).rdp, abs=5e-4)
    assert (
        tensorflow_privacy_statement([Segment(Sampling("shuffled", 6000, 250, 24), noise, 48)], 1e-5) is None
    )


# The mechanism.


@with_tensorflow_privacy
def test_both_gaussian_sums_are_one(monkeypatch):
    from tensorflow_privacy.privacy.dp_query.gaussian_query import GaussianSumQuery

    theirs = mechanism.gaussian_sum(1.0, 2.0, NoiseSource(1))
    assert isinstance(theirs, GaussianSumQuery)
    mechanism._query_class.cache_clear()
    monkeypatch.setattr(mechanism, "tensorflow_privacy", lambda submodule: None)
    own = mechanism.gaussian_sum(1.0, 2.0, NoiseSource(1))
    mechanism._query_class.cache_clear()
    assert not isinstance(own, GaussianSumQuery)
    record = [tf.constant([3.0, 4.0]), tf.constant([[12.0]])]
    results = []
    for query in (theirs, own):
        state = query.initial_global_state()
        clipped = query.preprocess_record(query.derive_sample_params(state), record)
        results.append([*clipped, *query.noised(clipped, state, 7)])
    for mine, other in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_allclose(tf.linalg.global_norm(results[0][:2]), 1.0, rtol=1e-6)


@with_tensorflow_privacy
def test_the_clipped_sum_of_a_step_is_tensorflow_privacys():
    query = mechanism.gaussian_sum(0.3, 0.0, NoiseSource(1))
    model = private(0.0, seed=0)
    model.compile(keras.optimizers.SGD(1.0), LOSS, run_eagerly=True)
    model.clip_norm.assign(0.3)
    x, y = records(6)
    target, variables = model.target_model, model.trainable_variables
    expected = None
    for row in range(6):
        with tf.GradientTape() as tape:
            loss = keras.losses.sparse_categorical_crossentropy(y[row : row + 1], target(x[row : row + 1]))
        gradients = tape.gradient(loss, [v.value for v in variables])
        clipped = query.preprocess_record(tf.constant(0.3), gradients)
        expected = clipped if expected is None else query.accumulate_preprocessed_record(expected, clipped)
    before = [v.numpy() for v in variables]
    model.train_on_batch(x, y)
    for variable, was, total in zip(variables, before, expected, strict=True):
        np.testing.assert_allclose(was - variable.numpy(), total / 6, rtol=1e-4, atol=1e-6)


# How batches were drawn.


def test_what_fit_is_given_is_recognised():
    x, y = records(40)
    batches = mpreg.poisson_batches(x, y, batch_size=8)
    assert describe(batches) == Sampling("poisson", 40, 8)
    assert describe(batches.map(lambda *parts: parts)).kind == "arbitrary"
    assert describe(tf.data.Dataset.from_tensor_slices((x, y)).batch(8)).kind == "arbitrary"
    assert describe(x, batch_size=16) == Sampling("shuffled", 40, 16, 3)
    assert describe(x) == Sampling("shuffled", 40, 32, 2)
    assert describe(x, batch_size=8, steps_per_epoch=2).kind == "arbitrary"
    assert describe(x, batch_size=16, validation_split=0.5) == Sampling("shuffled", 20, 16, 2)


def test_the_history_counts_every_step_by_how_it_was_drawn():
    model = private(2.0, delta=1e-3)
    model.compile("sgd", LOSS, run_eagerly=True)
    assert "nothing is claimed" in model.privacy_statement() and model.privacy_spent().epsilon == 0
    model.train_on_batch(*records(8))
    model.fit(mpreg.poisson_batches(*records(), batch_size=12), verbose=0)
    model.fit(*records(), batch_size=20, epochs=2, verbose=0)
    kinds = [(part.sampling.kind, part.steps) for part in model.privacy_history()]
    assert kinds == [("arbitrary", 1), ("poisson", 4), ("shuffled", 6)]
    words = model.privacy_statement()
    assert f"{model.privacy_spent().epsilon:.4g}" in words
    for part in ("Poisson sampling", "2 passes over each record", "could not look into the source"):
        assert part in " ".join(words.split())


def test_shuffled_batches_are_told_the_larger_epsilon():
    drawn, shuffled = private(2.0, delta=1e-3), private(2.0, delta=1e-3)
    for model, data in ((drawn, (mpreg.poisson_batches(*records(), batch_size=12),)), (shuffled, records())):
        model.compile("sgd", LOSS, run_eagerly=True)
        model.fit(*data, verbose=0, **({} if model is drawn else {"batch_size": 12}))
    assert shuffled.privacy_spent().epsilon > 1.2 * drawn.privacy_spent().epsilon
    assert "not counted" in " ".join(shuffled.privacy_statement().split())


# Budgets.


def test_for_budget_spends_the_budget_and_no_more():
    plan = {"epsilon": 3.0, "delta": 1e-3, "examples": 48, "batch_size": 12}
    model = mpreg.DPSGD.for_budget(mlp(), **plan, epochs=2)
    model.compile("sgd", LOSS, run_eagerly=True)
    with pytest.raises(ValueError, match="shuffled batches of 32 out of 48"):
        model.fit(*records(), verbose=0)
    with pytest.raises(ValueError, match="poisson batches of 12 out of 40"):
        model.fit(mpreg.poisson_batches(*records(40), batch_size=12), verbose=0)
    model.fit(mpreg.poisson_batches(*records(), batch_size=12), epochs=2, verbose=0)
    assert 0.98 * 3.0 <= model.privacy_spent().epsilon <= 3.0
    weaker = mpreg.DPSGD.for_budget(mlp(), **plan, epochs=2, sampling="shuffled")
    assert weaker.noise_multiplier > model.noise_multiplier


@pytest.mark.parametrize("sampling", ["poisson", "shuffled"])
def test_steps_within_a_budget_fit_and_more_do_not(sampling):
    drawn = Sampling(sampling, 1000, 50, 20 if sampling == "shuffled" else None)
    before = [Segment(drawn, 2.0, 20)]
    steps = accounting.steps_within(before, drawn, 2.0, epsilon=4.0, delta=1e-5)
    cost = lambda more: spent([*before, Segment(drawn, 2.0, more)], 1e-5).epsilon  # noqa: E731
    assert cost(steps) <= 4.0 < cost(int(steps * 1.1) + 20)
    assert accounting.steps_within(before, drawn, 2.0, epsilon=0.01, delta=1e-5) == 0


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_the_callback_logs_epsilon_and_stops_before_the_budget_is_exceeded(steps_per_execution):
    model = private(1.5)
    model.compile("sgd", LOSS, steps_per_execution=steps_per_execution, run_eagerly=steps_per_execution == 1)
    batches = mpreg.poisson_batches(*records(), batch_size=12)
    budget = PrivacyBudget(epsilon=2.0, delta=1e-3)
    history = model.fit(batches, epochs=100, verbose=0, callbacks=[budget]).history
    cost = model.privacy_spent(1e-3)
    assert 0.8 * 2.0 < cost.epsilon <= 2.0 and len(history["epsilon"]) < 100
    assert history["epsilon"][-1] == cost.epsilon and history["epsilon_rdp"][-1] == cost.rdp
    assert np.all(np.diff(history["epsilon"]) > 0)
    with pytest.raises(ValueError, match="is spent"):
        model.fit(batches, epochs=20, verbose=0, callbacks=[PrivacyBudget(epsilon=cost.epsilon, delta=1e-3)])


def test_the_callback_wants_a_private_model():
    model = mlp()
    model.compile("sgd", LOSS)
    with pytest.raises(TypeError, match=r"mpreg\.DPSGD"):
        model.fit(*records(), verbose=0, callbacks=[PrivacyBudget(epsilon=1.0, delta=1e-3)])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PrivacyBudget(epsilon=0, delta=1e-5), "epsilon=0"),
        (lambda: PrivacyBudget(epsilon=1, delta=1.0), "delta=1.0"),
        (lambda: private(-1.0), "noise_multiplier=-1.0"),
        (lambda: mpreg.DPSGD(mlp(), noise_multiplier=1.0, l2_norm_clip=0), "l2_norm_clip=0"),
        (lambda: mpreg.DPSGD(mlp(), noise_multiplier=1.0, l2_norm_clip=math.inf), "must be finite"),
        (lambda: private().privacy_statement(), "say at which delta"),
        (lambda: mpreg.poisson_batches(*records(8), batch_size=9), "batch_size=9"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
