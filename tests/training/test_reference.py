"""Reference records: drawn with replacement from arrays, or streamed from any tf.data pipeline."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import CLASSES, FEATURES, LOSS, linear_attacker, mlp, records

import mpreg
from mpreg.training.core.reference import open_reference


def stream(count=10):
    """Records that are told apart by their first feature: 0, 1, 2, ..."""
    x, y = records(count)
    x[:, 0] = np.arange(count)
    return tf.data.Dataset.from_tensor_slices((x, y))


def names(batch):
    return batch[0][:, 0].numpy().astype(int).tolist()


def one_hot(x, y):
    return x, tf.one_hot(y, CLASSES)


PIPELINES = {
    "unbatched": stream(),
    "batched": stream().batch(4),
    "in odd batches": stream().batch(7),
    "in one large batch": stream().batch(100),
    "one-hot": stream().map(one_hot),
    "one-hot in batches": stream().map(one_hot).batch(3),
    "endless": stream().repeat(),
    "of unknown length": stream().filter(lambda x, y: True),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_is_batched_anew_and_repeated_without_end(kind):
    source = open_reference(PIPELINES[kind], 4)
    source.check_classes(CLASSES)
    drawn = [names(source.batch(0, 0))]
    for step in range(1, 5):
        source.refill(1)
        drawn.append(names(source.batch(step, 0)))
    assert [name for batch in drawn for name in batch] == [*range(10), *range(10)]
    assert source.batch(0, 0)[1].shape[0] == 4


def test_a_pipeline_shorter_than_a_batch_fills_it_by_repetition():
    source = open_reference(stream(3), 8)
    assert names(source.batch(0, 0)) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_refill_for_several_steps_gives_each_its_own_batch():
    source = open_reference(stream(), 2)
    source.refill(3)
    first = [names(source.batch(step, 0)) for step in range(3)]
    source.refill(3)
    second = [names(source.batch(step, 0)) for step in range(3, 6)]
    assert len({tuple(batch) for batch in first + second}) >= 5


def test_random_augmentation_is_drawn_anew_each_time():
    noisy = stream(4).map(lambda x, y: (x + tf.random.normal((FEATURES,)), y))
    source = open_reference(noisy, 4)
    first = source.batch(0, 0)[0].numpy()
    source.refill(1)
    assert np.all(first != source.batch(1, 0)[0].numpy())


class Recorder(keras.Model):
    """A target that notes the reference records it is shown in training, by their first feature."""

    def __init__(self, seen):
        super().__init__()
        self.inner = mlp()
        self.note = seen.append

    def call(self, x, training=None):
        if training and isinstance(x, tf.Tensor) and len(x) == 2:
            self.note(tuple(x[:, 0].numpy().astype(int)))
        return self.inner(x)


@pytest.mark.parametrize(("attack_steps", "steps_per_execution", "batch_size"), [(1, 1, 48), (2, 3, 16)])
def test_every_attack_step_of_every_epoch_has_fresh_records(attack_steps, steps_per_execution, batch_size):
    seen = []
    model = mpreg.AdversarialRegularization(
        Recorder(seen),
        stream(1000),
        penalty=1.0,
        attack_steps=attack_steps,
        reference_batch_size=2,
        inference_network=linear_attacker(),
    )
    model.compile("sgd", LOSS, run_eagerly=True, steps_per_execution=steps_per_execution)
    del seen[:]
    model.fit(*records(), epochs=3, batch_size=batch_size, verbose=0)
    draws = 3 * (48 // batch_size) * attack_steps
    assert len(seen) == draws
    assert len(set(seen)) == draws


def test_outside_of_fit_a_stream_is_not_refilled():
    model = mpreg.AdversarialRegularization(
        mlp(), stream(1000), penalty=1.0, reference_batch_size=2, inference_network=linear_attacker()
    )
    model.compile("sgd", LOSS, run_eagerly=True)
    first = names(model.game.reference.batch(0, 0))
    model.train_on_batch(*records())
    assert names(model.game.reference.batch(1, 0)) == first


def test_arrays_are_drawn_by_step_and_seed():
    source = open_reference(records(500), 32)
    batches = {(step, seed): source.batch(step, seed)[0].numpy() for step in (0, 1) for seed in (0, 1)}
    np.testing.assert_array_equal(batches[0, 0], source.batch(0, 0)[0])
    values = list(batches.values())
    assert all(np.any(a != b) for i, a in enumerate(values) for b in values[:i])
    assert all(len(batch) == 32 for batch in values)


def test_features_and_labels_stay_together():
    x, y = records(200)
    drawn_x, drawn_y = open_reference((x, y), 64).batch(5, 2)
    rows = {row.tobytes(): label for row, label in zip(x, y, strict=True)}
    assert [rows[row.tobytes()] for row in drawn_x.numpy()] == drawn_y.numpy().tolist()


def test_every_record_is_drawn_as_often_as_any_other():
    x = np.arange(20, dtype="float32").reshape(-1, 1)
    source = open_reference((x, np.zeros(20, int)), 20)
    counts = np.zeros(20)
    for step in range(200):
        np.add.at(counts, source.batch(step, 0)[0].numpy().astype(int).ravel(), 1)
    assert counts.sum() == 4000
    assert np.all(np.abs(counts - 200) < 5 * np.sqrt(200))


def test_a_handful_of_records_makes_a_small_batch():
    assert len(open_reference(records(3), 64).batch(0, 0)[1]) == 3


BAD = [
    (stream().map(lambda x, y: x), "pairs"),
    (stream().map(lambda x, y: (x, y, y)), "pairs"),
    (stream().take(0), "empty"),
    (stream().filter(lambda x, y: False), "empty"),
]


@pytest.mark.parametrize(("dataset", "message"), BAD)
def test_a_useless_pipeline_is_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        open_reference(dataset, 4)


@pytest.mark.parametrize("batched", [False, True])
def test_labels_that_the_target_lacks_are_refused(batched):
    high = stream().map(lambda x, y: (x, y + CLASSES))
    wide = stream().map(lambda x, y: (x, tf.one_hot(y, CLASSES + 1)))
    for dataset, message in ((high, "number of classes, 3"), (wide, "4 columns")):
        with pytest.raises(ValueError, match=message):
            open_reference(dataset.batch(4) if batched else dataset, 4).check_classes(CLASSES)
