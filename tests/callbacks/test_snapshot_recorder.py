"""Snapshots of a training: what is kept, and what attacks make of it."""

import keras
import numpy as np
import pytest
from keras import layers

import mpreg
from mpreg.attacks import TrajectoryAttack, WhiteBoxAttack
from mpreg.callbacks import SnapshotRecorder
from mpreg.internals import Snapshots

SIDE = 60


def built():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((12,)), layers.Dense(16, "relu"), layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2 * SIDE, 12)).astype("float32"), rng.integers(0, 3, 2 * SIDE)
    return mpreg.MembershipSplit((x[:SIDE], y[:SIDE]), None, (x[SIDE:], y[SIDE:]))


def trained(split, recorder, epochs=12, model=None):
    model = model or built()
    model.fit(*split.members, epochs=epochs, batch_size=30, shuffle=False, verbose=0, callbacks=[recorder])
    return model


@pytest.mark.slow  # four trainings, each traced anew
def test_weights_are_those_of_a_training_that_ends_there_in_memory_and_in_files(split, tmp_path):
    recorder, filed = SnapshotRecorder((2, 5)), SnapshotRecorder((2, 5), folder=tmp_path)
    trained(split, recorder, 6)
    trained(split, filed, 6)
    expected = trained(split, SnapshotRecorder(()), 2).get_weights()
    assert recorder.snapshots.epochs == filed.snapshots.epochs == Snapshots(tmp_path).epochs == (2, 5)
    for snapshots in (recorder.snapshots, filed.snapshots, Snapshots(tmp_path)):
        for found, own in zip(snapshots.weights(2), expected, strict=True):
            np.testing.assert_allclose(found, own, rtol=1e-5, atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-00002.npz", "epoch-00005.npz"]


def test_of_a_wrapper_the_classifier_is_kept_and_of_records_the_answers(split):
    model = mpreg.RelaxLoss(built(), alpha=0.5)
    model.compile("adam", "sparse_categorical_crossentropy")
    recorder, answers = SnapshotRecorder(), SnapshotRecorder(records=split.nonmembers)
    model.fit(*split.members, epochs=2, verbose=0, callbacks=[recorder, answers])
    for found, own in zip(recorder.snapshots.weights(2), model.target_model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, own)
    assert list(answers.answers) == [1, 2] and len(answers.snapshots) == 0
    expected = model.target_model.predict(split.nonmembers[0], verbose=0)
    np.testing.assert_allclose(answers.answers[2], expected, rtol=1e-5)


def test_attacks_on_snapshots_find_members_and_give_the_model_its_weights_back(split):
    recorder = SnapshotRecorder(range(4, 13, 4))
    model = trained(split, recorder, 30)
    before = model.get_weights()
    report = mpreg.evaluate(model, split, attacks=[TrajectoryAttack(recorder)])
    assert report.attacks["loss trajectory, 3 epochs"].auc > 0.65
    attack = WhiteBoxAttack(snapshots=recorder.snapshots[4, 12], epochs=8, learning_rate=3e-3, batch_size=32)
    assert attack.name == "white-box, epochs 4, 12"
    sides = split.members, split.nonmembers
    answers = mpreg.signals.read_both(*((model.predict(x, verbose=0), y) for x, y in sides))
    inputs = split.members[0], split.nonmembers[0]
    rows = attack.prepare(mpreg.attacks.Access(*answers, inputs=inputs, model=model))
    known, judged = slice(0, 30), slice(30, SIDE)
    attack.fit(rows[:SIDE][known], rows[SIDE:][known])
    assert mpreg.metrics.auc(*(attack.score(side[judged]) for side in np.split(rows, 2))) > 0.65
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_each_snapshot_is_read_as_the_model_was(split):
    from mpreg.internals import Choice, read_signals

    recorder = SnapshotRecorder((1, 3))
    model = trained(split, recorder, 3)
    x, y = split.nonmembers
    choice = Choice((-1,), (), sizes=True)
    together = read_signals(model, x, y, choice, classes=3, snapshots=recorder.snapshots).values
    last = read_signals(model, x, y, choice, classes=3).values
    for name, values in last.items():
        key = name if name == "label" else f"{name}, epoch 3"
        np.testing.assert_allclose(together[key], values, rtol=1e-5, atol=1e-6, err_msg=name)
        if name != "label":
            assert not np.allclose(together[f"{name}, epoch 1"], values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 5}, "epochs must be numbers of epochs, from 1. Received: 5"),
        ({"epochs": [0]}, "epochs must be"),
        ({"epochs": "all"}, "Received: 'all'"),
        ({"records": 3}, "records must be a pair"),
    ],
)
def test_wrong_options_are_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        SnapshotRecorder(**options)


def test_snapshots_that_are_not_there_or_of_another_model_are_refused(split, tmp_path):
    recorder = SnapshotRecorder((1,))
    model = trained(split, recorder, 1)
    with pytest.raises(KeyError, match=r"no snapshot of epoch 7. There are: \[1\]"):
        recorder.snapshots[1, 7]
    with pytest.raises(ValueError, match="folder"):
        SnapshotRecorder(records=split.members, folder=tmp_path)
    with pytest.raises(ValueError, match="Received: 3"):
        TrajectoryAttack(3)
    with pytest.raises(ValueError, match="there are no snapshots"):
        mpreg.evaluate(model, split, attacks=[TrajectoryAttack(Snapshots())])
    other = keras.Sequential([keras.Input((12,)), layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match="snapshot of epoch 1 is of another model"):
        mpreg.evaluate(other, split, attacks=[TrajectoryAttack(recorder.snapshots)])
