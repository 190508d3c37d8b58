"""Any defence of the catalogue has a twin that screens members and reference first."""

import types

import keras
import numpy as np
import pytest

import mpreg
from mpreg.catalogue import DEFENCES, Defence, Setting, chosen, defence_of, digest_of
from mpreg.data import LogisticScorer


def nothing(task, strength):
    return task.split, strength


def scene(images=False):
    rng = np.random.default_rng(0)
    y = np.arange(240) % 2
    x = (rng.normal(size=(240, 4)) + 3 * y[:, None]).astype(np.float32)
    y = np.where(np.arange(240) % 12 == 0, 1 - y, y)  # wrong labels
    x = x.reshape(-1, 2, 2, 1) if images else x
    split = mpreg.MembershipSplit.from_arrays(x, y, members=80, reference=60, seed=0)
    setting = Setting(
        dataset="none", members=80, reference=60, network=network, learning_rate=0.1, epochs=3, batch_size=40
    )
    return setting, types.SimpleNamespace(features=x, labels=y, classes=2), split


def network(shape, classes, seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
    )


def test_members_and_reference_are_screened_and_the_split_is_left_as_it_was():
    setting, data, split = scene()
    defence = Defence(name="none", build=nothing, source="us", usual={"*": 2.0}).screened(share=0.2)
    kept, strength = defence.train(setting, data, split, seed=5)
    screening = mpreg.Screening(share=0.2, most_of_a_class=0.3, seed=5)
    np.testing.assert_array_equal(kept.members[0], split.members[0][screening.fit(*split.members)])
    np.testing.assert_array_equal(kept.reference[0], split.reference[0][screening.fit(*split.reference)])
    assert (len(kept.members[1]), len(split.members[1]), strength) == (64, 80, 2.0)
    assert defence.name == "screened-none"


def test_images_are_scored_by_the_network_of_the_setting():
    setting, data, split = scene(images=True)
    defence = Defence(name="none", build=nothing, source="us").screened(share=0.2, epochs=1.0, folds=(5, 2))
    kept, _ = defence.train(setting, data, split, seed=5)

    def build():
        return setting.compile(setting.build_model(data))

    scorer = mpreg.FleetScorer(build, epochs=3, batch_size=40, seed=5)
    screening = mpreg.Screening(scorer=scorer, share=0.2, most_of_a_class=0.3, folds=2, seed=5)
    np.testing.assert_array_equal(kept.members[0], split.members[0][screening.fit(*split.members)])
    table = mpreg.Screening(scorer=LogisticScorer(), share=0.2, most_of_a_class=0.3, folds=2, seed=5)
    assert not np.array_equal(table.fit(*split.members), screening.kept_)


def test_a_split_without_reference_is_screened_too():
    setting, data, split = scene()
    known = types.SimpleNamespace(members=split.members, reference=None, nonmembers=None)
    kept, _ = Defence(name="none", build=nothing, source="us").screened().train(setting, data, known, seed=0)
    assert kept.reference is None
    screening = mpreg.Screening(least_probability=0.25, most_of_a_class=0.3)  # two classes
    np.testing.assert_array_equal(kept.members[0], split.members[0][screening.fit(*split.members)])
    assert len(kept.members[1]) < 80


def test_classes_too_rare_to_be_scored_are_kept_whole():
    setting, data, split = scene()
    x, y = split.members
    y = np.where(np.arange(80) < 3, 2, y)
    known = types.SimpleNamespace(members=(x, y), reference=None, nonmembers=None)
    defence = Defence(name="none", build=nothing, source="us").screened(share=0.2)
    kept, _ = defence.train(setting, data, known, seed=0)
    assert (kept.members[1] == 2).sum() == 3
    assert len(kept.members[1]) == 3 + round(0.8 * 77)


def test_screened_stands_before_the_name_of_any_defence():
    for name in DEFENCES:
        if not name.startswith("screened-"):
            screened = defence_of(f"screened-{name}")
            assert screened.name == f"screened-{name}"
            assert screened.strengths == DEFENCES[name].strengths
    assert [defence.name for defence in chosen("screened-l2, l2")] == ["undefended", "screened-l2", "l2"]
    with pytest.raises(ValueError, match="after 'screened-'.*Received: screened-nothing"):
        defence_of("screened-nothing")


def test_the_row_of_the_table_is_the_one_that_its_name_stands_for():
    made = defence_of("advreg").screened()
    row = DEFENCES["screened-advreg"]
    assert digest_of(made.build) == digest_of(row.build)
    assert (row.usual, row.consumes_reference) == (made.usual, True)


def test_a_defence_with_a_guarantee_is_screened_by_reference_records_alone():
    setting, data, split = scene()
    defence = Defence(name="none", build=nothing, source="us", guarantee=True).screened(least_probability=0.2)
    kept, _ = defence.train(setting, data, split, seed=5)
    screening = mpreg.PublicScreening(split.reference, least_probability=0.2)
    np.testing.assert_array_equal(kept.members[0], split.members[0][screening.fit(*split.members)])
    assert 0 < len(screening.left_out_) < 20
    np.testing.assert_array_equal(kept.reference[0], split.reference[0])
    assert (defence.guarantee, defence.consumes_reference) == (True, True)
    nothing_left_out = Defence(name="none", build=nothing, source="us", guarantee=True).screened(
        least_probability=0
    )
    with pytest.raises(ValueError, match="strictly between 0 and 1. Received: least_probability=0"):
        nothing_left_out.train(setting, data, split, seed=5)
    with pytest.raises(ValueError, match="learns from reference records, and the split has none"):
        defence.train(setting, data, mpreg.MembershipSplit(split.members, None, split.nonmembers), seed=5)


def test_images_of_a_defence_with_a_guarantee_are_screened_by_a_network_of_the_reference_records(capsys):
    setting, data, split = scene(images=True)
    defence = Defence(name="none", build=nothing, source="us", guarantee=True)
    kept, _ = defence.screened(epochs=1.0).train(setting, data, split, seed=5)
    assert capsys.readouterr().out == ""
    model = setting.compile(setting.build_model(data, 5))
    keras.utils.set_random_seed(5)
    model.fit(*split.reference, epochs=3, batch_size=40, verbose=0)
    own = model.predict(split.members[0], verbose=0)[np.arange(80), split.members[1]]
    np.testing.assert_array_equal(kept.members[0], split.members[0][own >= 0.25])


def test_figures_are_kept_apart_by_how_records_are_screened():
    l2 = defence_of("l2")
    builds = [
        l2.build,
        *(l2.screened(share=share).build for share in (0.1, 0.2)),
        l2.screened(folds=(3, 2)).build,
    ]
    assert len({digest_of(build) for build in builds}) == 4
    assert digest_of(l2.screened().build) == digest_of(defence_of("screened-l2").build)
