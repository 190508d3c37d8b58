"""Copies of a record within one side: judged together, counted once."""

import keras
import numpy as np
import pytest
from support import CLASSES, FEATURES, mlp, records

import mpreg
from mpreg.attacks import ThresholdAttack, cross_fit
from mpreg.evaluation.member_risk import calibrate
from mpreg.signals import read_answers


def side(count, copies, seed):
    x, y = records(count // copies, seed=seed)
    return np.repeat(x, copies, axis=0), np.repeat(y, copies)


@pytest.fixture(scope="module")
def untrained():
    keras.utils.set_random_seed(0)
    model = mlp(hidden=16)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("copies", [2, 4])
def test_an_untrained_model_betrays_no_copies(untrained, copies):
    split = mpreg.MembershipSplit(side(400, copies, 1), None, side(400, copies, 2))
    report = mpreg.evaluate(untrained, split, seed=0)
    assert report.attack_accuracy.low <= 0.5
    assert all(result.epsilon_lower_bound == 0 for result in report.attacks.values())
    assert f"400 members are copies of {400 // copies} different records" in " ".join(report.notes)


def test_figures_are_those_of_the_records_without_their_copies(untrained):
    """Rates, intervals, folds, risks and classes: as if the copies had not been there."""
    once = mpreg.MembershipSplit(side(120, 1, 1), None, side(90, 1, 2))
    thrice = mpreg.MembershipSplit(side(360, 3, 1), None, side(270, 3, 2))
    alone, copied = (mpreg.evaluate(untrained, split, attacks="fast", seed=0) for split in (once, thrice))
    assert not alone.notes
    for name, result in alone.attacks.items():
        other = copied.attacks[name]
        for rate in ("accuracy", "precision", "recall", "auc", "advantage"):
            assert getattr(result, rate).to_dict() == pytest.approx(
                getattr(other, rate).to_dict(), nan_ok=True
            )
        assert result.epsilon_lower_bound == other.epsilon_lower_bound
        np.testing.assert_array_equal(np.repeat(result.member_scores, 3), other.member_scores)
    np.testing.assert_array_equal(np.repeat(alone.member_risk.members, 3), copied.member_risk.members)
    assert alone.train_accuracy.to_dict() == copied.train_accuracy.to_dict()
    for one, other in zip(alone.leakage_per_class(), copied.leakage_per_class(), strict=True):
        assert one.attack_accuracy.to_dict() == other.attack_accuracy.to_dict()
        assert 3 * one.members == other.members


def test_a_group_is_judged_by_one_copy_of_the_attack(untrained):
    """With groups of the caller's own, no record of a group teaches the threshold that judges another."""
    rng = np.random.default_rng(0)
    answers = [
        read_answers(rng.dirichlet(np.ones(CLASSES), 40), rng.integers(0, CLASSES, 40)) for _ in range(2)
    ]
    groups = [np.arange(40) // 8] * 2

    class Recorder(ThresholdAttack):
        known = []  # noqa: RUF012 - shared by the copies on purpose

        def fit(self, members, nonmembers, *, seed=0):
            Recorder.known.append({tuple(row) for row in members.log_probabilities.tolist()})
            return super().fit(members, nonmembers, seed=seed)

    cross_fit(Recorder("loss"), *answers, groups=groups)
    rows = answers[0].log_probabilities
    for known in Recorder.known:
        taught = np.array([tuple(row) in known for row in rows.tolist()])
        assert all(
            taught[groups[0] == group].all() or not taught[groups[0] == group].any() for group in range(5)
        )


def test_calibration_deals_groups():
    scores = np.repeat(np.random.default_rng(0).normal(size=20), 5)
    groups = np.arange(100) // 5
    risk, _ = calibrate(scores, scores + 0.01, groups=[groups, groups])
    assert all(len(set(risk[groups == group])) == 1 for group in range(20))


def test_shadow_models_that_leave_a_record_out_leave_its_copies_out(untrained):
    seen = {}

    class Spy:
        count = 4

        def train(self, x, y, *, membership, seed=0):
            seen["membership"] = membership
            raise InterruptedError

    split = mpreg.MembershipSplit(side(40, 2, 1), None, side(40, 2, 2))
    with pytest.raises(InterruptedError):
        mpreg.evaluate(untrained, split, attacks="strong", shadows=Spy())
    membership = seen["membership"]
    np.testing.assert_array_equal(membership[:, ::2], membership[:, 1::2])
    assert (membership.sum(axis=1) == 40).all()


def test_the_meter_samples_different_records():
    split = mpreg.MembershipSplit(side(60, 3, 1), None, side(60, 3, 2))
    meter = mpreg.callbacks.PrivacyMeter(split)
    assert meter.records == (20, 20)
    assert all(len(np.unique(x, axis=0)) == len(x) for x, _ in meter._sides)
    assert meter._sides[0][0].shape[1] == FEATURES
