"""MixUp and MMD: blends and their labels, the discrepancy written out, and the gate between them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import stats
from support import CLASSES, FEATURES, LOSS, assert_same_weights, at_rest, compiled, mlp, records, weights_of

from mpreg.training import MixUpMMD
from mpreg.training.core.fitting import Members
from mpreg.training.mmd.discrepancy import Discrepancy, class_discrepancy
from mpreg.training.mmd.matched import MatchedReference
from mpreg.training.mmd.mixing import Mixing

REFERENCE = records(seed=9)
pytestmark = pytest.mark.usefixtures("seeded")


def step_of(model, *data, **options):
    return model.train_on_batch(*data, return_dict=True, **options)


# MixUp.


def first_draw(model, present):
    """The share and the partners that the next step will draw."""
    mixing = model.parts[0]
    share, partner = mixing._draw(tf.constant(present, tf.float32))
    mixing.step.assign_sub(1)
    return float(share), partner.numpy()


def cross_entropies(target, x, y):
    """Of each record, by NumPy, with two classes where the target has one unit."""
    answers = np.asarray(target(x)).astype("float64")
    if target.layers[-1].activation is keras.activations.linear:
        answers = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    if answers.shape[1] == 1:
        answers = np.concatenate([1 - answers, answers], axis=1)
    return -np.log(answers[np.arange(len(y)), y])


KINDS = {
    "integers": ({}, LOSS, lambda y: y),
    "a column of integers": ({}, LOSS, lambda y: y[:, None]),
    "one-hot": ({}, "categorical_crossentropy", lambda y: np.eye(CLASSES, dtype="float32")[y]),
    "logits": (
        {"activation": None},
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        lambda y: y,
    ),
    "one unit": (
        {"units": 1, "activation": "sigmoid"},
        keras.losses.BinaryCrossentropy(),
        lambda y: y[:, None].astype("float32"),
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_blend_is_the_blend_of_the_losses(kind, weighted):
    options, loss, form = KINDS[kind]
    x, y = records(classes=2 if kind == "one unit" else CLASSES)
    weights = np.where(np.arange(48) < 12, 0.0, np.linspace(0.5, 2, 48)) if weighted else np.ones(48)
    model = at_rest(MixUpMMD(mlp(**options), mmd_weight=0), loss=loss)
    share, partner = first_draw(model, weights != 0)
    assert 0.02 < share < 0.98
    blends = share * x + (1 - share) * x[partner]
    own, other = (cross_entropies(model.target_model, blends, labels) for labels in (y, y[partner]))
    expected = np.mean(share * weights * own + (1 - share) * weights[partner] * other)
    given = {"sample_weight": weights} if weighted else {}
    assert step_of(model, x, form(y), **given)["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_sum_is_a_sum():
    losses = [
        step_of(
            at_rest(
                MixUpMMD(mlp(), mmd_weight=0),
                loss=keras.losses.SparseCategoricalCrossentropy(reduction=reduction),
            ),
            *records(),
        )["loss"]
        for reduction in ("sum", "sum_over_batch_size")
    ]
    assert losses[0] == pytest.approx(48 * losses[1], rel=1e-5)


def test_metrics_judge_a_blend_by_the_label_of_which_it_has_more():
    x, y = records()
    model = at_rest(MixUpMMD(mlp(), mmd_weight=0), metrics=["accuracy"])
    for _ in range(3):
        share, partner = first_draw(model, np.ones(48))
        blends = share * x + (1 - share) * x[partner]
        labels = y if share >= 0.5 else y[partner]
        expected = np.mean(np.asarray(model(blends)).argmax(axis=1) == labels)
        model.reset_metrics()
        assert step_of(model, x, y)["accuracy"] == pytest.approx(expected)


def test_blends_that_are_pure_are_plain_training():
    plain, target = mlp(normalize=True), mlp(normalize=True)
    compiled(plain, 0.1).fit(*records(), batch_size=24, shuffle=False, verbose=0)
    mixing = Mixing(alpha=1e-3)
    assert np.mean((mixing._quantiles > 1e-6) & (mixing._quantiles < 1 - 1e-6)) < 0.05
    mixing._quantiles[:] = 1.0
    model = MixUpMMD(target, mmd_weight=0)
    model.parts[0]._quantiles = mixing._quantiles
    compiled(model, 0.1).fit(*records(), batch_size=24, shuffle=False, verbose=0)
    assert_same_weights(plain, target, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha):
    mixing = Mixing(alpha=alpha, seed=3)
    assert stats.kstest(mixing._quantiles, stats.beta(alpha, alpha).cdf).statistic < 1e-2
    shares = [float(mixing._draw(tf.ones(1))[0]) for _ in range(12)]
    ranks = np.searchsorted(mixing._quantiles, shares)
    assert stats.kstest(ranks / len(mixing._quantiles), "uniform").pvalue > 0.001 and len(set(shares)) > 10


def test_everyone_is_once_the_partner_of_another_and_padding_of_padding():
    present = np.arange(40) % 4 != 0
    mixing = Mixing(alpha=1.0)
    partners = [mixing._draw(tf.constant(present, tf.float32))[1].numpy() for _ in range(3)]
    for partner in partners:
        np.testing.assert_array_equal(np.sort(partner), np.arange(40))
        np.testing.assert_array_equal(present[partner], present)
    assert np.any(partners[0] != partners[1])


def test_inputs_of_several_arrays_are_blended_alike():
    x, y = records()
    left, right = keras.Input((FEATURES,), name="left"), keras.Input((FEATURES,), name="right")
    joined = layers.Subtract()([left, right])
    target = keras.Model({"left": left, "right": right}, layers.Dense(CLASSES, "softmax")(joined))
    model = at_rest(MixUpMMD(target, mmd_weight=0))
    # Equal arrays stay equal when blended alike, so that nothing but the bias is seen.
    assert step_of(model, {"left": x, "right": x}, y)["loss"] == pytest.approx(np.log(CLASSES), rel=1e-5)


def test_whole_numbers_cannot_be_blended():
    target = keras.Sequential(
        [keras.Input((FEATURES,), dtype="int32"), layers.Embedding(5, 2), layers.Flatten()]
    )
    target.add(layers.Dense(CLASSES, "softmax"))
    x, y = records()
    with pytest.raises(ValueError, match="int32.*alpha=0"):
        step_of(at_rest(MixUpMMD(target, mmd_weight=0)), np.abs(x).astype("int32"), y)


# MMD.


def written_out(members, others, classes, present, bandwidths=(1.0,)):
    """Within-class discrepancies, pair by pair, weighted by the class' share."""

    def kernel(a, b):
        return np.mean([np.exp(-np.sum((a - b) ** 2) / (2 * s**2)) for s in bandwidths])

    total, rows = 0.0, np.flatnonzero(present)
    for label in np.unique(classes[rows]):
        own = [row for row in rows if classes[row] == label]
        pairs = [
            kernel(members[i], members[j]) + kernel(others[i], others[j]) - 2 * kernel(members[i], others[j])
            for i in own
            for j in own
        ]
        total += len(own) / len(rows) * np.mean(pairs)
    return total


