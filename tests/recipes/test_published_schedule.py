"""The published schedule: how many steps, on which batches, and what they do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import assert_same_weights, linear_attacker, mlp, records, weights_of

from mpreg.recipes import nasr2018, published_schedule
from mpreg.recipes.published_schedule import CHARGES, PublishedSchedule, epoch_batches, train_published
from mpreg.recipes.published_training import CIFAR100, PURCHASE100, TEXAS100
from mpreg.training import presets

MEMBERS, REFERENCE = records(50), records(37, seed=1)
SHORT = PublishedSchedule(inference_batches=4, inference_warmup_epochs=2, cycle=6, cycle_end=7)


def train(target, *, members=MEMBERS, reference=REFERENCE, **options):
    defaults = {"schedule": SHORT, "penalty": 1.0, "epochs": 3, "batch_size": 8, "target_optimizer": "sgd"}
    attacker = {"inference_network": linear_attacker(), "inference_optimizer": "sgd"}
    return train_published(target, members, reference, **{**defaults, **attacker, **options})


class StepCounter:
    """Counts the calls of each player's step instead of training."""

    def __init__(self, monkeypatch):
        self.epochs = []
        monkeypatch.setattr(published_schedule.Players, "play", lambda players, *a, **k: self._play(*a, **k))

    def _play(self, window, batches, *, penalty):
        played = self.epochs[-1] if self.epochs else self.start()
        played["inference"].extend(window)
        played["target"].extend(batches)
        played["penalties"].add(penalty)

    def start(self, *_):
        self.epochs.append({"inference": [], "target": [], "penalties": set()})
        return self.epochs[-1]


# --- arithmetic ---


def test_a_pass_of_152_batches_is_played_as_the_authors_code_plays_it():
    windows, passes = zip(*PublishedSchedule().rounds(152), strict=True)
    # Python's own words for the loops of the code: 76 calls from batch (52 i) mod 150, no further than batch 153.
    published = [range(start, min(start + 52, 153)) for start in (52 * i % 150 for i in range(76))]
    assert [[batch % 153 for batch in window] for window in windows] == [list(window) for window in published]
    assert {len(batches) for batches in passes} == {2}
    assert np.mean([len(window) for window in windows]) == pytest.approx(44.4, abs=0.05)


@pytest.mark.parametrize("batches", [1, 2, 5, 11, 152, 153, 400])
def test_the_target_passes_once_through_the_members_and_no_window_is_empty(batches):
    windows, passes = zip(*PublishedSchedule().rounds(batches), strict=True)
    assert [batch for part in passes for batch in part] == list(range(batches))
    assert all(1 <= len(window) <= 52 for window in windows)
    assert sum(map(len, windows)) >= 22 * batches


def test_windows_count_on_over_cycles():
    windows = [list(window) for window, _ in SHORT.rounds(8)]
    assert windows == [[0, 1, 2, 3], [4, 5, 6], [9, 10, 11, 12], [14, 15, 16, 17]]


def test_each_epoch_plays_the_steps_of_the_schedule(monkeypatch):
    counter = StepCounter(monkeypatch)
    train(mlp(), penalty=2.0, on_epoch_end=counter.start)
    first, *others = counter.epochs[:3]
    assert first == {"inference": list(range(2 * 6)), "target": list(range(6)), "penalties": {0.0}}
    for epoch in others:
        assert len(epoch["inference"]) == sum(len(window) for window, _ in SHORT.rounds(6))
        assert epoch["target"] == list(range(6))
        assert epoch["penalties"] == {2.0}


def test_an_epoch_visits_no_record_twice_and_the_next_has_another_order():
    batches = epoch_batches(50, 8, seed=(0, 1, 0))
    assert batches.shape == (6, 8)
    assert len(np.unique(batches)) == 48
    assert not np.array_equal(batches, epoch_batches(50, 8, seed=(0, 2, 0)))
    assert epoch_batches(5, 8, seed=0).shape == (1, 5)


# --- training ---


class Run:
    """A training, its history, and what was seen at the end of each epoch."""

    def __init__(self, target, **options):
        self.target, self.network, self.logs, self.weights = target, linear_attacker(), [], []
        self.history = train(
            target, **{"inference_network": self.network, "on_epoch_end": self.on_epoch_end, **options}
        )

    def on_epoch_end(self, epoch, logs):
        assert epoch == len(self.logs)
        self.logs.append(logs)
        self.weights.append(weights_of(self.target))


