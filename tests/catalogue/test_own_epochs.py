"""A defence may train for a share of the setting's epochs that is its own."""

import types

import pytest

from mpreg.catalogue import Defence, Setting

SETTING = Setting(
    dataset="ours", members=1, reference=1, network="small_mlp", learning_rate=0.1, epochs=30, penalty=2.0
)
SPLIT = types.SimpleNamespace(members=None, reference=None, nonmembers=None)


def defence(epochs):
    return Defence(name="none", build=lambda task, strength: task, source="us", epochs=epochs)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [({}, 30), ({"ours": 2}, 60), ({"other": 2}, 30), ({"*": 0.5, "ours": 1 / 3}, 10), ({"*": 0.001}, 1)],
)
def test_it_trains_for_its_own_epochs_in_a_setting_that_differs_in_nothing_else(epochs, expected):
    made = defence(epochs)
    task = made.train(SETTING, None, SPLIT, seed=0)
    assert task.setting == SETTING.replace(epochs=expected)
    assert made.epochs_for(SETTING) == expected
    assert made.screened().epochs_for(SETTING) == expected


def test_a_classifier_of_other_epochs_does_not_stand_for_its_own_plain_training():
    def undefended(task):
        raise AssertionError

    assert defence({"ours": 2}).train(SETTING, None, SPLIT, seed=0, undefended=undefended).undefended is None
    assert defence({}).train(SETTING, None, SPLIT, seed=0, undefended=undefended).undefended is undefended
