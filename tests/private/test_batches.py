"""Where the batches of DP-SGD come from: draws that never repeat, records of several rows, repeats within a batch."""

from fractions import Fraction

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support import LOSS, mlp, records

import mpreg
from mpreg.private.accounting import Sampling, Segment, spent
from mpreg.private.repeats import RepeatCounter, check_stream, row_digests
from mpreg.private.sampling import describe, step_numbers, threshold

pytestmark = pytest.mark.usefixtures("seeded")


def private(**options):
    model = mpreg.DPSGD(mlp(), **{"noise_multiplier": 1.0, "l2_norm_clip": 1.0, "delta": 1e-3, **options})
    model.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    return model


# Draws.


def test_every_step_draws_with_128_bits_of_its_own():
    numbers = np.concatenate(list(step_numbers(7, 20_000).batch(20_000).as_numpy_iterator()))
    assert numbers.shape == (20_000, 2)
    for word in numbers.T:  # of 32 bits they would not fill the range
        assert len(np.unique(word)) == 20_000 and stats.kstest(word / 2.0**64 + 0.5, "uniform").pvalue > 1e-3
    others = np.concatenate(list(step_numbers(8, 1000).batch(1000).as_numpy_iterator()))
    assert not set(map(tuple, others)) & set(map(tuple, numbers))


def test_iterations_draw_anew():
    numbers = step_numbers(7, 3)
    first, second = (np.stack(list(numbers.as_numpy_iterator())) for _ in range(2))
    assert not set(map(tuple, first)) & set(map(tuple, second))


