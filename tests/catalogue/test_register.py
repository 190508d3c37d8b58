"""Registration: every kind of thing, by a name that nobody else has."""

import dataclasses

import numpy as np
import pytest
from support.registries import REGISTRIES, forgetting

import mpreg
from mpreg import attacks, catalogue, datasets, metrics
from mpreg._registry import Registry
from mpreg.catalogue import SETTINGS, Defence, Network


class Margin(attacks.Attack):
    name, key = "margin of the answer", "margin"

    def __init__(self, sign=1.0):
        self.sign = sign

    def fit(self, members, nonmembers, *, seed=0):
        self.threshold = metrics.best_threshold(self.score(members), self.score(nonmembers))
        return self

    def score(self, answers):
        ranked = np.sort(answers.log_probabilities, axis=1)
        return self.sign * (ranked[:, -1] - ranked[:, -2])


def read():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 4)), np.arange(30) % 3


ENTRIES = {
    "defence": Defence(name="own", build=lambda task, strength: task.trained(), source="us"),
    "network": Network(name="own", build=lambda shape, classes, seed: None),
    "setting": dataclasses.replace(SETTINGS["digits"], name="own"),
    "data set": datasets.Loader(name="own", read=read),
    "attack": Margin,
}


@pytest.fixture(autouse=True)
def forgotten():
    with forgetting():
        yield


@pytest.mark.parametrize("kind", ENTRIES)
class TestEveryKind:
    def test_it_is_there_by_its_name_and_given_back(self, kind):
        registry = next(registry for registry in REGISTRIES if registry.kind == kind)
        before = list(registry)
        assert catalogue.register(ENTRIES[kind]) is ENTRIES[kind]
        assert list(registry) == [*before, "margin" if kind == "attack" else "own"]

    def test_a_name_that_is_taken_is_quoted_and_the_first_stays(self, kind):
        entry = ENTRIES[kind]
        catalogue.register(entry)
        name = "margin" if kind == "attack" else "own"
        registry = next(registry for registry in REGISTRIES if registry.kind == kind)
        first = registry[name]
        with pytest.raises(ValueError, match=f"there is a {kind} '{name}' already.*replace=True"):
            catalogue.register(entry)
        assert registry[name] is first

    def test_replacing_has_to_be_said(self, kind):
        catalogue.register(ENTRIES[kind])
        other = Margin(sign=-1.0) if kind == "attack" else dataclasses.replace(ENTRIES[kind])
        catalogue.register(other, replace=True)
        registry = next(registry for registry in REGISTRIES if registry.kind == kind)
        assert registry["margin" if kind == "attack" else "own"] is other


@pytest.mark.parametrize("name", ["l2", "digits", "small_mlp", "location30"])
def test_ours_are_taken_too(name):
    entry = {
        "l2": Defence(name="l2", build=print, source=""),
        "small_mlp": Network(name="small_mlp", build=print),
        "digits": dataclasses.replace(SETTINGS["digits"]),
        "location30": datasets.Loader(name="location30", read=read),
    }[name]
    with pytest.raises(ValueError, match=f"'{name}' already"):
        catalogue.register(entry)


@pytest.mark.parametrize("name", ["", "a,b", "a b", "../a", "-a", 3, None, "ä"])
def test_a_name_has_to_fit_a_command_and_a_file(name):
    with pytest.raises(ValueError, match=f"name of a thing must be letters.*Received: {name!r}"):
        Registry("thing").register(name, object())


@pytest.mark.parametrize("entry", [3, print, Defence, object()])
def test_what_is_no_entry_is_refused(entry):
    with pytest.raises(
        TypeError, match="entry must be a Defence, Network, Setting, datasets.Loader or Attack"
    ):
        catalogue.register(entry)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Defence(name="own", build=None, source=""),
        lambda: Network(name="own", build=None),
        lambda: datasets.Loader(name="own", read=None),
    ],
)
def test_what_is_to_be_called_has_to_be_a_function(make):
    with pytest.raises(ValueError, match="'own' must be a function.*Received: None"):
        make()


