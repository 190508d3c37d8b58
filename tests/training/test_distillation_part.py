"""Distillation: the student learns the teacher's half of the labels, all else goes by the true half."""

import keras
import numpy as np
import pytest
from support import CLASSES, LOSS, assert_same_weights, compiled, mlp, records

from mpreg.training import Distillation, LabelSmoothing, MixUpMMD, pack_labels

X, Y = records()
TEACHER = np.random.default_rng(3).dirichlet(np.ones(CLASSES), len(Y)).astype("float32")
PACKED = pack_labels(TEACHER, Y, CLASSES)
pytestmark = pytest.mark.usefixtures("seeded")


def test_labels_are_packed_as_distribution_and_true_class():
    assert PACKED.shape == (48, 2 * CLASSES) and PACKED.dtype == np.float32
    np.testing.assert_array_equal(PACKED[:, :CLASSES], TEACHER)
    np.testing.assert_array_equal(PACKED[:, CLASSES:].argmax(axis=1), Y)
    np.testing.assert_array_equal(pack_labels(TEACHER, np.eye(CLASSES)[Y], CLASSES), PACKED)


BAD = [
    ((TEACHER[:, :2], Y, CLASSES), r"shape \(48, 2\)"),
    ((TEACHER * 2, Y, CLASSES), "48 rows do not, the first is row 0"),
    ((np.log(TEACHER), Y, CLASSES), "at least 0"),
    ((TEACHER, Y[:40], CLASSES), "48 records, but there are 40"),
    ((TEACHER, Y + 1, CLASSES), "number of classes, 3"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_what_is_no_distribution_or_label_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pack_labels(*arguments)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_the_student_descends_the_cross_entropy_to_the_teacher(activation):
    plain, student = mlp(activation=activation), mlp(activation=activation)
    logits = activation is None
    compiled(plain, loss=keras.losses.CategoricalCrossentropy(from_logits=logits)).train_on_batch(X, TEACHER)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    compiled(Distillation(student), loss=loss).train_on_batch(X, PACKED)
    assert_same_weights(plain, student, atol=1e-6)


KINDS = {
    "integers": ({}, LOSS, Y),
    "one-hot": ({}, "categorical_crossentropy", np.eye(CLASSES, dtype="float32")[Y]),
    "one unit": (
        {"units": 1, "activation": "sigmoid"},
        "binary_crossentropy",
        (Y % 2)[:, None].astype("float32"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_and_evaluation_judge_true_labels(kind):
    options, loss, labels = KINDS[kind]
    classes = 2 if kind == "one unit" else CLASSES
    sure = np.eye(classes, dtype="float32")[np.zeros(48, int)]  # a teacher that is sure of the first class
    packed = pack_labels(sure, Y % classes, classes)
    model = compiled(Distillation(mlp(**options)), 0.0, loss, metrics=["accuracy"])
    plain = compiled(mlp(**options), 0.0, loss, metrics=["accuracy"])
    expected = plain.evaluate(X, labels, verbose=0, return_dict=True)
    logs = model.fit(X, packed, batch_size=48, verbose=0, validation_data=(X, labels)).history
    assert logs["accuracy"][0] == pytest.approx(expected["accuracy"])
    assert abs(logs["loss"][0] - expected["loss"]) > 1e-2  # the teacher's
    assert [logs["val_accuracy"][0], logs["val_loss"][0]] == pytest.approx(
        [expected["accuracy"], expected["loss"]], rel=1e-5
    )
    assert model.evaluate(X, packed, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_blends_are_of_the_teachers_answers():
    model = compiled(Distillation(MixUpMMD(mlp(), mmd_weight=0)), 0.0)
    mixing = model.parts[0]
    share, partner = (part.numpy() for part in mixing._draw(np.ones(48, "float32")))
    mixing.step.assign(0)
    blends = share * X + (1 - share) * X[partner]
    labels = share * TEACHER + (1 - share) * TEACHER[partner]
    answers = np.asarray(model(blends))
    expected = np.mean(-np.sum(labels * np.log(answers), axis=1))
    assert model.train_on_batch(X, PACKED) == pytest.approx(expected, rel=1e-5)


def test_the_gap_is_measured_on_true_labels():
    target = mlp()
    right = np.asarray(target(X)).argmax(axis=1)
    model = compiled(Distillation(MixUpMMD(target, (X, (right + 1) % CLASSES), alpha=None, gap=1.0)), 0.0)
    wrong_teacher = np.eye(CLASSES)[(right + 1) % CLASSES]
    labels = pack_labels(wrong_teacher, right, CLASSES)
    history = model.fit(X, labels, epochs=2, batch_size=48, verbose=0).history
    assert history["mmd_charged"] == [0, 1]


def test_labels_that_are_not_packed_are_refused():
    with pytest.raises(ValueError, match=r"pack_labels.*\(48,\)"):
        compiled(Distillation(mlp())).train_on_batch(X, Y)
    wide = pack_labels(np.full((48, 5), 0.2), Y, 5)
    with pytest.raises(ValueError, match="5 classes, but the target has 3"):
        compiled(Distillation(mlp())).train_on_batch(X, wide)


def test_class_weights_are_refused():
    with pytest.raises(ValueError, match="sample_weight instead of class_weight"):
        compiled(Distillation(mlp())).fit(X, PACKED, class_weight={0: 2.0, 1: 1.0, 2: 1.0}, verbose=0)


def test_only_one_defence_says_what_the_labels_are():
    with pytest.raises(ValueError, match="both decide the labels"):
        LabelSmoothing(Distillation(mlp()), smoothing=0.1)


def test_a_reloaded_student_goes_on(tmp_path):
    model = compiled(Distillation(mlp()))
    model.train_on_batch(X, PACKED)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    model.reset_metrics()  # before Keras 3.13 they go on from batch to batch
    assert again.train_on_batch(X, PACKED) == pytest.approx(model.train_on_batch(X, PACKED), rel=1e-6)
    assert_same_weights(model, again, atol=1e-7)
