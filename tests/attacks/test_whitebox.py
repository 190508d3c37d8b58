"""White-box attacks: what they read, what they find, and model A against model B."""

import copy
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import mpreg
from mpreg.attacks import Access, GradientNormAttack, UnsupervisedWhiteBoxAttack, WhiteBoxAttack
from mpreg.internals.reading import Choice, Reading, hashed, read_signals
from mpreg.internals.trees import MembershipTrees, short_columns

FEATURES, CLASSES, SIDE = 20, 3, 60
QUICK = {"epochs": 8, "batch_size": 32, "learning_rate": 3e-3}


def records(seed, count=2 * SIDE):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype("float32"), rng.integers(0, CLASSES, count)


def built(*, hidden=16, softmax=True):
    stack = [keras.Input((FEATURES,)), layers.Dense(hidden, "relu", name="first"), layers.Dropout(0.1)]
    stack += [layers.Dense(8, "relu"), layers.Dense(CLASSES, "softmax" if softmax else None, name="last")]
    return keras.Sequential(stack)


def trained(seed, *, hidden=16, epochs=40):
    """A model that remembers random labels, and who was a member."""
    keras.utils.set_random_seed(seed)
    (x, y), model = records(seed), built(hidden=hidden)
    split = mpreg.MembershipSplit((x[:SIDE], y[:SIDE]), None, (x[SIDE:], y[SIDE:]))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(*split.members, epochs=epochs, batch_size=16, verbose=0)
    return model, split


@pytest.fixture(scope="module")
def leaky():
    return trained(0)


@pytest.mark.parametrize("softmax", [True, False], ids=["softmax", "logits"])
def test_what_is_read_is_what_a_plain_tape_gives(softmax):
    keras.utils.set_random_seed(1)
    model, (x, y) = built(softmax=softmax), records(1, 7)
    choice = Choice(("first", -1), (1, "last"), sizes=True)
    read = read_signals(model, x, y, choice, classes=CLASSES).values
    hidden = keras.Model(model.inputs, model.get_layer("first").output)
    logits = model(x) if not softmax else np.log(model(x))
    expected = tf.nn.log_softmax(logits)
    values = np.array(hidden(x))
    np.testing.assert_allclose(read["activations of first"], values, rtol=1e-5)
    sizes = [np.linalg.norm(values, axis=1), values.max(axis=1), (values > 0).mean(axis=1)]
    np.testing.assert_allclose(read["activation sizes"][:, :3], np.transpose(sizes), rtol=1e-5)
    np.testing.assert_allclose(read["activations of last"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(read["loss"][:, 0], -expected.numpy()[np.arange(7), y], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(read["label"], np.eye(CLASSES)[y])
    variables = model.trainable_variables
    for row in range(7):
        with tf.GradientTape() as tape:
            answers = model(x[row : row + 1], training=False)
            loss = keras.losses.sparse_categorical_crossentropy(
                y[row : row + 1], answers, from_logits=not softmax
            )
        gradients = [g.numpy() for g in tape.gradient(loss, [v.value for v in variables])]
        norms = [np.linalg.norm(g) for g in gradients]
        np.testing.assert_allclose(read["gradient sizes"][row], np.log(norms), atol=2e-3)
        for name, own in (
            ("gradient of first kernel", 0),
            ("gradient of last kernel", 4),
            ("gradient of last bias", 5),
        ):
            direction = gradients[own] / norms[own]
            np.testing.assert_allclose(read[name][row].reshape(direction.shape), direction, atol=1e-5)


def test_convolutions_are_read_by_name_and_number_beside_normalization_in_inference():
    keras.utils.set_random_seed(2)
    stack = [keras.Input((6, 6, 2)), layers.Conv2D(3, 3, name="maps"), layers.BatchNormalization()]
    model = keras.Sequential([*stack, layers.Flatten(), layers.Dense(CLASSES, "softmax")])
    model.layers[1].set_weights([np.linspace(0.5, 2.0, 3)] * 4)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(4, 6, 6, 2)).astype("float32"), rng.integers(0, CLASSES, 4)
    read = read_signals(model, x, y, Choice(("maps", 2), ("maps", 2), sizes=True), classes=CLASSES).values
    maps = model.layers[0](x)
    np.testing.assert_allclose(read["activations of maps"], np.reshape(maps, (4, -1)), rtol=1e-4, atol=1e-5)
    normalized = read[f"activations of {model.layers[1].name}"]
    np.testing.assert_allclose(
        normalized, np.reshape(model.layers[1](maps, training=False), (4, -1)), rtol=1e-4
    )
    for row in range(4):
        with tf.GradientTape() as tape:
            loss = -tf.math.log(model(x[row : row + 1], training=False)[0, int(y[row])])
        gradient = tape.gradient(loss, model.layers[0].kernel.value).numpy()
        direction = (gradient / np.linalg.norm(gradient)).reshape(-1, 3)
        np.testing.assert_allclose(read["gradient of maps kernel"][row], direction, atol=1e-5)
        assert read["gradient sizes"][row, 0] == pytest.approx(np.log(np.linalg.norm(gradient)), abs=2e-3)


def test_reading_leaves_the_model_as_it_was_and_does_not_depend_on_the_batch(leaky, monkeypatch):
    model, split = leaky
    x, y = split.members
    before = [w.copy() for w in model.get_weights()]
    choice = Choice(("first",), ("last",), sizes=True)
    whole = read_signals(model, x, y, choice, classes=CLASSES).values
    monkeypatch.setattr("mpreg.internals.reading.MAX_RECORDS", 7)
    parts = read_signals(model, x, y, choice, classes=CLASSES).values
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, atol=1e-4, err_msg=name)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all("call" not in vars(layer) for layer in model.layers)


def test_hashing_keeps_lengths_and_angles_on_average():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(12, 4000)).astype("float32")
    rows[1] = rows[0] + 0.3 * rows[1]
    short = hashed(rows, 512).numpy()
    assert short.shape == (12, 512)
    scale = 4000 / np.sqrt(512)
    np.testing.assert_allclose(short @ short.T, rows @ rows.T, atol=6 * scale)
    assert (short[0] @ short[1]) / np.linalg.norm(short[0]) / np.linalg.norm(short[1]) > 0.85
    np.testing.assert_array_equal(hashed(rows, 4000), rows)