def answers(count, classes, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), count).astype("float32")


@pytest.mark.parametrize("bandwidths", [(1.0,), (0.1, 0.5, 2.0)])
def test_the_discrepancy_is_that_of_a_double_loop(bandwidths):
    members, others = answers(12, 4, 0), answers(12, 4, 1)
    classes = np.random.default_rng(2).integers(0, 4, 12)
    present = np.arange(12) % 5 != 0
    found = class_discrepancy(
        members, others, np.eye(4, dtype="float32")[classes], present.astype("float32"), bandwidths
    )
    expected = written_out(members, others, classes, present, bandwidths)
    assert float(found) == pytest.approx(expected, rel=1e-4) and expected > 1e-3


def test_equal_answers_have_no_discrepancy_and_nobody_has_none():
    members = answers(12, 4, 0)
    one_hot = np.eye(4, dtype="float32")[np.arange(12) % 4]
    for present in (np.ones(12, "float32"), np.zeros(12, "float32")):
        assert abs(float(class_discrepancy(members, members, one_hot, present, (1.0,)))) < 1e-6


def test_members_are_matched_with_every_reference_record_of_their_class():
    x = np.arange(30, dtype="float32").reshape(-1, 1)
    y = np.arange(30) % 3  # there is none of class 3
    source = MatchedReference((x, y), 4)
    classes = tf.constant(np.tile([0, 1, 2, 3], 150))
    rows, known = (part.numpy().ravel() for part in source.match(classes, 7, 0))
    np.testing.assert_array_equal(known, classes < 3)
    drawn = rows[known == 1].astype(int)
    np.testing.assert_array_equal(drawn % 3, classes[classes < 3])
    assert set(drawn) == set(range(30))
    np.testing.assert_array_equal(source.match(classes, 7, 0)[0], rows[:, None])
    assert np.any(source.match(classes, 8, 0)[0] != rows[:, None])


