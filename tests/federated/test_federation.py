"""The federation against ordinary training, and what its server learns."""

import keras
import numpy as np
import pytest
from keras import layers

import mpreg
from mpreg.attacks import Access
from mpreg.federated import (
    AlignmentAttack,
    Federation,
    GradientAscent,
    Isolation,
    ReboundAttack,
    Server,
    Watch,
)
from mpreg.reports.rounds import plot_rounds

FEATURES, CLASSES = 6, 3


def records(count, seed=0, features=FEATURES):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, features)).astype("float32"), rng.integers(0, CLASSES, count)


def built(optimizer=None, *, features=FEATURES, extra=(), hidden=8):
    keras.utils.set_random_seed(1)
    stack = [keras.Input((features,)), layers.Dense(hidden, "tanh"), *extra, layers.Dense(CLASSES, "softmax")]
    model = keras.Sequential(stack)
    model.compile(optimizer or keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy")
    return model


def parts(x, y, *sizes):
    ends = np.cumsum(sizes)
    return [(x[end - size : end], y[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def assert_equal(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_federated_sgd_is_training_on_all_records_at_once(momentum):
    x, y = records(40)
    central = built(keras.optimizers.SGD(0.3, momentum=momentum))
    central.fit(x, y, batch_size=40, epochs=5, shuffle=False, verbose=0)
    model = built(keras.optimizers.SGD(0.3, momentum=momentum))
    Federation(model, parts(x, y, 5, 12, 23), algorithm="fedsgd").run(5)
    assert_equal(model.get_weights(), central.get_weights())


def test_averaging_after_one_step_on_all_own_records_is_federated_sgd():
    x, y = records(30)
    found = []
    for options in ({"algorithm": "fedsgd"}, {"batch_size": 30}):
        model = built()
        Federation(model, parts(x, y, 4, 26), **options).run(3)
        found.append(model.get_weights())
    assert_equal(*found)


def test_a_participant_alone_is_ordinary_training_and_the_optimizer_starts_afresh_in_each_round():
    x, y = records(20)
    model = built(keras.optimizers.Adam(0.01))
    Federation(model, [(x, y)], batch_size=20, local_epochs=3).run(2)
    plain = built(keras.optimizers.Adam(0.01))
    plain.fit(x, y, batch_size=20, epochs=3, verbose=0, shuffle=False)
    again = built(keras.optimizers.Adam(0.01))
    again.set_weights(plain.get_weights())
    again.fit(x, y, batch_size=20, epochs=3, verbose=0, shuffle=False)
    assert_equal(model.get_weights(), again.get_weights(), atol=1e-5)


def test_the_server_averages_what_comes_back_by_numbers_of_records():
    x, y = records(20)
    watch = Watch(updates=True)
    model = built(extra=[layers.BatchNormalization()])
    Federation(model, parts(x, y, 5, 15), batch_size=5, local_epochs=2).run(2, server=watch)
    for done in watch.rounds_kept:
        for first, second, mean in zip(*done.returned, done.end, strict=True):
            np.testing.assert_allclose(mean, first / 4 + 3 * second / 4, rtol=1e-5, atol=1e-6)
        assert all(one is done.start for one in done.sent)
    assert_equal(watch.rounds_kept[0].end, watch.rounds_kept[1].start, rtol=0, atol=0)
    assert_equal(watch.snapshots.weights(2), model.get_weights(), rtol=0, atol=0)


def test_rounds_go_on_where_they_ended_and_follow_the_seed():
    x, y = records(24)
    found = []
    for rounds, seed in (((4,), 0), ((1, 3), 0), ((4,), 1)):
        model = built()
        federation = Federation(model, parts(x, y, 12, 12), batch_size=4, seed=seed)
        for count in rounds:
            federation.run(count)
        found.append(model.get_weights())
    assert_equal(found[0], found[1], rtol=0, atol=0)
    assert not np.allclose(found[0][0], found[2][0])


def test_federated_sgd_takes_what_a_server_makes_of_an_answer():
    x, y = records(12)

    class Deaf(Server):
        def receive(self, number, participant, weights, model):
            return self.given if participant == 0 else weights

        def give(self, number, participant, weights, model):
            self.given = weights if participant == 0 else getattr(self, "given", None)
            return weights

    deaf, alone = built(), built()
    Federation(deaf, parts(x, y, 6, 6), algorithm="fedsgd").run(1, server=Deaf())
    alone.optimizer.learning_rate = 0.15  # half of the average is nothing
    alone.fit(x[6:], y[6:], batch_size=6, epochs=1, verbose=0)
    assert_equal(deaf.get_weights(), alone.get_weights())


WIDE, SIDE, OTHERS = 30, 20, 3


@pytest.fixture(scope="module")
def attacked():
    """A federation of four, attacked by all means at once: a victim's records and as many of nobody."""
    x, y = records(SIDE * (OTHERS + 2), seed=4, features=WIDE)
    *own, strangers = parts(x, y, *[SIDE] * (OTHERS + 2))
    split = mpreg.MembershipSplit(own[0], None, strangers)
    sought = np.concatenate([own[0][0], strangers[0]]), np.concatenate([own[0][1], strangers[1]])
    watch = Watch(participant=0, rounds=range(3, 9), updates=True)
    ascent = GradientAscent(sought, participant=0, rounds=range(9, 12))
    model = built(keras.optimizers.SGD(0.5), features=WIDE, hidden=16)
    federation = Federation(model, own, batch_size=10, local_epochs=2)
    federation.run(8, server=watch)
    federation.run(3, server=[watch, ascent])
    return federation, split, watch, ascent


def test_passive_and_active_servers_find_the_records_of_a_participant(attacked):
    federation, split, watch, ascent = attacked
    attacks = [
        AlignmentAttack(watch, participant=0),
        AlignmentAttack(watch, participant=0, measure="difference"),
        ReboundAttack(ascent),
        mpreg.attacks.TrajectoryAttack(watch.snapshots),
    ]
    report = mpreg.evaluate(federation.model, split, attacks=attacks)
    for attack in attacks:
        assert report.attacks[attack.name].auc > 0.8, attack.name
    assert watch.snapshots.epochs == tuple(range(3, 9))


def test_the_cosine_is_that_of_a_record_s_gradient_with_the_update(attacked):
    """Written out with a plain tape, for one round; of four participants, standardized by the other three."""
    import tensorflow as tf

    federation, split, watch, _ = attacked
    model = keras.models.clone_model(federation.model)
    done = watch.rounds_kept[0]
    updates = [
        np.concatenate([(a - b).reshape(-1) for a, b in zip(given, back, strict=True)])
        for given, back in zip(done.sent, done.returned, strict=True)
    ]
    model.set_weights(done.sent[0])
    expected = []
    for x, y in zip(*split.members, strict=True):
        with tf.GradientTape() as tape:
            loss = -tf.math.log(model(x[None])[0, y])
        parts_of = tape.gradient(loss, [v.value for v in model.trainable_variables])
        gradient = np.concatenate([part.numpy().reshape(-1) for part in parts_of])
        cosines = [gradient @ u / np.linalg.norm(gradient) / np.linalg.norm(u) for u in updates]
        expected.append((cosines[0] - np.mean(cosines[1:])) / np.std(cosines[1:]))
    answers = mpreg.signals.read_both(
        *((federation.model.predict(x, verbose=0), y) for x, y in (split.members, split.nonmembers))
    )
    access = Access(*answers, inputs=(split.members[0], split.nonmembers[0]), model=federation.model)
    before = federation.model.get_weights()
    found = AlignmentAttack(watch, participant=0).by_round(access)
    assert found.shape == (6, 2 * SIDE)
    np.testing.assert_allclose(found[0][:SIDE], expected, rtol=1e-2, atol=1e-3)
    assert_equal(federation.model.get_weights(), before, rtol=0, atol=0)


def test_ascent_raises_the_loss_of_the_sought_for_the_victim_alone(attacked, tmp_path):
    _, _, _, ascent = attacked
    assert np.mean(ascent.raised) > np.mean(ascent.honest)
    numbers, curves = ascent.curves(np.arange(2 * SIDE) < SIDE)
    assert numbers == [9, 10, 11]
    fall = {
        side: curves[f"{side}, raised"] - curves[f"{side}, after training"]
        for side in ("members", "non-members")
    }
    assert (fall["members"] > fall["non-members"]).all()
    plot_rounds(numbers, curves, tmp_path / "rounds.png")
    assert (tmp_path / "rounds.png").stat().st_size > 5000


def test_ascent_and_isolation_leave_the_others_what_the_server_has():
    x, y = records(24)
    watch, model = Watch(updates=True), built()
    federation = Federation(model, parts(x, y, 8, 8, 8), batch_size=4)
    federation.run(
        2, server=[Isolation(participant=1), GradientAscent((x, y), participant=2, rounds=[2]), watch]
    )
    first, second = watch.rounds_kept
    assert_equal(first.sent[1], first.start, rtol=0, atol=0)
    assert_equal(second.sent[1], first.returned[1], rtol=0, atol=0)
    assert_equal(second.sent[0], second.start, rtol=0, atol=0)
    assert_equal(first.sent[2], first.start, rtol=0, atol=0)
    assert not np.allclose(second.sent[2][0], second.start[0])


def test_wrong_calls_are_refused_in_words(attacked):
    federation, split, watch, ascent = attacked
    x, y = records(4)
    with pytest.raises(ValueError, match="algorithm must be one of fedavg, fedsgd. Received: 'sgd'"):
        Federation(built(), [(x, y)], algorithm="sgd")
    with pytest.raises(ValueError, match="at least one participant"):
        Federation(built(), [])
    with pytest.raises(ValueError, match="must be compiled"):
        Federation(keras.Sequential([keras.Input((6,)), layers.Dense(3)]), [(x, y)])
    with pytest.raises(ValueError, match="participant 0 must be a pair"):
        Federation(built(), [3])
    with pytest.raises(ValueError, match="no updates were kept"):
        AlignmentAttack(Watch(), participant=0)
    with pytest.raises(ValueError, match="a number from 0 to 3. Received: 9"):
        AlignmentAttack(watch, participant=9)
    with pytest.raises(ValueError, match="measure must be one of"):
        AlignmentAttack(watch, participant=0, measure="angle")
    with pytest.raises(ValueError, match="has not run"):
        ReboundAttack(GradientAscent((x, y), participant=0))
    other = mpreg.MembershipSplit(records(5, seed=9, features=WIDE), None, split.nonmembers)
    with pytest.raises(ValueError, match="5 of the 25 judged records"):
        mpreg.evaluate(federation.model, other, attacks=[ReboundAttack(ascent)])