def test_trees_read_the_class_the_highest_activations_and_sizes_but_no_gradients(leaky):
    model, split = leaky
    read = read_signals(model, *split.members, Choice(("first", -1), ("last",), sizes=True), classes=CLASSES)
    columns = short_columns(read)
    np.testing.assert_array_equal(columns[:, 0], split.members[1])
    hidden, answers = (read.values[f"activations of {name}"] for name in ("first", "last"))
    rest = [read.values[name] for name in ("loss", "gradient sizes")]
    found = {tuple(np.round(row, 4)) for row in columns[:, 1:].T}
    for part in (*rest, -np.sort(-hidden, axis=1)[:, :5], -np.sort(-answers, axis=1)):
        assert {tuple(np.round(row, 4)) for row in part.T.astype(float)} <= found
    assert columns.shape[1] == 1 + sum(map(len, (range(5), range(CLASSES)))) + sum(
        read.values[name].shape[1] for name in ("loss", "gradient sizes", "activation sizes")
    )


def test_trees_weigh_both_sides_alike():
    rng = np.random.default_rng(0)
    read = Reading({"loss": rng.normal(size=(400, 2)).astype("float32")})
    few = MembershipTrees().fit(read, np.arange(400) < 80)
    assert abs(np.median(few.score(read))) < 0.7  # it tells nothing, and so must not lean to the larger side


def access_to(model, split):
    sides = split.members, split.nonmembers
    answers = mpreg.signals.read_both(*((model.predict(x, verbose=0), y) for x, y in sides))
    return Access(*answers, inputs=tuple(x for x, _ in sides), model=model)


