"""RelaxLoss, HAMP, label smoothing and the confidence penalty: their formulas, written out in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import CLASSES, LOSS, assert_same_weights, at_rest, compiled, mlp, records, weights_of

from mpreg.training import (
    HAMP,
    AdversarialRegularization,
    ConfidencePenalty,
    ConvexConcaveLoss,
    LabelSmoothing,
    MixUpMMD,
    RelaxLoss,
    preset,
    presets,
)
from mpreg.training.core.soft_labels import confidence_of_entropy

X, Y = records()
pytestmark = pytest.mark.usefixtures("seeded")


def loss_of(model, y=Y, **options):
    """The loss of one training step of a target at rest."""
    return at_rest(model, **options).train_on_batch(X, y)


@pytest.fixture(scope="module")
def answers():
    return np.asarray(mlp()(X)).astype("float64")


def cross_entropy(labels, answers):
    return -np.sum(labels * np.log(answers), axis=1)


# RelaxLoss.


def flattened(answers, upper):
    """The soft labels of the authors' code."""
    soft = np.zeros_like(answers)
    for row, label in enumerate(Y):
        confidence = min(answers[row, label], upper)
        soft[row] = (1 - confidence) / (CLASSES - 1)
        soft[row, label] = confidence
    return soft


@pytest.mark.parametrize("flatten", ["all", "wrong"])
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("level", [0.3, 5.0])
def test_relaxloss_is_that_of_the_authors_code(answers, flatten, odd, level):
    losses = cross_entropy(np.eye(CLASSES)[Y], answers)
    mean = losses.mean()
    assert 0.3 < mean < 5.0
    if not odd:
        expected = abs(mean - level)
    elif mean > level:
        expected = mean
    else:
        soft = cross_entropy(flattened(answers, 0.4), answers)
        wrong = answers.argmax(axis=1) != Y
        assert 0.1 < wrong.mean() < 0.9
        expected = np.mean(soft) if flatten == "all" else np.mean(wrong * soft - losses)
    model = RelaxLoss(mlp(), alpha=level, upper=0.4, flatten=flatten)
    model.parts[0].epochs.assign(3 if odd else 2)
    assert loss_of(model) == pytest.approx(expected, rel=1e-5)


def test_below_the_level_even_epochs_ascend():
    plain, target = mlp(), mlp()
    start = weights_of(plain)
    compiled(plain, 0.1).train_on_batch(X, Y)
    compiled(RelaxLoss(target, alpha=9.0), 0.1).train_on_batch(X, Y)
    for before, down, up in zip(start, weights_of(plain), weights_of(target), strict=True):
        np.testing.assert_allclose(up - before, before - down, atol=1e-6)


def test_the_gradient_goes_through_the_soft_labels_up_to_the_clip():
    target, twin = mlp(), mlp()
    model = RelaxLoss(target, alpha=9.0, upper=0.4)
    model.parts[0].epochs.assign(1)
    compiled(model, 0.1).train_on_batch(X, Y)
    true = tf.one_hot(Y, CLASSES)
    with tf.GradientTape() as tape:
        answers = twin(X, training=True)
        confidence = tf.minimum(tf.reduce_sum(answers * true, axis=1, keepdims=True), 0.4)
        soft = true * confidence + (1 - true) * (1 - confidence) / (CLASSES - 1)
        loss = tf.reduce_mean(-tf.reduce_sum(soft * tf.math.log(answers), axis=1))
    for variable, slope in zip(twin.weights, tape.gradient(loss, twin.weights), strict=True):
        variable.assign_sub(0.1 * slope)
    assert_same_weights(target, twin, atol=1e-6)


def test_epochs_count_over_calls_of_fit_and_are_saved(tmp_path):
    model = at_rest(RelaxLoss(mlp(), alpha=9.0))
    losses = [model.fit(X, Y, batch_size=48, verbose=0).history["loss"][0] for _ in range(3)]
    assert losses[0] == pytest.approx(losses[2]) and abs(losses[0] - losses[1]) > 0.1
    model.save(tmp_path / "model.keras")
    again = at_rest(keras.saving.load_model(tmp_path / "model.keras"))
    assert again.fit(X, Y, batch_size=48, verbose=0).history["loss"][0] == pytest.approx(losses[1])