def matching(target, reference=REFERENCE, **options):
    return MixUpMMD(target, reference, **{"alpha": 0, "gap": 0, "mmd_weight": 2.0, **options})


def test_a_charged_step_descends_the_discrepancy_of_clean_answers():
    """Also: answers on reference records are held fixed, and neither pass leaves a trace in the batch statistics."""
    x, y = records()
    reference = REFERENCE[0][:CLASSES], np.arange(CLASSES)  # one a class: every draw is the same
    expected, target = (mlp(normalize=True) for _ in range(2))
    for model in (expected, target):
        model.layers[1].set_weights([np.full(8, v, "float32") for v in (1, 0, 0.5, 4)])
    with tf.GradientTape() as tape:
        answers = expected(x, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, answers))
        others = tf.constant(expected(reference[0][y], training=False).numpy())
        ahead = expected(x, training=False)
        mmd = class_discrepancy(ahead, others, tf.one_hot(y, CLASSES), tf.ones(48), (1.0,))
        total = loss + 2.0 * mmd
    variables = expected.trainable_variables
    for variable, slope in zip(variables, tape.gradient(total, variables), strict=True):
        variable.assign_sub(0.5 * slope)
    logs = step_of(compiled(matching(target, reference), 0.5), x, y)
    assert logs["mmd"] == pytest.approx(float(mmd), rel=1e-4) and float(mmd) > 1e-3
    assert logs["loss"] == pytest.approx(float(total), rel=1e-5)
    assert_same_weights(expected, target, atol=1e-6)


def test_a_class_that_the_reference_lacks_takes_no_part():
    x, y = records()
    reference = REFERENCE[0][:1], np.array([1])
    logs = step_of(at_rest(matching(mlp(), reference)), x, y)
    target = mlp()
    members = np.asarray(target(x[y == 1]))
    others = np.repeat(np.asarray(target(reference[0])), len(members), axis=0)
    expected = written_out(members, others, np.ones(len(members), int), np.ones(len(members)))
    assert logs["mmd"] == pytest.approx(expected, rel=1e-3)


# The gate.


def labelled(target, seed, *, right):
    """Records that a target answers rightly, or none of them."""
    x, _ = records(seed=seed)
    answers = np.asarray(target(x)).argmax(axis=1)
    return x, answers if right else (answers + 1) % CLASSES


@pytest.mark.parametrize(
    ("members_right", "reference_right", "gap", "charged"),
    [(True, False, 1.0, [0, 1]), (False, True, 0.03, [0, 0]), (True, True, 0, [1, 1])],
)
def test_the_penalty_is_charged_in_epochs_that_follow_a_gap(members_right, reference_right, gap, charged):
    target = mlp()
    members, reference = (
        labelled(target, seed, right=right) for seed, right in ((1, members_right), (2, reference_right))
    )
    model = at_rest(matching(target, reference, gap=gap))
    history = model.fit(*members, epochs=2, batch_size=48, verbose=0).history
    assert history["mmd_charged"] == charged
    assert [value > 0 for value in history["mmd"]] == [bool(each) for each in charged]