def auc_of_the_other_half(attack, access):
    """Fitted on half of either side, judged on the other."""
    sides = np.split(attack.prepare(access), 2)
    known, judged = slice(0, SIDE // 2), slice(SIDE // 2, SIDE)
    attack.fit(*(side[known] for side in sides))
    return mpreg.metrics.auc(*(attack.score(side[judged]) for side in sides))


@pytest.mark.parametrize(
    "make",
    [lambda: WhiteBoxAttack(**QUICK), GradientNormAttack, lambda: UnsupervisedWhiteBoxAttack(epochs=8)],
)
def test_the_attacks_find_members(make, leaky):
    assert auc_of_the_other_half(make(), access_to(*leaky)) > 0.8


def test_an_evaluation_knows_which_attack_learns(leaky):
    report = mpreg.evaluate(*leaky, attacks=[GradientNormAttack(), UnsupervisedWhiteBoxAttack(epochs=1)])
    assert report.attacks["gradient norm threshold"].learns
    assert not report.attacks["white-box, unsupervised"].learns


def test_reference_records_and_canaries_are_attacked_by_who_holds_the_model_too(leaky):
    model, split = leaky
    wide = mpreg.MembershipSplit(split.members, records(3, 30), split.nonmembers)
    report = mpreg.evaluate(model, wide, attacks=[GradientNormAttack()], reference=True)
    assert "gradient norm threshold" in report.reference.attacks
    planted = mpreg.plant_canaries(split, 10, kind="mislabelled", seed=0)
    report = mpreg.evaluate(model, planted, attacks=[GradientNormAttack()])
    assert "gradient norm threshold" in report.canaries.report.attacks


@pytest.mark.parametrize("make", [lambda: WhiteBoxAttack(**QUICK), GradientNormAttack])
def test_nothing_is_found_in_a_model_that_has_learned_nothing(make, leaky):
    keras.utils.set_random_seed(5)
    assert abs(auc_of_the_other_half(make(), access_to(built(), leaky[1])) - 0.5) < 0.25


def test_an_attack_follows_its_seed_and_a_copy_holds_no_second_reading(leaky):
    model, split = leaky
    access = access_to(model, split)
    attack = WhiteBoxAttack(**QUICK)
    rows = attack.prepare(access)
    known = rows[:40], rows[SIDE : SIDE + 40]
    scores = [copy.deepcopy(attack).fit(*known, seed=seed).score(rows) for seed in (4, 4)]
    np.testing.assert_array_equal(scores[0], scores[1])
    read = read_signals(model, *split.members, Choice(), classes=CLASSES)
    assert copy.deepcopy(read) is read


def test_freezing_a_model_hides_nothing_from_who_holds_it(tmp_path):
    model, split = trained(5, epochs=2)
    scores = []
    for frozen in (False, True):
        model.trainable = not frozen
        report = mpreg.evaluate(model, split, attacks=[GradientNormAttack()])
        scores.append(np.concatenate(report.scores["gradient norm threshold"]))
    np.testing.assert_array_equal(*scores)
    assert not model.trainable_variables  # it stays as it was
    model.save(tmp_path / "frozen.keras")
    for role, (x, y) in (("members", split.members), ("others", split.nonmembers)):
        np.savez(tmp_path / f"{role}.npz", x=x, y=y)
    files = [tmp_path / name for name in ("frozen.keras", "members.npz", "others.npz")]
    found = mpreg.audit.audit_model(*files, attacks="fast")
    assert found.gradient_norms_note is None and found.gradient_norms.auc == pytest.approx(
        float(report.attacks["gradient norm threshold"].auc), abs=0.01
    )


def test_a_frozen_model_that_cannot_be_copied_is_left_as_it_is():
    class Own(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.inner = layers.Dense(units)

        def call(self, x):
            return self.inner(x)

    model = keras.Sequential([keras.Input((FEATURES,)), Own(3), layers.Softmax()])
    model.trainable = False
    (x, y) = records(1)
    split = mpreg.MembershipSplit((x[:SIDE], y[:SIDE]), None, (x[SIDE:], y[SIDE:]))
    report = mpreg.evaluate(model, split, attacks="whitebox")
    assert "Attack 'white-box' needs the model itself, with its weights: left out." in report.notes


def test_an_evaluation_leaves_an_attack_as_it_was(leaky):
    """What it reads of the records stays on none, which another evaluation may be using."""
    attack = WhiteBoxAttack(epochs=1)
    before = dict(vars(attack))
    mpreg.evaluate(*leaky, attacks=[attack])
    assert vars(attack) == before


@pytest.mark.parametrize("attack", [WhiteBoxAttack(epochs=1), UnsupervisedWhiteBoxAttack(epochs=1)])
def test_an_evaluation_leaves_the_random_states_of_python_and_numpy(attack, leaky):
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    mpreg.evaluate(*leaky, attacks=[attack], seed=5)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states  # noqa: NPY002


def test_the_suite_by_name_leaves_the_white_box_out_where_there_is_no_model_to_hold(leaky):
    model, split = leaky
    chosen = {attack.name for attack in mpreg.attacks.suite("whitebox")}
    assert chosen > {attack.name for attack in mpreg.attacks.suite("standard")} | {"white-box"}
    sides = [(model.predict(x, verbose=0), y) for x, y in (split.members, split.nonmembers)]
    report = mpreg.evaluate_predictions(*sides[0], *sides[1], attacks="whitebox")
    assert "white-box" not in report.attacks
    assert any("the model itself, with its weights" in note for note in report.notes)
    with pytest.raises(ValueError, match="needs the judged records themselves and the model itself"):
        mpreg.evaluate_predictions(*sides[0], *sides[1], attacks=["white_box"])


def test_a_defence_of_the_answers_hides_nothing_from_who_holds_the_model(leaky):
    model, split = leaky
    attacks = [GradientNormAttack()]
    served = mpreg.defend(model, mpreg.LabelOnly())
    plain, behind = (mpreg.evaluate(one, split, attacks=attacks) for one in (model, served))
    scores = [report.attacks["gradient norm threshold"].member_scores for report in (plain, behind)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


@pytest.mark.parametrize(
    "white",
    [pytest.param(True, marks=pytest.mark.slow, id="gradients"), pytest.param(False, id="answers alone")],
)
def test_what_is_learned_on_model_a_judges_model_b(white, leaky):
    model, split = leaky
    reads = {} if white else {"gradients_to_exploit": None, "exploit_sizes": False}
    other = trained(7, hidden=16 if white else 24)
    attack = WhiteBoxAttack(other=other, **reads, **QUICK)
    report = mpreg.evaluate(model, split, attacks=[attack])
    assert report.attacks[attack.name].auc > 0.75
    assert not report.attacks[attack.name].learns


def test_model_a_of_another_architecture_or_with_judged_records_is_refused(leaky):
    model, split = leaky
    attack = WhiteBoxAttack(other=trained(7, hidden=24, epochs=1), **QUICK)
    with pytest.raises(
        ValueError, match=r"architecture.*weight 1: \(20, 24\) of layer 'first' against \(20, 16\)"
    ):
        mpreg.evaluate(model, split, attacks=[attack])
    with pytest.raises(
        ValueError, match="120 of the 120 records that the attack learns from are among the judged"
    ):
        mpreg.evaluate(model, split, attacks=[WhiteBoxAttack(other=(model, split), **QUICK)])
    with pytest.raises(ValueError, match="other must be a pair"):
        WhiteBoxAttack(other=model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers_to_exploit": [9]},
            r"layers_to_exploit must hold names of layers, or numbers from 1 to 4.*1 'first'",
        ),
        ({"layers_to_exploit": ["nobody"]}, "Received: 'nobody'. Layers: 1 'first'"),
        ({"gradients_to_exploit": [4]}, r"numbers from 1 to 3 \(-1 is the last\). Received: 4"),
        ({"gradients_to_exploit": [0]}, "Received: 0"),
        ({"gradients_to_exploit": ["last", 3]}, "names a layer twice"),
    ],
)
def test_layers_that_are_not_there_are_named(options, message, leaky):
    with pytest.raises(ValueError, match=message):
        mpreg.evaluate(*leaky, attacks=[WhiteBoxAttack(**options)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoders": "wide"}, "encoders must be one of compact, nasr2019. Received: 'wide'"),
        ({"epochs": 0}, "epochs must be"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"layers_to_exploit": 1.5}, "Received: 1.5"),
        (
            {
                "layers_to_exploit": (),
                "gradients_to_exploit": (),
                "exploit_sizes": False,
                "exploit_loss": False,
            },
            "nothing to read",
        ),
    ],
)
def test_wrong_options_are_quoted(options, message):
    with pytest.raises(ValueError, match=message):
        WhiteBoxAttack(**options)


@pytest.mark.parametrize("make", [WhiteBoxAttack, UnsupervisedWhiteBoxAttack])
def test_layers_are_given_alike(make):
    for given, expected in (("first", ("first",)), (2, (2,)), (None, ()), (["first", 2], ("first", 2))):
        assert make(layers_to_exploit=given).choice.layers == expected
    with pytest.raises(ValueError, match="layers must be names or numbers"):
        make(gradients_to_exploit=2.5)


def test_the_published_encoders_have_the_published_sizes():
    from mpreg.networks.membership import nasr2019

    shapes = {"loss": (2,), "label": (5,), "gradient of last kernel": (7, 5), "activations of last": (5,)}
    network = nasr2019(shapes)
    widths = sorted(layer.units for layer in network.layers if isinstance(layer, layers.Dense))
    assert widths == sorted([100, 64, 128, 64, 2024, 512, 256, 1024, 512, 64, 256, 128, 64, 1])
    (filters,) = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    assert filters.filters == 100 and filters.kernel_size == (1, 5)
    assert np.std(filters.kernel) == pytest.approx(0.01, rel=0.2)