@pytest.mark.parametrize("loss", ["mse", keras.losses.SparseCategoricalCrossentropy(reduction="sum")])
def test_relaxloss_needs_a_mean_cross_entropy(loss):
    model = at_rest(RelaxLoss(mlp(), alpha=1.0, from_logits=False), loss=loss)
    with pytest.raises(ValueError, match="cross-entropy" if loss == "mse" else "reduction"):
        model.train_on_batch(X, np.eye(CLASSES)[Y] if loss == "mse" else Y)


def test_sample_weights_count_in_the_flattening(answers):
    weights = np.linspace(0, 2, 48)
    model = RelaxLoss(mlp(), alpha=9.0, upper=0.4, flatten="wrong")
    model.parts[0].epochs.assign(1)
    losses = cross_entropy(np.eye(CLASSES)[Y], answers)
    soft = cross_entropy(flattened(answers, 0.4), answers)
    wrong = answers.argmax(axis=1) != Y
    found = at_rest(model).train_on_batch(X, Y, sample_weight=weights)
    assert found == pytest.approx(np.mean(weights * (wrong * soft - losses)), rel=1e-5)


# Soft labels and entropy.


@pytest.mark.parametrize("classes", [2, 3, 30, 100])
@pytest.mark.parametrize("gamma", [0.05, 0.5, 0.95])
def test_a_label_has_the_entropy_that_is_asked(classes, gamma):
    confidence = confidence_of_entropy(gamma * np.log(classes), classes)
    label = np.full(classes, (1 - confidence) / (classes - 1))
    label[0] = confidence
    assert label.argmax() == 0 and label.min() > 0
    assert -np.sum(label * np.log(label)) == pytest.approx(gamma * np.log(classes), rel=1e-6)


def entropy(answers):
    return -np.sum(answers * np.log(answers), axis=1)


def test_hamp_is_the_divergence_from_its_labels_less_the_entropy_of_the_answers(answers):
    confidence = confidence_of_entropy(0.6 * np.log(CLASSES), CLASSES)
    rest = (1 - confidence) / (CLASSES - 1)
    labels = np.where(np.eye(CLASSES)[Y] == 1, confidence, rest)
    divergence = np.sum(labels * np.log(labels / answers), axis=1)
    expected = np.mean(divergence - 0.7 * entropy(answers))
    found = loss_of(HAMP(mlp(), gamma=0.6, alpha=0.7)) - 0.6 * np.log(
        CLASSES
    )  # the labels' entropy, a constant
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_confidence_penalty_is_the_loss_less_the_entropy(answers):
    expected = np.mean(cross_entropy(np.eye(CLASSES)[Y], answers) - 0.3 * entropy(answers))
    assert loss_of(ConfidencePenalty(mlp(), weight=0.3)) == pytest.approx(expected, rel=1e-5)


