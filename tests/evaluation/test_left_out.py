"""What the name of a suite asks for is left out where it cannot be done; what is asked for by key is an error."""

import numpy as np
import pytest

import mpreg


def sides():
    rng = np.random.default_rng(0)
    return [part for _ in range(2) for part in (rng.dirichlet(np.ones(3), 40), rng.integers(0, 3, 40))]


@pytest.mark.parametrize("attacks", ["standard", ["standard"]])
def test_attacks_of_a_suite_that_lack_the_records_are_left_out_with_a_note(attacks):
    report = mpreg.evaluate_predictions(*sides(), attacks=attacks)
    assert "imitation" not in report.attacks and "trained" in report.attacks
    assert report.notes == ("Attack 'imitation' needs the judged records themselves: left out.",)


def test_asked_for_by_key_it_is_an_error():
    for name, attacks in (
        ("imitation", ["imitation"]),
        ("imitation", ["standard", "imitation"]),
        ("quantile regression", ["standard", "quantile"]),
    ):
        with pytest.raises(ValueError, match=f"'{name}' needs the judged records themselves"):
            mpreg.evaluate_predictions(*sides(), attacks=attacks)


@pytest.mark.parametrize("decisions", ["labels", "positions"])
def test_models_of_several_decisions_are_attacked_without_it(decisions):
    rng = np.random.default_rng(0)
    shape = (40, 4) if decisions == "labels" else (40, 4, 3)
    both = [rng.random(shape) for _ in range(2)]
    if decisions == "positions":
        both = [answers / answers.sum(axis=-1, keepdims=True) for answers in both]
    labels = rng.integers(0, 2, (2, 40, 4))
    report = mpreg.evaluate_predictions(both[0], labels[0], both[1], labels[1], decisions=decisions)
    assert "imitation" not in report.attacks
    assert any("'imitation' needs a model that answers one class a record" in note for note in report.notes)
    access = {one["attack"]: one["why"] for entry in report.to_dict()["access"] for one in entry["not_tried"]}
    assert access["imitation"] == "needs a model that answers one class a record"
    with pytest.raises(ValueError, match="'imitation' needs numbers, records"):
        mpreg.evaluate_predictions(
            both[0], labels[0], both[1], labels[1], decisions=decisions, attacks=["imitation"]
        )


def test_with_the_records_it_is_in_the_standard_suite():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 4)), rng.integers(0, 3, 120)
    split = mpreg.MembershipSplit.from_arrays(x, y, members=40, reference=20, seed=0)

    class Answers:
        def predict_proba(self, x):
            return np.exp(x[:, :3]) / np.exp(x[:, :3]).sum(axis=1, keepdims=True)

    report = mpreg.evaluate(Answers(), split, reference=True)
    assert "imitation" in report.attacks and "imitation" in report.reference.attacks


def test_a_meter_has_the_standard_suite_without_it():
    x, y = np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 2
    split = mpreg.MembershipSplit.from_arrays(x, y, members=20, reference=0, seed=0)
    meter = mpreg.callbacks.PrivacyMeter(split, attacks="standard")
    names = {attack.name for attack in mpreg.attacks.suite("standard")}
    assert {attack.name for attack in meter._attacks} == names - {"imitation"}
    with pytest.raises(ValueError, match="'imitation' needs numbers, records"):
        mpreg.callbacks.PrivacyMeter(split, attacks=["imitation"])
