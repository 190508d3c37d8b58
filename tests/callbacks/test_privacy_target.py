"""PrivacyTarget: its rule moves the right way, what met the target is kept, and nobody else is looked at."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import CLASSES, FEATURES, mlp, records, weights_of

import mpreg
from mpreg.callbacks import AdversarialTraining, PrivacyTarget
from mpreg.callbacks._steering import Steering, error_of

LOSS = "sparse_categorical_crossentropy"
SPLIT = mpreg.MembershipSplit(records(60), records(60, seed=2), records(60, seed=1))
LENIENT, STRICT = 0.97, 0.51


@pytest.fixture(autouse=True)
def _seeds():
    keras.utils.set_random_seed(1)


def game(reference=None, **options):
    options = {"reference_batch_size": 16, **options}
    return compiled(mpreg.AdversarialRegularization(mlp(), reference or SPLIT.reference, **options))


def compiled(model):
    model.compile(keras.optimizers.Adam(0.01), LOSS)
    return model


def fit(model, *callbacks, epochs=6):
    history = model.fit(
        *SPLIT.members, epochs=epochs, batch_size=20, verbose=0, shuffle=False, callbacks=list(callbacks)
    )
    return history.history


# The rule.


def steering(**options):
    return Steering(**{"target": 0.65, "floor": 0.5, "epochs": 10, "error": 0.01, **options})


def test_the_goal_rises_from_chance_to_the_target_and_stays_there():
    goals = [steering().goal(epoch) for epoch in range(10)]
    assert goals[0] == pytest.approx(0.5 + 0.15 / 7)
    assert goals[6:] == [0.65] * 4
    assert all(np.diff(goals[:7]) > 0)
    assert steering(floor=0.8).goal(0) == 0.65  # never above the target


def test_it_moves_towards_the_goal_and_the_harder_the_farther():
    late = {"epoch": 9, "accuracy": 0.9, "held_accuracy": 0.6}
    steps = [steering().step(attack=attack, **late) for attack in (0.5, 0.64, 0.65, 0.66, 0.95)]
    assert steps == pytest.approx([-0.2, -0.04, 0.0, 0.04, 0.2])


def test_it_does_not_tighten_on_what_may_be_chance_but_loosens():
    close = {"epoch": 9, "accuracy": 0.61, "held_accuracy": 0.6}
    assert steering().step(attack=0.75, **close) == 0.0
    assert steering().step(attack=0.55, **close) < 0


def test_it_only_loosens_once_accuracy_is_lost():
    rule = steering()
    rule.step(0, 0.75, 0.9, 0.6)
    assert rule.step(1, 0.75, 0.9, 0.5) == -0.2
    assert rule.step(2, 0.75, 0.9, 0.59) > 0


def test_the_past_counts():
    rule = steering()
    rule.step(8, 0.60, 0.9, 0.6)
    assert rule.step(9, 0.70, 0.9, 0.6) == pytest.approx(4 * (0.6 * 0.60 + 0.4 * 0.70 - 0.65))
    assert not rule.meets(0.70) and rule.meets(0.65)


def test_the_error_is_that_of_two_shares():
    assert error_of(100, 400) == pytest.approx(0.5 * np.sqrt(0.5**2 / 100 + 0.5**2 / 400))


def test_it_steers_a_leak_to_the_target():
    """A toy whose attack follows the strength with a lag: 0.5 + 0.4 / (1 + strength), half of the way an epoch."""
    for start in (0.1, 1.0, 20.0):
        rule, strength, attack = steering(epochs=60), start, 0.5
        for epoch in range(60):
            attack += 0.5 * (0.5 + 0.4 / (1 + strength) - attack)
            strength *= np.exp(rule.step(epoch, attack, 0.9, 0.6))
        assert attack == pytest.approx(0.65, abs=0.01)


# In a fit.

KINDS = {
    "game": game,
    "fixed penalty": lambda: game(penalty=1.0),
    "discrepancy": lambda: compiled(mpreg.MixUpMMD(mlp(), SPLIT.reference, alpha=0, mmd_weight=1.0, gap=0)),
    "entropy": lambda: compiled(mpreg.ConfidencePenalty(mlp(), weight=0.2)),
    "hamp": lambda: compiled(mpreg.HAMP(mlp(), gamma=0.5, alpha=0.2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_regularizer_is_inside_is_steered_both_ways(kind):
    paths = {}
    for target in (LENIENT, STRICT):
        keras.utils.set_random_seed(1)
        history = fit(KINDS[kind](), PrivacyTarget(SPLIT, attack_accuracy=target), epochs=8)
        paths[target] = history["privacy_target_strength"]
    assert paths[LENIENT][0] == paths[STRICT][0]  # the strength that acted in the first epoch
    assert paths[LENIENT][-1] < paths[LENIENT][0]
    assert paths[STRICT][-1] > paths[LENIENT][-1]


def test_several_regularizers_move_by_one_factor():
    model = compiled(
        mpreg.ConfidencePenalty(
            mpreg.AdversarialRegularization(mlp(), SPLIT.reference),
            weight=0.2,
        )
    )
    fit(model, PrivacyTarget(SPLIT, attack_accuracy=LENIENT))
    first, second = (float(part.strength.numpy()) for part in model.parts)
    assert first < 1.7
    assert first / 1.7 == pytest.approx(second / 0.2, rel=1e-5)


@pytest.mark.parametrize("order", [1, -1])
def test_the_callback_of_the_game_is_steered_too(order):
    target = compiled(mlp())
    player = AdversarialTraining(SPLIT.reference)
    steer = PrivacyTarget(SPLIT, attack_accuracy=LENIENT)
    history = fit(target, *[player, steer][::order], epochs=12)
    assert history["privacy_target_strength"][-1] < 1.7
    assert len(player.game.reference.records[1]) == 30  # of 60, half is held back: fewer than 250
    assert steer.met
    _, kept, _ = steer._best
    for found, value in zip(weights_of(target), kept, strict=True):
        np.testing.assert_array_equal(found, value)


class Spy(keras.callbacks.Callback):
    """Keeps the averaged weights of each epoch, by a naive loop."""

    def __init__(self):
        super().__init__()
        self.averages = []

    def on_epoch_end(self, epoch, logs=None):
        now = weights_of(self.model.target_model)
        if self.averages:
            epochs = len(self.averages)
            keep = min(0.7, epochs / (epochs + 3))  # the first epochs of a training count for little
            now = [keep * a + (1 - keep) * w for a, w in zip(self.averages[-1], now, strict=True)]
        self.averages.append(now)


def test_the_most_accurate_epoch_of_those_that_met_the_target_is_kept():
    spy, steer = Spy(), PrivacyTarget(SPLIT, attack_accuracy=LENIENT)
    model = game()
    fit(model, spy, steer, epochs=8)
    assert steer.met is True
    x, y = (part[:30] for part in SPLIT.reference)
    accuracies = []
    final = weights_of(model.target_model)
    for weights in spy.averages[4:]:  # the second half
        model.target_model.set_weights(weights)
        accuracies.append(np.mean(model.predict(x, verbose=0).argmax(1) == y))
    best = 4 + max(epoch for epoch in range(4) if accuracies[epoch] == max(accuracies))
    for found, value in zip(final, spy.averages[best], strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6)


def test_measuring_leaves_training_alone():
    def end(*callbacks):
        keras.utils.set_random_seed(1)
        model = game(tuple(part[30:] for part in SPLIT.reference), averaging=0)
        spy = Spy()
        fit(model, spy, *callbacks, epochs=1)
        return spy.averages[-1]

    for plain, steered in zip(end(), end(PrivacyTarget(SPLIT, attack_accuracy=LENIENT)), strict=True):
        np.testing.assert_array_equal(plain, steered)


def test_a_target_that_is_not_met_is_said_and_the_least_attack_kept():
    steer = PrivacyTarget(SPLIT, attack_accuracy=0.501)
    model = compiled(mpreg.ConfidencePenalty(mlp(hidden=64), weight=1e-6))
    model.optimizer.learning_rate = 0.05
    with pytest.warns(UserWarning, match="attack accuracy of 0.501 was not met: the least was 0."):
        history = fit(model, steer, epochs=30)
    assert steer.met is False
    assert steer._best[2] == pytest.approx(min(history["privacy_target_attack"][15:]))


def test_tensorboard_and_csv_get_the_path(tmp_path):
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    board = keras.callbacks.TensorBoard(tmp_path / "board", write_graph=False)
    fit(game(), PrivacyTarget(SPLIT, attack_accuracy=LENIENT), logger, board, epochs=2)
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert "privacy_target_attack" in header and "privacy_target_strength" in header
    assert any(
        b"privacy_target_strength" in path.read_bytes() for path in (tmp_path / "board").rglob("events*")
    )


# Who is looked at.


def test_part_of_the_reference_is_taken_from_the_game_for_good():
    model = game()
    fit(model, epochs=1)  # traced with all of them
    fit(model, PrivacyTarget(SPLIT, attack_accuracy=LENIENT), epochs=1)
    x, y = model.game.reference.records
    np.testing.assert_array_equal(x, SPLIT.reference[0][30:])
    np.testing.assert_array_equal(y, SPLIT.reference[1][30:])


def test_the_step_no_longer_sees_what_is_held_back():
    """The game draws held-back records where none are held back, and they are poison here."""
    x, y = (part.copy() for part in SPLIT.reference)
    x[:30] = 1e20
    split = mpreg.MembershipSplit(SPLIT.members, (x, y), SPLIT.nonmembers)
    model = game((x, y))
    model.make_train_function()
    with np.errstate(all="ignore"):
        fit(model, PrivacyTarget(split, attack_accuracy=LENIENT), epochs=1)
    assert all(np.isfinite(w).all() for w in weights_of(model.target_model))
    assert np.abs(weights_of(model.target_model)[0]).max() < 100


def test_nonmembers_are_never_looked_at():
    x, y = SPLIT.nonmembers
    other = mpreg.MembershipSplit(SPLIT.members, SPLIT.reference, (x + 5, (y + 1) % CLASSES))
    found = []
    for split in (SPLIT, other):
        keras.utils.set_random_seed(1)
        model = game()
        fit(model, PrivacyTarget(split, attack_accuracy=0.6))
        found.append(weights_of(model.target_model))
    for mine, others in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, others)


def test_own_records_are_measured_against_the_members_of_the_fit():
    model = game()
    history = fit(model, PrivacyTarget(records(40, seed=5), attack_accuracy=LENIENT), epochs=2)
    assert len(history["privacy_target_attack"]) == 2
    assert len(model.game.reference.records[1]) == 60
    assert model.members is None  # fit keeps no hold of the records


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (
            lambda: tuple(part[:5] for part in SPLIT.reference),
            "5 are among the reference records of the defence",
        ),
        (lambda: tuple(part[:4] for part in SPLIT.members), "4 are among the members"),
    ],
)
def test_records_that_the_defence_knows_are_refused(held, words):
    with pytest.raises(ValueError, match=words):
        fit(game(), PrivacyTarget(held()))


def test_nothing_to_steer_is_refused():
    for model in (compiled(mlp()), game(strength=0.0), compiled(mpreg.LabelSmoothing(mlp(), smoothing=0.1))):
        with pytest.raises(ValueError, match="nothing to steer"):
            fit(model, PrivacyTarget(SPLIT))


def test_a_stream_gives_no_record_back():
    stream = tf.data.Dataset.from_tensor_slices(SPLIT.reference).repeat()
    with pytest.raises(ValueError, match="no record can be taken from a stream"):
        fit(game(stream), PrivacyTarget(SPLIT))
    fit(game(stream), PrivacyTarget(records(40, seed=5), attack_accuracy=LENIENT), epochs=2)


def test_records_alone_do_not_tell_a_plain_model_who_is_a_member():
    player = AdversarialTraining(SPLIT.reference)
    with pytest.raises(ValueError, match="do not tell who is a member"):
        fit(compiled(mlp()), player, PrivacyTarget(records(40, seed=5)))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PrivacyTarget(SPLIT, attack_accuracy=0.5), ValueError, "attack_accuracy=0.5"),
        (lambda: PrivacyTarget(SPLIT, attack_accuracy=1), ValueError, "attack_accuracy=1"),
        (lambda: PrivacyTarget("split"), TypeError, "'split'"),
        (
            lambda: PrivacyTarget(mpreg.MembershipSplit(SPLIT.members, None, SPLIT.nonmembers)),
            ValueError,
            "no reference records",
        ),
        (lambda: PrivacyTarget((np.zeros((4, FEATURES)), np.zeros(3, int))), ValueError, "4"),
    ],
)
def test_bad_options_are_quoted(make, error, words):
    with pytest.raises(error, match=words):
        make()
