"""What was chosen is the best of what was tried, by the rule that the file tells, and is what the catalogue trains."""

import pytest

from mpreg.catalogue import DEFENCES, SETTINGS
from mpreg.catalogue.tuned import BEFORE, CHOSEN, EPOCHS, TRIED

SETTING = SETTINGS["location30"]


@pytest.mark.parametrize("name", TRIED)
def test_nothing_that_was_tried_is_better_than_what_was_chosen(name):
    (strength,), (share,) = CHOSEN[name].values(), EPOCHS[name].values()
    test, _, over = TRIED[name][strength, share]
    least = min(other for *_, other in TRIED[name].values())
    assert over <= least + 2
    rivals = [accuracy for accuracy, _, other in TRIED[name].values() if other <= least + 2]
    slack = 2 if (strength, share) == BEFORE[name] else 0
    assert all(accuracy <= test + slack for accuracy in rivals)


@pytest.mark.parametrize("name", TRIED)
def test_the_catalogue_trains_what_was_chosen(name):
    (strength,), (share,) = CHOSEN[name].values(), EPOCHS[name].values()
    defence = DEFENCES[name]
    assert defence.strength_for("location30") == strength
    assert defence.epochs_for(SETTING) == round(30 * share)
    assert strength in defence.strengths
    assert defence.epochs_for(SETTINGS["cifar10"]) == SETTINGS["cifar10"].epochs


@pytest.mark.parametrize("name", TRIED)
def test_strength_and_epochs_were_both_turned(name):
    strengths, shares = zip(*TRIED[name], strict=True)
    assert len(set(shares)) > 1 and (1 in shares)
    assert len(set(strengths)) > 1 or name == "memguard"  # which has its highest budget


def test_a_private_row_of_high_accuracy_is_dpsgd_of_a_large_epsilon():
    private, accurate = DEFENCES["dpsgd"], DEFENCES["dpsgd-accurate"]
    assert (private.strength_for("location30"), accurate.strength_for("location30")) == (8.0, 1000.0)
    assert private.build is accurate.build