@pytest.fixture(scope="module")
def usual():
    return Run(mlp())


def test_history_and_callback_get_the_same_figures_each_epoch(usual):
    assert len(usual.logs) == 3
    assert usual.history == {name: [logs[name] for logs in usual.logs] for name in usual.logs[0]}
    assert list(usual.history) == [
        "loss",
        "accuracy",
        "inference_loss",
        "inference_accuracy",
        "membership_gain",
    ]


def test_a_model_can_be_the_inference_network(usual):
    trained = zip(weights_of(usual.network), weights_of(linear_attacker()), strict=True)
    assert all(np.abs(after - before).max() > 0 for after, before in trained)


def test_a_seed_gives_one_training(usual):
    again, other = Run(mlp()), Run(mlp(), seed=4)
    assert_same_weights(usual.target, again.target)
    assert usual.history == again.history != other.history


def test_without_penalty_it_is_plain_training_in_the_same_order():
    (x, y), plain = MEMBERS, mlp()
    run = Run(mlp(), penalty=0.0, seed=5)
    plain.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(3):
        orders = epoch_batches(50, 8, seed=(5, epoch, 0))
        loss, accuracy = np.mean([plain.train_on_batch(x[rows], y[rows]) for rows in orders], axis=0)
        assert run.history["loss"][epoch] == pytest.approx(loss, rel=1e-4)
        assert run.history["accuracy"][epoch] == pytest.approx(accuracy, rel=1e-4)
    assert_same_weights(run.target, plain, rtol=1e-4, atol=1e-6)


def test_the_target_pays_from_the_second_epoch_on(usual):
    dear = Run(mlp(), penalty=9.0, epochs=2)
    assert all(map(np.array_equal, usual.weights[0], dear.weights[0]))
    changes = [np.abs(a - b).max() for a, b in zip(usual.weights[1], dear.weights[1], strict=True)]
    assert max(changes) > 1e-4


def test_the_inference_network_learns_to_tell_a_leak():
    """Members and reference records lie so far apart that the target answers them differently."""
    history = train(
        mlp(hidden=4),
        members=records(64, shift=4.0),
        reference=records(64, seed=1, shift=-4.0),
        schedule=PublishedSchedule(inference_warmup_epochs=20),
        penalty=0.0,
        epochs=2,
        inference_network="compact",
        inference_optimizer="adam",
    )
    assert history["inference_accuracy"][-1] > 0.9
    assert history["inference_loss"][-1] < history["inference_loss"][0]


def test_the_inference_steps_leave_the_target_as_it_is():
    watched, alone = (mlp(dropout=0.5, normalize=True) for _ in range(2))
    train(watched, epochs=1)
    train(alone, epochs=1, schedule=PublishedSchedule(inference_warmup_epochs=0))
    assert_same_weights(watched, alone)


@pytest.mark.parametrize("kind", [lambda y: np.eye(3, dtype="float32")[y], lambda y: y[:, None]])
def test_label_kinds_train_alike(usual, kind):
    members, reference = ((x, kind(y)) for x, y in (MEMBERS, REFERENCE))
    assert_same_weights(usual.target, Run(mlp(), members=members, reference=reference).target)


def test_logits_train_as_their_softmax_does(usual):
    logits = Run(mlp(activation=None), from_logits=True)
    assert_same_weights(usual.target, logits.target, rtol=1e-3, atol=1e-5)


# --- as published ---


@pytest.mark.parametrize("form", CHARGES)
def test_a_charge_is_that_of_the_paper_or_the_code(form):
    """Of h by NumPy, its slope by the logit of each member by differences."""
    logits = np.array([-3.0, -0.4, 0.0, 1.2, 5.0])

    def written(logits):
        h = 1 / (1 + np.exp(-logits))
        return np.mean({"log": np.log(h), "linear": h - 0.5, "square": (1 - h - 1) ** 2}[form])

    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        charge = CHARGES[form](given)
    assert float(charge) == pytest.approx(written(logits))
    differences = [(written(logits + step) - written(logits - step)) / 2e-5 for step in 1e-5 * np.eye(5)]
    np.testing.assert_allclose(tape.gradient(charge, given), differences, rtol=1e-5)


