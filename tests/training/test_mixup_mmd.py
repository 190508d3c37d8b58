"""MixUp and MMD: blends and their labels, the discrepancy written out, and the gate between them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import stats
from support import (
    CLASSES,
    FEATURES,
    LOSS,
    assert_same_weights,
    at_rest,
    compiled,
    fit,
    mlp,
    records,
    weights_of,
)

from mpreg.training import MixUpMMD
from mpreg.training.core.fitting import Members
from mpreg.training.mmd.discrepancy import Discrepancy
from mpreg.training.mmd.kernel import squared_discrepancy
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


def written_out(members, others, bandwidths=(1.0,)):
    """The biased discrepancy of two samples, pair by pair, in float64."""

    def kernel(a, b):
        pairs = [[np.sum((one - other) ** 2) for other in b] for one in a]
        return np.mean([np.exp(-np.array(pairs) / (2 * s**2)) for s in bandwidths])

    return kernel(members, members) + kernel(others, others) - 2 * kernel(members, others)


def answers(count, classes, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), count).astype("float32")


@pytest.mark.parametrize("bandwidths", [(1.0,), (0.1, 0.5, 2.0)])
def test_the_discrepancy_is_that_of_a_double_loop(bandwidths):
    members, others = answers(12, 4, 0), answers(12, 4, 1)
    present = np.arange(12) % 5 != 0
    found = squared_discrepancy(members, others, present.astype("float32"), bandwidths)
    expected = written_out(members[present], others[present], bandwidths)
    assert float(found) == pytest.approx(expected, rel=1e-4) and expected > 1e-3


def test_equal_answers_have_no_discrepancy_and_nobody_has_none():
    members = answers(12, 4, 0)
    for present in (np.ones(12, "float32"), np.zeros(12, "float32")):
        assert abs(float(squared_discrepancy(members, members, present, (1.0,)))) < 1e-6


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


class Written:
    """The authors' procedure by NumPy, for a linear softmax classifier and plain SGD.

    An epoch is a pass over the members in their order on the cross-entropy. A pass over them sorted by class follows,
    but not after the last epoch, where training and validation accuracy are `gap` apart: on the weight times the
    biased discrepancy between a batch and as many validation records of the same classes.
    """

    def __init__(self, kernel, bias, *, rate, weight, gap, batch):
        self.kernel, self.bias = kernel.astype(float), bias.astype(float)
        self.rate, self.weight, self.gap, self.batch = rate, weight, gap, batch
        self.taken = []

    def answers(self, x):
        scores = np.exp(x @ self.kernel + self.bias)
        return scores / scores.sum(axis=1, keepdims=True)

    def accuracy(self, x, y):
        return np.mean(self.answers(x).argmax(axis=1) == y)

    def fit(self, x, y, validation, epochs):
        x_of_class, labels = validation  # one record a class, so that a random draw is this one
        order = np.argsort(y, kind="stable")
        for epoch in range(epochs):
            for at in range(0, len(y), self.batch):
                rows = slice(at, at + self.batch)
                self.descend(x[rows], self.answers(x[rows]) - np.eye(CLASSES)[y[rows]], len(y[rows]))
            apart = abs(self.accuracy(x, y) - self.accuracy(x_of_class, labels))
            self.taken.append(bool(apart >= self.gap) and epoch < epochs - 1)
            if self.taken[-1]:
                for at in range(0, len(y), self.batch):
                    rows = order[at : at + self.batch]
                    self.match(x[rows], self.answers(x_of_class[y[rows]]))

    def match(self, x, others):
        p, n = self.answers(x), len(x)
        slope = np.zeros_like(p)  # of the discrepancy by the answers: mean over pairs, kernel exp(-d^2 / 2)
        for i in range(n):
            for j in range(n):
                slope[i] -= 2 * np.exp(-np.sum((p[i] - p[j]) ** 2) / 2) * (p[i] - p[j]) / n**2
                slope[i] += 2 * np.exp(-np.sum((p[i] - others[j]) ** 2) / 2) * (p[i] - others[j]) / n**2
        slope *= self.weight
        self.descend(x, p * (slope - np.sum(slope * p, axis=1, keepdims=True)), 1)

    def descend(self, x, slope, count):
        self.kernel -= self.rate * x.T @ slope / count
        self.bias -= self.rate * slope.sum(axis=0) / count


@pytest.mark.parametrize("gap", [0.0, 0.3, 1.0])
def test_training_is_the_authors_procedure_written_out(gap):
    """Batches of members, sorted or not, whose last one is smaller; the gate opens for some epochs, all or none."""
    x, y = records(50)
    validation = REFERENCE[0][:CLASSES], np.arange(CLASSES)
    target = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(CLASSES, "softmax")])
    written = Written(*target.get_weights(), rate=0.3, weight=10.0, gap=gap, batch=16)
    written.fit(x, y, validation, epochs=6)
    model = compiled(matching(target, validation, gap=gap, mmd_weight=10.0), 0.3, run_eagerly=False)
    history = model.fit(x, y, epochs=6, batch_size=16, shuffle=False, verbose=0).history
    assert history["mmd_charged"] == [0, *written.taken[:-1]]
    assert {0.0: 5, 1.0: 0}.get(gap, sum(written.taken)) == sum(written.taken)
    assert gap in (0.0, 1.0) or 0 < sum(written.taken) < 5
    for mine, expected in zip(weights_of(target), (written.kernel, written.bias), strict=True):
        np.testing.assert_allclose(mine, expected, atol=2e-5)


def pass_over(model, data, **options):
    """The logs of an epoch that begins with a pass."""
    model.parts[-1].charging.assign(1.0)
    return {name: values[0] for name, values in fit(model, data=data, **options).items()}


def test_a_pass_leaves_batch_statistics_and_dropout_alone():
    """Also: its answers are without Dropout and by the running statistics, and it moves the target."""
    x, y = records()
    reference = REFERENCE[0][:CLASSES], np.arange(CLASSES)
    target = mlp(normalize=True, dropout=0.5)
    before = [variable.numpy() for variable in target.non_trainable_variables]
    model = compiled(matching(target, reference), 0.5)
    control = model.parts[0].control(Members(x, y, batch_size=48))
    control.set_model(model)
    expected = written_out(target(x).numpy(), target(reference[0][y]).numpy())
    was = weights_of(target)
    model.parts[0].charging.assign(1.0)
    control.on_epoch_begin(1)
    assert float(model.parts[0].discrepancy.result()) == pytest.approx(expected, rel=1e-3) and expected > 1e-3
    assert any((one != other).any() for one, other in zip(was, weights_of(target), strict=True))
    for variable, value in zip(target.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("form", ["a missing class", "padding", "another label form"])
def test_who_takes_no_part_changes_nothing(form):
    x, y = records()
    reference = REFERENCE[0][:CLASSES], np.arange(CLASSES)
    own, options = y, {}
    if form == "a missing class":
        reference, own = (reference[0][:2], reference[1][:2]), y[y < 2]
        x_own = x[y < 2]
    elif form == "padding":
        x_own = x[:30]
        own, options = y[:30], {"sample_weight": np.where(np.arange(48) < 30, 1.0, np.nan)}
    else:
        x_own = x
    loss, labels = LOSS, y
    if form == "another label form":
        loss, labels = "categorical_crossentropy", np.eye(CLASSES)[y]
    target = mlp()
    logs = pass_over(at_rest(matching(target, reference), loss=loss), (x, labels), **options)
    expected = written_out(target(x_own).numpy(), target(reference[0][own]).numpy())
    assert logs["mmd"] == pytest.approx(expected, rel=1e-3) and expected > 1e-3


def test_a_schedule_of_the_rate_counts_training_steps_alone():
    for rate, counted in ((0.1, 5), (keras.optimizers.schedules.CosineDecay(0.1, 10), 3)):
        model = compiled(matching(mlp()), keras.optimizers.SGD(rate))
        fit(model, epochs=3)
        assert int(model.optimizer.iterations) == counted


def test_a_run_that_goes_on_is_one_that_never_stopped():
    """Two fits of a part each take the passes that one fit takes, with the same reference records."""
    targets = [mlp(), mlp()]
    for target, parts in zip(targets, ([(0, 4)], [(0, 2), (2, 4)]), strict=True):
        model = compiled(matching(target, gap=0.01))
        for first, last in parts:
            fit(model, initial_epoch=first, epochs=last)
    assert_same_weights(*targets)


def test_what_looks_at_the_end_of_an_epoch_sees_the_weights_that_are_kept():
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append((logs["val_loss"], self.model.evaluate(*REFERENCE, verbose=0)))

    model = compiled(matching(mlp()))
    fit(model, Look(), epochs=3, validation_data=REFERENCE)
    for validated, kept in seen:
        assert validated == pytest.approx(kept, rel=1e-6)
    assert seen[-1][1] == pytest.approx(model.evaluate(*REFERENCE, verbose=0), rel=1e-6)


def test_a_weight_of_zero_takes_no_pass():
    plain, target = mlp(), mlp()
    fit(compiled(plain), epochs=3)
    model = compiled(matching(target, mmd_weight=1.0))
    model.parts[0].strength.assign(0.0)
    assert fit(model, epochs=3)["mmd_charged"] == [0, 0, 0]
    assert_same_weights(plain, target)


# The gate.


def labelled(target, seed, *, right):
    """Records that a target answers rightly, or none of them."""
    x, _ = records(seed=seed)
    answers = np.asarray(target(x)).argmax(axis=1)
    return x, answers if right else (answers + 1) % CLASSES


@pytest.mark.parametrize(
    ("members_right", "reference_right", "gap", "charged"),
    [
        (True, False, 1.0, [0, 1]),
        (False, True, 0.03, [0, 1]),
        (True, True, 0.03, [0, 0]),
        (True, True, 0, [0, 1]),
    ],
)
def test_a_pass_is_taken_ahead_of_epochs_that_follow_a_gap(members_right, reference_right, gap, charged):
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


@pytest.mark.parametrize("gap", [0, 0.1])
def test_a_generator_cannot_be_read_ahead(gap):
    model = at_rest(matching(mlp(), gap=gap))
    with pytest.raises(ValueError, match="generator.*once only"):
        model.fit((records(8, seed=i) for i in range(3)), steps_per_epoch=1, verbose=0)


def test_a_dataset_without_end_is_read_for_an_epoch():
    x, y = records()
    dataset = tf.data.Dataset.from_tensor_slices((x, y, np.arange(48) % 2)).batch(8).repeat()
    (found, labels), size = Members(dataset, None, steps_per_epoch=6).all()
    assert size == 8
    np.testing.assert_array_equal(found, x[1::2])
    np.testing.assert_array_equal(labels, y[1::2])


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
        pass_over(at_rest(matching(mlp(), reference)), records())["mmd"] for reference in (REFERENCE, dataset)
    ]
    assert logs[0] == logs[1] > 0


def test_the_config_of_the_part_makes_an_equal_part():
    part = Discrepancy(classes=3, weight=2.0, gap=0.1, bandwidths=(1, 2), seed=4)
    assert Discrepancy.from_config(part.get_config()).get_config() == part.get_config()
    assert weights_of(part)[0] == 0 and float(part.charging) == 0
