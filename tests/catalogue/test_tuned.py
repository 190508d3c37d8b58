"""Strengths that were chosen are the best of those that were tried, by the rule that the file tells."""

import pytest

from mpreg.catalogue import DEFENCES
from mpreg.catalogue.tuned import CHOSEN, TRIED


@pytest.mark.parametrize("name", CHOSEN)
def test_a_chosen_strength_is_the_most_accurate_of_those_worth_most_and_is_the_defences_usual_one(name):
    worth = {strength: over for strength, (_, _, over) in TRIED[name].items()}
    ((dataset, strength),) = CHOSEN[name].items()
    assert worth[strength] <= min(worth.values()) + 2 and len(worth) > 1
    rivals = [tried for tried in worth if worth[tried] <= min(worth.values()) + 2]
    assert all(TRIED[name][tried][0] <= TRIED[name][strength][0] for tried in rivals)
    assert DEFENCES[name].strength_for(dataset) == strength
    assert set(worth) <= set(DEFENCES[name].strengths)


def test_a_private_row_of_high_accuracy_is_dpsgd_of_a_large_epsilon():
    private, accurate = DEFENCES["dpsgd"], DEFENCES["dpsgd-accurate"]
    assert (private.strength_for("location30"), accurate.strength_for("location30")) == (8.0, 1000.0)
    assert private.build is accurate.build