@pytest.mark.parametrize("examples", [2, 3, 7, 1500, 60_001, 2**40 + 1])
def test_a_record_is_drawn_at_most_as_often_as_is_accounted_for(examples):
    for batch in {1, 2, examples // 3 + 1, examples - 1, examples}:
        sampling = Sampling("poisson", examples, batch)
        drawn, accounted = Fraction(threshold(sampling), 2**64), Fraction(sampling.probability)
        assert accounted - Fraction(1, 2**64) < drawn <= accounted


def test_labels_are_whatever_a_loss_takes():
    x = {"a": np.arange(6.0), "b": np.ones((6, 2))}
    for y in (
        np.linspace(-1, 1, 6),
        np.ones((6, 3)),
        np.ones((6, 4, 4), int),
        {"u": np.arange(6), "v": np.ones((6, 2))},
    ):
        drawn, labels, mask = next(iter(mpreg.poisson_batches(x, y, batch_size=6, seed=1)))
        assert np.all(mask[:6] == 1) and drawn["b"].shape == (8, 2)
        for found, given in zip(keras.tree.flatten(labels), keras.tree.flatten(y), strict=True):
            np.testing.assert_array_equal(found[:6], given)
    with pytest.raises(ValueError, match="as many rows"):
        mpreg.poisson_batches(x, {"u": np.ones(6), "v": np.ones(5)}, batch_size=2)
    with pytest.raises(ValueError, match="same number of records"):
        mpreg.poisson_batches(x, np.ones(5), batch_size=2)


# Records of several rows.


def test_of_each_group_one_row_is_drawn_and_every_row_at_times():
    rows, ids = np.arange(60), np.repeat(np.arange(12), np.r_[[1] * 6, [9] * 6])
    rng = np.random.default_rng(0)
    order = rng.permutation(60)
    batches = mpreg.poisson_batches(
        rows[order, None].astype("float32"), np.zeros(60, int), batch_size=3, groups=ids[order], seed=2
    )
    counts, drawn = np.zeros(60), []
    for _ in range(75):
        for x, _, mask in batches:
            seen = x.numpy()[mask.numpy() == 1, 0].astype(int)
            assert len(set(ids[seen])) == len(seen)
            counts[seen] += 1
            drawn.append(len(seen))
    assert len(drawn) == 300 and describe(batches) == Sampling("poisson", 12, 3)
    each = [counts[ids == one].sum() for one in range(12)]
    assert stats.binomtest(int(sum(each)), 300 * 12, 0.25).pvalue > 1e-3
    assert all(stats.binomtest(int(one), 300, 0.25).pvalue > 1e-4 for one in each)
    assert all(stats.chisquare(counts[ids == one]).pvalue > 1e-4 for one in range(6, 12))


def test_groups_may_be_names_and_must_fit():
    x, y = records(4)
    batches = mpreg.poisson_batches(x, y, batch_size=2, groups=["ann", "bob", "ann", "cy"])
    assert describe(batches).examples == 3 and describe(batches).unit == "group"
    with pytest.raises(ValueError, match="to which record it belongs.*shape \\(3,\\)"):
        mpreg.poisson_batches(x, y, batch_size=2, groups=[1, 2, 3])
    with pytest.raises(ValueError, match="number of records, 1"):
        mpreg.poisson_batches(x, y, batch_size=2, groups=[1, 1, 1, 1])


def test_the_statement_says_what_a_record_is():
    x, y = records(24)
    rows, people = private(), private()
    rows.fit(mpreg.poisson_batches(x, y, batch_size=12), verbose=0)
    people.fit(mpreg.poisson_batches(x, y, batch_size=6, groups=np.arange(24) // 2), verbose=0)
    assert people.privacy_spent().epsilon == rows.privacy_spent().epsilon  # 6 of 12 as 12 of 24
    said = [" ".join(model.privacy_statement().split()) for model in (rows, people)]
    assert "A record is one row" in said[0] and "all rows of one of the groups" in said[1]


def test_a_budget_for_people_is_kept_by_batches_of_people():
    x, y = records(24)
    options = {"epsilon": 5.0, "delta": 1e-3, "examples": 12, "batch_size": 6, "epochs": 2}
    model = mpreg.DPSGD.for_budget(mlp(), **options)
    model.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    with pytest.raises(ValueError, match="out of 24"):
        model.fit(mpreg.poisson_batches(x, y, batch_size=6), verbose=0)
    batches = mpreg.poisson_batches(x, y, batch_size=6, groups=np.arange(24) // 2)
    model.fit(batches, epochs=2, verbose=0)
    assert 4.5 < model.privacy_spent().epsilon <= 5.0


# Repeats.


def stream(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y))


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.shuffle(9).repeat().batch(8),
        lambda data: data.repeat(3).shuffle(9).map(lambda *pair: pair).batch(8).prefetch(1),
        lambda data: tf.data.Dataset.sample_from_datasets([data.repeat(), data], seed=1).batch(8),
        lambda data: data.batch(4).repeat().unbatch().batch(8),
        lambda data: data.repeat(2).padded_batch(8),
        lambda data: data.repeat(2).ragged_batch(8),
        lambda data: data.batch(4).repeat().rebatch(8),
        lambda data: data.cache().repeat().take(30).batch(8).with_options(tf.data.Options()),
    ],
)
def test_datasets_repeated_ahead_of_their_batches_are_refused(make):
    model = private()
    with pytest.raises(ValueError, match="Batch before you repeat"):
        model.fit(make(stream(*records(20))), steps_per_epoch=1, verbose=0)
    assert model.privacy_history() == []


@pytest.mark.parametrize(
    "make",
    [
        lambda data: data.shuffle(9).batch(8).repeat(),
        lambda data: data.repeat(1).batch(8),
        lambda data: data.batch(8).cache().repeat().prefetch(2),
    ],
)
def test_datasets_repeated_after_their_batches_are_welcome(make):
    check_stream(make(stream(*records(20))))


def copied(x, y, times):
    return np.repeat(x, times, axis=0), np.repeat(y, times)


class Batches(keras.utils.PyDataset):
    def __init__(self, pair):
        super().__init__()
        self.pair = pair

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.pair


@pytest.mark.parametrize(
    "train",
    [
        lambda model, pair: model.train_on_batch(*pair),
        lambda model, pair: model.fit(Batches(pair), verbose=0),
        lambda model, pair: model.fit((each for each in [pair]), steps_per_epoch=1, verbose=0),
        lambda model, pair: model.fit(stream(*pair).batch(len(pair[1])), verbose=0),
    ],
    ids=["train_on_batch", "PyDataset", "generator", "tf.data"],
)
def test_equal_rows_of_a_batch_from_anywhere_are_charged_as_one_record(train):
    model = private()
    train(model, copied(*records(6), 4))
    (segment,) = model.privacy_history()
    assert segment.sampling == Sampling("arbitrary", copies=4) and segment.steps == 1
    # Four clips under a noise of one clip: as one under a quarter of it.
    assert model.privacy_spent() == spent([Segment(Sampling("arbitrary"), 0.25, 1)], 1e-3)
    first = " ".join(model.privacy_statement().split("\n\n")[0].split())
    assert "could not be seen" in first and "at most 4 in a batch" in first


def test_copies_count_from_one_fit_to_the_next_and_in_arrays_not_at_all():
    model = private()
    model.fit(stream(*copied(*records(4), 3)).batch(12), verbose=0)
    model.fit(stream(*records(8)).batch(8), verbose=0)
    model.fit(*copied(*records(4), 3), batch_size=12, verbose=0)
    model.fit(*copied(*records(4), 3), batch_size=12, steps_per_epoch=1, verbose=0)
    found = [(part.sampling.kind, part.sampling.copies) for part in model.privacy_history()]
    assert found == [("arbitrary", 3), ("arbitrary", 1), ("shuffled", 1), ("arbitrary", 1)]


def test_rows_of_weight_zero_are_not_there():
    model = private()
    weights = np.r_[1.0, 0.0, 0.0, np.ones(4)]
    x, y = (np.concatenate([np.repeat(part[:1], 3, axis=0), part[1:5]]) for part in records(8))
    model.train_on_batch(x, y, sample_weight=weights)
    assert model.privacy_history()[0].sampling.copies == 1


def test_digests_tell_rows_apart_whatever_they_hold():
    rng = np.random.default_rng(0)
    x = {
        "a": rng.normal(size=(4000, 2, 3)).astype("float32"),
        "b": rng.integers(0, 9, (4000, 1)),
        "c": np.array([f"word {i % 7}" for i in range(4000)]),
        "d": np.zeros((4000, 1), bool),
    }
    digests = row_digests(keras.tree.map_structure(tf.convert_to_tensor, x)).numpy()
    assert digests.dtype == np.int64 and len(np.unique(digests)) == 4000
    bits = (np.arange(4096)[:, None] >> np.arange(12) & 1).astype("float32")
    for equal in (bits, -bits, bits.astype("int64"), bits * 1e30, np.where(bits == 1, np.nan, 0.0)):
        assert len(np.unique(row_digests(tf.constant(equal)).numpy())) == 4096
    counter = RepeatCounter()
    for rows in ([1.0, 2.0], [3.0, 3.0, 3.0, 1.0], [5.0]):
        counter.see((tf.constant(rows)[:, None], None))
    assert counter.charged(Sampling("arbitrary")).copies == 3
    assert counter.charged(Sampling("poisson", 9, 3)).copies == 1
