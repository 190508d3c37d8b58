"""MemGuard against a transcription that works on one query at a time, and what its randomized mechanism promises."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import mpreg
from mpreg import MemGuard, defend
from mpreg.outputs.keyed import toss

CLASSES = 5


def answers(count, concentration, seed):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(CLASSES, concentration), count).astype("float32")


MEMBERS, OTHERS = answers(300, 0.1, 0), answers(200, 2.0, 1)
QUERIES = np.concatenate([MEMBERS[:25], OTHERS[:25]])


@pytest.fixture(scope="module")
def guard():
    return MemGuard(0.4, seed=7).fit(MEMBERS, OTHERS, epochs=40, learning_rate=0.05)


@pytest.fixture(scope="module")
def unlimited(guard):
    """The same with a budget that always has room for the noise."""
    return with_budget(guard, 2.0)


def with_budget(guard, budget, *, seed=7):
    other = MemGuard.from_config({**guard.get_config(), "budget": budget, "seed": seed})
    other.build((None, CLASSES))
    other.set_weights(guard.get_weights())
    other._find_noise = guard._find_noise  # traced already; its classifier has the same weights
    return other


def distortion(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).sum(axis=1)


class Transcription:
    """Jia et al., algorithm 1, in float64 with gradients written out, for one query at a time."""

    def __init__(self, classifier):
        self.layers = [[w.astype(float) for w in layer.get_weights()] for layer in classifier.layers]

    def h(self, scores):
        return self.h_and_gradient(scores)[0]

    def h_and_gradient(self, scores):
        values, masks = scores, []
        for kernel, bias in self.layers[:-1]:
            values = values @ kernel + bias
            masks.append(values > 0)
            values = np.maximum(values, 0)
        kernel, bias = self.layers[-1]
        gradient = kernel[:, 0]
        for (inner, _), mask in zip(self.layers[-2::-1], masks[::-1], strict=True):
            gradient = inner @ (gradient * mask)
        return (values @ kernel + bias)[0], gradient

    def noisy(self, scores):
        """Noisy scores of sorted scores, highest first."""
        start = np.log(scores)
        scores = special.softmax(
            start
        )  # to the last digit what the first step sees: then its distortion is 0
        first = self.h(scores)
        if abs(special.expit(first) - 0.5) <= 1e-5:
            return scores
        found = scores
        for weight in (0.1, 1.0, 10.0, 1e2, 1e3, 1e4, 1e5):
            z, success, steps = start.copy(), False, 0
            while not success and steps < 300:
                gradient = self.gradient(z, scores, weight)
                z = z - 0.1 * gradient / np.linalg.norm(gradient)
                steps += 1
                success = np.argmax(z) == 0 and self.h(special.softmax(z)) * first <= 0
            if not success:
                break
            found = special.softmax(z)
        return found

    def gradient(self, z, scores, weight):
        noisy = special.softmax(z)
        h, slope = self.h_and_gradient(noisy)
        by_score = np.sign(h) * slope + weight * np.sign(noisy - scores)
        gradient = noisy * (by_score - noisy @ by_score)
        rival = 1 + np.argmax(z[1:])
        if z[rival] > z[0]:
            gradient[rival] += 10
            gradient[0] -= 10
        return gradient


class TestNoise:
    def test_a_batch_finds_what_one_query_at_a_time_finds(self, guard):
        rows = -np.sort(-np.concatenate([answers(6, 0.6, 5), answers(6, 2.0, 6)]), axis=1)
        one_by_one = Transcription(guard.classifier)
        expected = np.stack([one_by_one.noisy(row.astype(float)) for row in rows])
        together = guard._find_noise(np.log(rows)).numpy()
        assert (distortion(expected, rows) > 1e-3).sum() >= 8
        np.testing.assert_allclose(together, expected, atol=1e-4)

    def test_the_classifier_is_left_undecided(self, guard, unlimited):
        before = np.asarray(guard.membership(QUERIES))
        after = np.asarray(guard.membership(unlimited(QUERIES)))
        assert (np.abs(before - 0.5) > 0.3).mean() > 0.7
        assert np.median(np.abs(after - 0.5)) < 0.1
        # Never further from .5 than before: there the mechanism adds no noise.
        assert (np.abs(after - 0.5) <= np.abs(before - 0.5) + 1e-6).all()

    def test_the_defence_classifier_has_learnt(self, guard):
        assert np.mean(guard.membership(MEMBERS)) > 0.7 and np.mean(guard.membership(OTHERS)) < 0.3

    def test_the_order_of_the_classes_is_of_no_consequence_to_the_noise(self, unlimited):
        order = [3, 0, 4, 2, 1]
        np.testing.assert_allclose(
            unlimited(QUERIES[:, order]), np.asarray(unlimited(QUERIES))[:, order], atol=1e-4
        )


class TestAnswers:
    def test_labels_stay_and_answers_are_distributions(self, unlimited):
        rng = np.random.default_rng(3)
        tied = rng.integers(1, 3, (20, CLASSES)).astype(float)
        hard = [np.full((1, CLASSES), 1 / CLASSES), np.eye(CLASSES), tied / tied.sum(axis=1, keepdims=True)]
        p = np.concatenate([QUERIES, *hard]).astype("float32")
        served = np.asarray(unlimited(p))
        np.testing.assert_array_equal(served.argmax(axis=1), p.argmax(axis=1))
        np.testing.assert_allclose(served.sum(axis=1), 1, atol=1e-5)
        assert (served >= 0).all() and np.isfinite(served).all()

    def test_each_answer_is_as_it_was_or_has_all_of_its_noise(self, guard, unlimited):
        full, served = np.asarray(unlimited(QUERIES)), np.asarray(guard(QUERIES))
        kept = (served == QUERIES).all(axis=1)
        np.testing.assert_allclose(served[~kept], full[~kept], atol=1e-6)
        assert 0.1 < kept.mean() < 0.9

    def test_no_query_exceeds_the_budget_in_expectation(self, guard, unlimited):
        """Over the choice of the secret: the chance of noise is min(budget / distortion, 1) for every query."""
        full = distortion(unlimited(QUERIES), QUERIES)
        runs = 100
        logs = np.log(QUERIES)
        tosses = np.stack([MemGuard(0.4, seed=seed)._toss(tf.constant(logs)) for seed in range(runs)])
        chance = np.asarray(guard._chance(tf.constant(QUERIES), unlimited(QUERIES)))
        noised = full > 1e-6
        np.testing.assert_allclose(chance[noised], np.minimum(0.4 / full[noised], 1), rtol=1e-4)
        assert (chance * full <= 0.4 + 1e-5).all()
        spent = (tosses < chance) * full
        assert (
            spent.mean() <= 0.4
            and np.abs((tosses < chance).mean(axis=0) - chance).max() < 5 * 0.5 / runs**0.5
        )
        served = np.asarray(guard(QUERIES))
        # A logarithm that differs in its last bit may round to another hundredth, and toss another coin.
        same = (served != QUERIES).any(axis=1) == (tosses[guard.seed] < chance) & noised
        assert same.mean() > 0.95

    def test_no_budget_no_noise(self, guard):
        np.testing.assert_array_equal(with_budget(guard, 0.0)(QUERIES), QUERIES)

    def test_asking_again_gives_the_same_answer(self, guard):
        served = np.asarray(guard(QUERIES))
        np.testing.assert_array_equal(guard(QUERIES), served)
        order = np.random.default_rng(0).permutation(len(QUERIES))
        shuffled = np.asarray(guard(QUERIES[order]))
        np.testing.assert_allclose(shuffled, served[order], atol=1e-4)

    def test_float_noise_of_the_model_does_not_toss_again(self, guard):
        logs = np.log(QUERIES)
        nudged = logs * (1 + 1e-7 * np.random.default_rng(0).normal(size=logs.shape)).astype("float32")
        same = np.asarray(guard._toss(tf.constant(nudged))) == np.asarray(guard._toss(tf.constant(logs)))
        assert same.mean() > 0.97

    def test_another_secret_tosses_otherwise(self, guard):
        logs = tf.math.log(tf.constant(QUERIES))
        drawn = [MemGuard(seed=seed)._toss(logs).numpy() for seed in (7, 7, 8, 2**40 + 7)]
        np.testing.assert_array_equal(guard._toss(logs), drawn[0])
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert (drawn[0] != drawn[2]).all() and (drawn[0] != drawn[3]).all()
        assert MemGuard().seed != MemGuard().seed


def test_tosses_look_uniform():
    rng = np.random.default_rng(0)
    words = rng.integers(-4, 4, (20_000, 3)).astype("int32")
    words = np.unique(np.c_[words, np.arange(20_000)], axis=0).astype("int32")
    drawn = toss(tf.constant(words), 12345).numpy()
    assert (drawn >= 0).all() and (drawn < 1).all() and len(np.unique(drawn)) > 0.99 * len(drawn)
    np.testing.assert_allclose(
        np.quantile(drawn, np.linspace(0.1, 0.9, 9)), np.linspace(0.1, 0.9, 9), atol=0.02
    )
    for other in (toss(tf.constant(words), 12346), toss(tf.constant(words[:, ::-1].copy()), 12345)):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.03


class TestServing:
    @pytest.mark.slow
    def test_compiled_by_xla_and_reloaded_it_serves_the_same(self, guard, tmp_path):
        target = keras.Sequential([keras.Input((CLASSES,)), keras.layers.Activation("softmax")])
        served = defend(target, guard)
        expected = np.asarray(guard(QUERIES))
        logits = np.log(QUERIES)
        np.testing.assert_allclose(served.predict(logits, batch_size=50, verbose=0), expected, atol=1e-3)
        served.save(tmp_path / "served.keras")
        again = keras.saving.load_model(tmp_path / "served.keras")
        again.compile(jit_compile=True)
        np.testing.assert_allclose(again.predict(logits, batch_size=50, verbose=0), expected, atol=1e-3)
        assert again.trainable_variables == []

    def test_one_trace_serves_batches_of_any_length(self, guard):
        for count in (1, 3, 8, 0):
            assert guard(QUERIES[:count]).shape == (count, CLASSES)
        assert guard._find_noise.experimental_get_tracing_count() == 1


class TestMistakes:
    @pytest.mark.parametrize("budget", [-0.1, 2.1, np.nan, "1", True, None])
    def test_budget(self, budget):
        with pytest.raises(ValueError, match="budget must be a number from 0 to 2. Received: budget="):
            MemGuard(budget)

    def test_before_fit(self):
        with pytest.raises(ValueError, match="no defence classifier yet: call fit"):
            MemGuard()(QUERIES)
        with pytest.raises(ValueError, match="call fit"):
            defend(keras.Sequential([keras.Input((5,)), keras.layers.Softmax()]), MemGuard())

    def test_of_fit(self, guard):
        for sides, options, message in (
            (
                (MEMBERS, OTHERS[:, :4] / OTHERS[:, :4].sum(axis=1, keepdims=True)),
                {},
                "same classes. Received: 5 of members, 4",
            ),
            ((MEMBERS[:0], OTHERS), {}, r"at least one member and one non-member. Received: \[0, 200\]"),
            ((np.log(MEMBERS + 1e-9), OTHERS), {}, r"must lie in \[0, 1\]"),
            ((MEMBERS, OTHERS), {"epochs": 0}, "epochs must be a whole number"),
            ((MEMBERS, OTHERS), {"batch_size": 0}, "batch_size must be"),
            ((MEMBERS, OTHERS), {"learning_rate": 0}, "learning_rate must be a number above 0"),
        ):
            with pytest.raises(ValueError, match=message):
                MemGuard().fit(*sides, **options)
        with pytest.raises(ValueError, match="fitted on answers of 5 classes. Received answers of 3"):
            guard(np.full((2, 3), 1 / 3))

    def test_it_is_public(self):
        assert mpreg.MemGuard is MemGuard


class TestNeighbourhoods:
    """Asking moved copies of a query, and keeping the surest answer, is the way around a coin that each query has."""

    def tosses(self, logits, seed=7):
        return np.asarray(
            MemGuard(0.4, seed=seed)._toss(special.log_softmax(logits, axis=1).astype("float32"))
        )

    @pytest.mark.parametrize("classes", [2, 3, 10])
    def test_queries_that_are_moved_a_little_mostly_meet_the_same_coin(self, classes):
        rng = np.random.default_rng(0)
        logits = 4 * rng.normal(size=(4000, classes))
        moved = self.tosses(logits + 1e-3 * rng.normal(size=logits.shape))
        assert np.mean(moved == self.tosses(logits)) > 0.99

    def test_queries_whose_answers_differ_by_nats_meet_coins_of_their_own(self):
        logits = 4 * np.random.default_rng(0).normal(size=(4000, 10))
        tosses = self.tosses(logits)
        assert len(np.unique(tosses)) > 2000
        assert np.histogram(tosses, 10, (0, 1))[0] == pytest.approx(400, abs=100)

    @pytest.mark.parametrize("classes", [2, 10])
    def test_over_seeds_the_coin_of_a_query_is_fair(self, classes):
        logits = np.random.default_rng(1).normal(size=(1, classes))
        tosses = np.concatenate([self.tosses(logits, seed) for seed in range(1000)])
        assert np.histogram(tosses, 5, (0, 1))[0] == pytest.approx(200, abs=50)