@pytest.mark.parametrize("dataset", ["purchase100", "texas100", "cifar100"])
def test_a_preset_pushes_as_hard_as_the_code_where_nothing_is_told(dataset):
    """At h = 1/2 the penalty of the preset on log h has the slope of the code's penalty on its own form."""
    training = {"purchase100": PURCHASE100, "texas100": TEXAS100, "cifar100": CIFAR100}[dataset]
    slopes = {}
    for form in ("log", training.charge):
        undecided = tf.zeros(4)
        with tf.GradientTape() as tape:
            tape.watch(undecided)
            charge = CHARGES[form](undecided)
        slopes[form] = tape.gradient(charge, undecided).numpy()
    penalty = presets()["advreg", dataset].options["penalty"]
    np.testing.assert_allclose(penalty * slopes["log"], training.penalty * slopes[training.charge], rtol=1e-6)
    assert nasr2018.SETTINGS[dataset].penalty == penalty


def test_the_target_pays_what_the_charge_says():
    runs = [Run(mlp(), charge=form, epochs=2, penalty=3.0) for form in CHARGES]
    first, *others = (run.weights[1] for run in runs)
    assert all(any((a != b).any() for a, b in zip(first, other, strict=True)) for other in others)


def test_warm_up_epochs_train_the_target_alone(monkeypatch):
    counter = StepCounter(monkeypatch)
    schedule = PublishedSchedule(inference_batches=3, warmup_epochs=2, inference_warmup_epochs=1)
    train(mlp(), schedule=schedule, on_epoch_end=counter.start)
    assert [epoch["penalties"] for epoch in counter.epochs[:3]] == [{0.0}, {0.0}, {1.0}]
    assert [len(epoch["inference"]) for epoch in counter.epochs[:3]] == [0, 6, 9]
    assert all(epoch["target"] == list(range(6)) for epoch in counter.epochs[:3])


def test_every_data_set_is_trained_as_its_code_trains_it():
    steps = {name: nasr2018.published_training(name, nasr2018.SETTINGS[name]) for name in nasr2018.SETTINGS}
    assert steps["purchase100"] == PURCHASE100 and steps["texas100"] == TEXAS100
    assert steps["cifar100"] == steps["cifar100-densenet"] == CIFAR100
    assert steps["location30"].epochs == nasr2018.SETTINGS["location30"].epochs
    assert nasr2018.published_training("cifar100", nasr2018.SETTINGS["cifar100"], epochs=2).epochs == 2
    windows = [list(window) for window, _ in TEXAS100.schedule.rounds(78)]
    assert {len(window) for window in windows} == {50} and len(windows) == 39
    rounds = list(CIFAR100.schedule.rounds(500))
    assert len(rounds) == 250 and {(len(w), len(t)) for w, t in rounds} == {(3, 2)}
    optimizer = CIFAR100.target_optimizer(500)
    assert [round(float(optimizer._learning_rate(step)), 6) for step in (0, 10_000, 10_001, 20_001)] == [
        0.05,
        0.05,
        0.005,
        0.0005,
    ]
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer.momentum == 0.9


# --- the door ---


@pytest.mark.parametrize(
    "options, message",
    [
        ({"inference_batches": 0}, "inference_batches must be .* Received: inference_batches=0"),
        ({"target_batches": 1.5}, "target_batches must be .* Received: target_batches=1.5"),
        ({"inference_warmup_epochs": -1}, "inference_warmup_epochs must be"),
        ({"cycle_end": 100}, "cycle_end must be at least cycle. Received: cycle_end=100, cycle=150"),
    ],
)
def test_schedules_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        PublishedSchedule(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"penalty": -1}, "penalty must be a finite number"),
        ({"epochs": 0}, "epochs must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"members": records(9, classes=5, seed=2)}, "labels must be below the number of classes, 3"),
        ({"from_logits": True}, "ends in softmax"),
        ({"inference_network": "alexnet"}, "inference_network must be one of"),
        ({"charge": "cubic"}, "charge must be one of log, linear, square. Received: 'cubic'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        train(mlp(), **options)
