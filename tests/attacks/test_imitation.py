"""Imitation: small networks tell how hard a record is, so that a model's answers to it can be judged by that."""

import warnings

import numpy as np
import pytest

from mpreg import metrics, signals
from mpreg.attacks import (
    Access,
    CombinedAttack,
    ImitationAttack,
    ShadowModels,
    TrainedAttack,
    cross_fit,
    suite,
)
from mpreg.data.table import scaled
from mpreg.signals import imitators, read_answers

SIDE, CLASSES, FEATURES = 150, 3, 8


def world(*, lift, seed=0):
    """Records of classes around centres, some far; a target surer of near ones and, a little, of members."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, 2 * SIDE)
    centres = 1.5 * rng.normal(size=(CLASSES, FEATURES))
    x = (centres[labels] + 1.5 * rng.normal(size=(2 * SIDE, FEATURES))).astype(np.float32)
    logits = -((x[:, None] - centres) ** 2).sum(axis=2) / 2
    members = np.arange(2 * SIDE) < SIDE
    logits[np.arange(2 * SIDE), labels] += lift * members + 0.2 * rng.normal(size=2 * SIDE)
    sides = [read_answers(logits[rows], labels[rows], from_logits=True) for rows in (members, ~members)]
    return Access(*sides, inputs=(x[members], x[~members]), seed=0)


def area(attack, access):
    found = cross_fit(attack, access.members, access.nonmembers, scores=attack.prepare(access))
    return metrics.auc(found.member_scores, found.nonmember_scores)


def test_it_sees_what_the_difficulty_of_records_hides_from_the_trained_attack():
    access = world(lift=3.0)
    assert area(ImitationAttack(), access) > area(TrainedAttack(), access) + 0.1


def test_where_nothing_leaks_it_finds_nothing():
    assert (
        abs(np.mean([area(ImitationAttack(), world(lift=0.0, seed=seed)) for seed in range(4)]) - 0.5) < 0.06
    )


class Remembers:
    """In place of a network: sure of the label, by 2 in each record it was taught, by 1 in others."""

    classes_ = np.arange(CLASSES)

    def __init__(self, access):
        self.table, self.labels = imitators.table_of(access.records), access.labels

    def fit(self, table, taught):
        self.known = {row.tobytes() for row in table}
        return self

    def predict(self, table):
        found = np.zeros((len(table), CLASSES))
        for row, record in enumerate(table):
            place = next(at for at, own in enumerate(self.table) if (own == record).all())
            found[row, self.labels[place]] = 2.0 if record.tobytes() in self.known else 1.0
        return found / self.scale

    def predict_log_proba(self, table):
        self.scale = 1.0
        return self.predict(table)


def test_means_are_over_imitators_with_the_record_and_without_it(monkeypatch):
    access = world(lift=1.0)
    network = Remembers(access)
    taught = np.maximum(access.answers.log_probabilities, imitators.LOWEST_TAUGHT)
    network.scale = (taught - taught.mean(axis=1, keepdims=True)).std()
    monkeypatch.setattr(imitators, "_network", lambda *_: network)
    monkeypatch.setattr(network, "predict_log_proba", lambda table: network.predict(table) * network.scale)
    columns = imitators.imitate(network.table, access.answers)
    own = signals.logit_confidence(access.answers)
    out, inside = 1.0 - np.log(2), 2.0 - np.log(2)  # logit-scaled, of three classes: the others have logit 0
    softened = signals.softened_loss(2.0)(access.answers) - (0.5 - np.log(np.exp(0.5) + 2))
    expected = [out, own - out, softened, inside, own - inside, inside - out]
    for at, value in enumerate([*expected, *expected]):
        np.testing.assert_allclose(columns[:, at], np.broadcast_to(value, len(own)), atol=1e-6)


def test_halves_come_in_pairs():
    halves = list(imitators._halves(11, 4, np.random.default_rng(0)))
    assert (np.sum(halves, axis=0) == 2).all()
    assert (halves[0] != halves[2]).any()


def test_classes_that_an_imitator_never_saw_and_sure_answers_give_finite_numbers():
    labels = np.array([0] * 9 + [1])
    sides = [read_answers(np.eye(2)[labels[rows]], labels[rows]) for rows in (slice(5), slice(5, None))]
    x = np.arange(10.0)[:, None]
    access = Access(*sides, inputs=(x[:5], x[5:]), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as of batches that are larger than what is learned
        assert np.isfinite(access.imitation).all() and access.imitation.shape == (10, 12)


def test_wide_records_are_projected():
    x = np.random.default_rng(0).normal(size=(6, imitators.WIDEST + 1)).astype(np.float32)
    table = imitators.table_of(x)
    assert table.shape == (6, imitators.PROJECTED) and np.isfinite(table).all()
    assert imitators.table_of(x[:, :5]).shape == (6, 5)


def test_wide_records_are_projected_as_if_they_had_been_scaled_first():
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, size=(20, imitators.WIDEST + 1)).astype(np.float32)
    x[:, ::2] = rng.integers(0, 2, size=x[:, ::2].shape)  # of two values
    matrix = np.random.default_rng(0).standard_normal((x.shape[1], imitators.PROJECTED), np.float32)
    expected = scaled(scaled(x) @ matrix)
    np.testing.assert_allclose(imitators.table_of(x), expected, atol=2e-3)


def test_numbers_that_single_precision_cannot_hold_are_read():
    x = np.random.default_rng(0).normal(size=(30, 3))
    x[0, 0], x[1, 1] = 1e39, -1e300
    assert np.isfinite(imitators.table_of(x)).all()


def test_the_combined_attack_reads_it_where_there_are_records():
    access = world(lift=1.0)
    membership = np.arange(4)[:, None] % 2 == np.arange(2 * SIDE) % 2
    answers = np.exp(access.answers.log_probabilities)
    access.shadows = ShadowModels(membership, np.stack([answers] * 4), access.labels)
    rows = CombinedAttack().prepare(access)
    bare = Access(access.members, access.nonmembers, shadows=access.shadows, seed=0)
    without = CombinedAttack().prepare(bare)
    assert rows.shape[1] == without.shape[1] + 12
    assert any((rows[:, at : at + 12] == access.imitation.astype(np.float32)).all() for at in range(30))


def test_it_stands_in_the_strong_suite_and_not_for_text():
    assert any(isinstance(attack, ImitationAttack) for attack in suite("strong"))
    with pytest.raises(ValueError, match="numbers"):
        imitators.table_of(np.array(["one", "two"]))