def test_the_convex_concave_loss_is_that_of_its_paper(answers):
    true = answers[np.arange(len(Y)), Y]
    expected = 0.05 * np.mean(0.4 * -np.log(true) - 0.6 * np.exp(true))
    assert loss_of(ConvexConcaveLoss(mlp(), alpha=0.4)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_is_that_of_keras_also_on_integers():
    smooth = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    plain, integers, one_hot = mlp(), mlp(), mlp()
    compiled(plain, 0.1, smooth).train_on_batch(X, np.eye(CLASSES)[Y])
    compiled(LabelSmoothing(integers, smoothing=0.2), 0.1).train_on_batch(X, Y)
    model = compiled(LabelSmoothing(one_hot, smoothing=0.2), 0.1, "categorical_crossentropy")
    model.train_on_batch(X, np.eye(CLASSES, dtype="float32")[Y])
    assert_same_weights(plain, integers, atol=1e-6)
    assert_same_weights(plain, one_hot, atol=1e-6)


WRAPPERS = {
    "hamp": lambda target: HAMP(target, gamma=0.6, alpha=0.7),
    "smoothing": lambda target: LabelSmoothing(target, smoothing=0.2),
    "entropy": lambda target: ConfidencePenalty(target, weight=0.3),
    "concave": lambda target: ConvexConcaveLoss(target, alpha=0.4, scale=1.0),
    "relaxed": lambda target: RelaxLoss(target, alpha=9.0, upper=0.4),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_one_unit_is_two_classes_of_which_it_is_the_second(name):
    one, two = mlp(units=1, activation="sigmoid"), mlp(units=2)
    kernel, bias, last, _ = weights_of(one)
    two.set_weights([kernel, bias, np.concatenate([0 * last, last], axis=1), np.zeros(2, "float32")])
    y = Y % 2
    models = [WRAPPERS[name](target) for target in (one, two)]
    for model in models:
        for part in model.parts:
            if name == "relaxed":
                part.epochs.assign(1)
    losses = [
        loss_of(model, labels, loss=loss)
        for model, labels, loss in zip(
            models, (y[:, None].astype("float32"), y), ("binary_crossentropy", LOSS), strict=True
        )
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


# Published options.

CLASS = {
    "advreg": lambda target, **options: AdversarialRegularization(target, records(seed=9), **options),
    "mixup-mmd": lambda target, **options: MixUpMMD(target, records(seed=9), **options),
    "relaxloss": RelaxLoss,
    "hamp": HAMP,
}


@pytest.mark.parametrize(("defence", "dataset"), sorted(presets()))
def test_a_preset_is_options_of_its_class_with_a_source(defence, dataset):
    known = presets()[defence, dataset]
    assert "20" in known.source
    assert CLASS[defence](mlp(), **preset(defence, dataset)).parts
    with pytest.raises((TypeError, AttributeError)):
        known.options["alpha"] = 1.0
    preset(defence, dataset).clear()
    assert preset(defence, dataset) == dict(known.options)


@pytest.mark.parametrize("asked", [("selena", "purchase100"), ("hamp", "imagenet")])
def test_an_unknown_preset_lists_those_there_are(asked):
    with pytest.raises(ValueError, match=f"'{asked[0]}' on '{asked[1]}'.*hamp for location30"):
        preset(*asked)


# The door.

BAD = [
    (lambda: RelaxLoss(mlp(), alpha=-1), "alpha=-1"),
    (lambda: RelaxLoss(mlp(), alpha=1.0, upper=0), "upper=0"),
    (lambda: RelaxLoss(mlp(), alpha=1.0, upper=1.5), "upper=1.5"),
    (lambda: RelaxLoss(mlp(), alpha=1.0, flatten="none"), "flatten='none'"),
    (lambda: HAMP(mlp(), gamma=1.0, alpha=0.1), "gamma=1.0"),
    (lambda: HAMP(mlp(), gamma=0.5, alpha=-0.1), "alpha=-0.1"),
    (lambda: LabelSmoothing(mlp(), smoothing=1.0), "smoothing=1.0"),
    (lambda: LabelSmoothing(mlp(), smoothing=True), "smoothing=True"),
    (lambda: ConvexConcaveLoss(mlp(), alpha=0), "alpha=0"),
    (lambda: ConvexConcaveLoss(mlp(), scale=-1), "scale=-1"),
    (lambda: ConfidencePenalty(mlp(), weight=float("inf")), "weight=inf"),
    (lambda: ConfidencePenalty("resnet", weight=0.1), "'resnet'"),
]


@pytest.mark.parametrize(("make", "quoted"), BAD, ids=[quoted for _, quoted in BAD])
def test_bad_options_are_quoted(make, quoted):
    with pytest.raises(ValueError) as caught:
        make()
    assert quoted in str(caught.value)


@pytest.mark.parametrize("name", WRAPPERS)
def test_config_makes_an_equal_model(name):
    model = WRAPPERS[name](mlp())
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    assert loss_of(again) == loss_of(model)