def test_the_gate_closes_when_the_gap_does():
    target = mlp()
    model = at_rest(matching(target, labelled(target, 2, right=True), gap=0.5))
    model.parts[0].charging.assign(1.0)
    history = model.fit(*labelled(target, 1, right=True), epochs=2, batch_size=48, verbose=0).history
    assert history["mmd_charged"] == [1, 0]


@pytest.mark.parametrize("form", ["arrays", "dataset", "sequence"])
def test_the_members_that_are_measured_are_those_of_fit(form):
    x, y = records()
    whole = {"x": x, "y": y}
    if form == "dataset":
        whole = {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(10), "y": None}
    elif form == "sequence":
        whole = {"x": Sequence(x, y), "y": None}
    found_x, found_y = Members(**whole)(1000)
    np.testing.assert_array_equal(found_x, x)
    np.testing.assert_array_equal(found_y, y)
    few, _ = Members(**whole)(20)
    assert len(few) == 20


def test_records_that_keras_validates_on_are_no_members():
    x, y = records()
    found, _ = Members(x, y, validation_split=0.25)(1000)
    np.testing.assert_array_equal(found, x[:36])


class Sequence(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return self.x[index * 10 : index * 10 + 10], self.y[index * 10 : index * 10 + 10]


def test_a_generator_cannot_be_measured():
    model = at_rest(matching(mlp(), gap=0.1))
    with pytest.raises(ValueError, match="generator.*gap=0"):
        model.fit((records(8, seed=i) for i in range(3)), steps_per_epoch=1, verbose=0)
    at_rest(matching(mlp())).fit((records(8, seed=i) for i in range(3)), steps_per_epoch=2, verbose=0)


# The door.

BAD = [
    ({"alpha": -1.0}, "alpha=-1.0"),
    ({"alpha": float("nan")}, "nan"),
    ({"mmd_weight": -1}, "mmd_weight=-1"),
    ({"mmd_weight": "3"}, "'3'"),
    ({"gap": 1.5}, "gap=1.5"),
    ({"bandwidths": ()}, "bandwidths=()"),
    ({"bandwidths": (1.0, 0.0)}, "bandwidths=0.0"),
    ({"bandwidths": 1.0}, "bandwidths=1.0"),
    ({"seed": -1}, "seed=-1"),
    ({"reference": None}, "mmd_weight=0"),
    ({"alpha": None, "mmd_weight": 0}, "nothing to do"),
    ({"reference": (np.zeros((4, FEATURES)), np.full(4, CLASSES))}, "label of 3"),
    ({"reference": (np.zeros((4, FEATURES + 1)), np.zeros(4, int))}, "(1, 7)"),
    ({"reference": tf.data.Dataset.from_tensor_slices(REFERENCE).repeat()}, "infinite"),
    ({"target": "resnet"}, "'resnet'"),
]


@pytest.mark.parametrize(("bad", "quoted"), BAD, ids=[quoted for _, quoted in BAD])
def test_bad_options_are_quoted(bad, quoted):
    options = {"target": mlp(), "reference": REFERENCE, **bad}
    with pytest.raises(ValueError) as caught:
        MixUpMMD(options.pop("target"), options.pop("reference"), **options)
    assert quoted in str(caught.value)


def test_a_finite_dataset_is_read_as_reference():
    dataset = tf.data.Dataset.from_tensor_slices(REFERENCE).batch(7)
    logs = [
        step_of(at_rest(matching(mlp(), reference)), *records())["mmd"] for reference in (REFERENCE, dataset)
    ]
    assert logs[0] == logs[1] > 0


def test_the_config_of_the_part_makes_an_equal_part():
    part = Discrepancy(classes=3, weight=2.0, gap=0.1, bandwidths=(1, 2), seed=4)
    assert Discrepancy.from_config(part.get_config()).get_config() == part.get_config()
    assert weights_of(part)[0] == 0 and float(part.charging) == 0