class TestAttacks:
    def test_a_key_stands_for_the_attack_beside_names_of_suites_and_attacks(self):
        catalogue.register(Margin)
        found = attacks.suite(["margin", "fast", attacks.TrainedAttack()])
        names = [attack.name for attack in found]
        assert names == ["margin of the answer", *(a.name for a in attacks.suite("fast")), "trained"]

    def test_every_attack_of_the_strong_suite_has_a_key_that_stands_for_it(self):
        for attack in attacks.suite("strong"):
            (_, found) = attacks.suite(["gap", attack.key]) if attack.key != "gap" else (None, attack)
            assert (type(found), found.name) == (type(attack), attack.name)

    def test_an_attack_with_options_is_copied_each_time(self):
        catalogue.register(Margin(sign=-1.0))
        first, second = (attacks.suite(["margin"])[1] for _ in range(2))
        assert first is not second and first.sign == second.sign == -1.0

    def test_it_attacks(self):
        catalogue.register(Margin)
        rng = np.random.default_rng(0)
        member, other = rng.dirichlet([0.1] * 3, 40), rng.dirichlet([5.0] * 3, 40)
        labels = rng.integers(0, 3, 40)
        named = mpreg.evaluate_predictions(member, labels, other, labels, attacks=["margin"])
        given = mpreg.evaluate_predictions(member, labels, other, labels, attacks=[Margin()])
        assert named.to_dict()["attacks"] == given.to_dict()["attacks"]
        assert named.attacks["margin of the answer"].auc > 0.9

    def test_one_without_a_key_is_quoted(self):
        with pytest.raises(ValueError, match="needs a key.*Received: 'margin of the answer' with key=None"):
            attacks.register(type("Keyless", (Margin,), {"key": None}))


class TestDataSets:
    def test_it_loads_under_its_name_and_describes_itself(self):
        catalogue.register(datasets.Loader(name="own_data", read=read, origin="drawn for a test"))
        data = datasets.load("own-data")
        x, y = read()
        np.testing.assert_array_equal(data.features, x.astype(np.float32))
        np.testing.assert_array_equal(data.labels, y)
        assert data.classes == 3 and "own-data" in datasets.names()
        assert data.description.endswith("30 records of 4 values in 3 classes; drawn for a test")

    def test_classes_may_be_more_than_the_labels_show(self):
        catalogue.register(datasets.Loader(name="own", read=read, classes=7))
        assert datasets.load("own").classes == 7

    @pytest.mark.parametrize(
        ("arrays", "quoted"),
        [
            ((np.zeros(3), np.zeros(3, int)), r"own: features must have the shape .*Received: \(3,\)"),
            ((np.zeros((3, 2)), np.zeros(4, int)), "own: labels must be 3 integers"),
            ((np.zeros((3, 2)), np.full(3, 0.5)), "own: labels must be 3 integers. Received: float64"),
            ((np.full((3, 2), np.nan), np.zeros(3, int)), "own: features must be finite"),
            ((np.full((3, 2), "a"), np.zeros(3, int)), "own: features must be numbers"),
            ((np.zeros((3, 2)), np.array([0, 1, -1])), "own: labels must lie from 0 to 1. Received: -1 to 1"),
            ((np.zeros((0, 2)), np.zeros(0, int)), "own: features must have the shape"),
        ],
    )
    def test_arrays_are_checked(self, arrays, quoted):
        catalogue.register(datasets.Loader(name="own", read=lambda: arrays))
        with pytest.raises(ValueError, match=quoted):
            datasets.load("own")

    def test_options_of_another_data_set_are_refused(self):
        catalogue.register(datasets.Loader(name="own", read=read))
        with pytest.raises(ValueError, match="records applies to 'purchase100-like' only"):
            datasets.load("own", records=3)


class TestNetworks:
    def test_a_setting_takes_a_network_by_name(self):
        catalogue.register(Network(name="own", build=lambda shape, classes, seed: (shape, classes, seed)))
        setting = SETTINGS["digits"].replace(network="own")
        assert setting.build_model(datasets.load("digits"), 5) == ((64,), 10, 5)

    def test_an_unknown_one_is_quoted(self):
        with pytest.raises(ValueError, match="network must be one of .*small_mlp.*Received: 'none'"):
            SETTINGS["digits"].replace(network="none").build_model(datasets.load("digits"), 0)


def test_a_setting_is_known_by_its_data_set_where_it_has_no_name():
    assert SETTINGS["digits"].name == "digits"
    assert dataclasses.replace(SETTINGS["digits"], name="few").name == "few"
